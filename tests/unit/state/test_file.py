"""Files that are whole whatever happens."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.errors import StateError
from ai_suricata.state.file import append, cut, replace

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 1000
"""Bytes that a file of the subprocess may have."""


def with_small_disk(code: str, path: Path) -> str:
    """Run code in a process that may write no more than `LIMIT` bytes into a file."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT)),
    )
    return done.stdout


def test_replace_puts_the_content_in_place_and_leaves_nothing_beside(tmp_path: Path) -> None:
    """For the owner alone: what is stored tells who was seen."""
    path = tmp_path / "state"
    replace(path, b"old")
    replace(path, b"new")

    assert b"new" == path.read_bytes()
    assert 0o600 == path.stat().st_mode & 0o777
    assert [path] == list(tmp_path.iterdir())


def test_replace_syncs_before_it_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other way round, a power cut could leave an empty file under the right name."""
    path = tmp_path / "state"
    replace(path, b"old")
    seen: list[bytes] = []
    sync = os.fsync

    def spy(descriptor: int) -> None:
        seen.append(path.read_bytes())
        sync(descriptor)

    monkeypatch.setattr("ai_suricata.state.file.os.fsync", spy)
    replace(path, b"new")

    assert [b"old", b"new"] == seen  # of the content, then of the folder


def test_replace_keeps_the_old_content_where_the_disk_is_full(tmp_path: Path) -> None:
    """The error names the path and the remedy; no half file stays beside."""
    path = tmp_path / "state"
    replace(path, b"old")
    code = (
        "import sys; from pathlib import Path; from ai_suricata.core.errors import StateError\n"
        "from ai_suricata.state.file import replace\n"
        "try: replace(Path(sys.argv[1]), b'x' * 5000)\n"
        "except StateError as error: print(error)"
    )

    assert f"{path} can't be written: File too large; make room" in with_small_disk(code, path)
    assert b"old" == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_replace_names_a_path_that_is_a_folder(tmp_path: Path) -> None:
    """Or whose folder is none."""
    folder = tmp_path / "state"
    folder.mkdir()
    with pytest.raises(StateError, match=f"{folder} can't be written: Is a directory"):
        replace(folder, b"new")

    (tmp_path / "plain").touch()
    with pytest.raises(StateError, match="can't be written: Not a directory"):
        replace(tmp_path / "plain" / "state", b"new")


def test_append_adds_to_the_end_and_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has returned from survives a power cut; so does the name of a new file."""
    path = tmp_path / "journal"
    synced: list[int] = []
    sync = os.fsync

    def spy(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr("ai_suricata.state.file.os.fsync", spy)

    append(path, b"one\n")
    append(path, b"two\n")

    assert b"one\ntwo\n" == path.read_bytes()
    inode, folder = path.stat().st_ino, tmp_path.stat().st_ino
    assert [inode, folder, inode] == synced


def test_append_leaves_no_half_line_where_the_disk_is_full(tmp_path: Path) -> None:
    """What was there before stays, and a later line begins at its own place."""
    path = tmp_path / "journal"
    append(path, b"a" * 899 + b"\n")
    code = (
        "import sys; from pathlib import Path; from ai_suricata.core.errors import StateError\n"
        "from ai_suricata.state.file import append\n"
        "try: append(Path(sys.argv[1]), b'b' * 499 + b'\\n')\n"
        "except StateError as error: print(error)\n"
        "append(Path(sys.argv[1]), b'c' * 49 + b'\\n')"
    )

    assert "can't be written: File too large" in with_small_disk(code, path)
    assert [b"a" * 899, b"c" * 49] == path.read_bytes().splitlines()


def test_append_names_a_path_that_is_a_folder(tmp_path: Path) -> None:
    """Nothing else is raised."""
    with pytest.raises(StateError, match=f"{tmp_path} can't be written"):
        append(tmp_path, b"line\n")


def test_cut_takes_the_end_off(tmp_path: Path) -> None:
    """And says so where it can't."""
    path = tmp_path / "journal"
    path.write_bytes(b"one\ntw")
    cut(path, 2)

    assert b"one\n" == path.read_bytes()
    with pytest.raises(StateError, match="can't be mended"):
        cut(tmp_path / "missing", 1)
