"""What root writes into the folder of another user stays that user's."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.clock import ManualClock
from ai_suricata.core.decision import LedgerEntry, LedgerState
from ai_suricata.core.errors import StateError
from ai_suricata.sink.audit import AuditLog, read
from ai_suricata.state.file import append, lock, replace
from ai_suricata.state.label import Kind, Label, LabelLog
from fakes.control import as_nobody, open_folder
from fakes.privilege import need_root
from fakes.response import NOW, decision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOBODY = 65534
ENTRY = LedgerEntry(decision(), LedgerState.ENFORCED, NOW, NOW + 600)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder of the user nobody, as a STATE_DIR is the daemon's."""
    need_root("to write into the folder of another user")
    with open_folder() as made:
        os.chown(made, NOBODY, NOBODY)
        yield made


def audited(path: Path) -> None:
    """Write one line of the audit log."""
    AuditLog(path, ManualClock(NOW)).write([ENTRY], LedgerState.ENFORCED, "")


def labelled(path: Path) -> None:
    """Write one label."""
    label = Label(NOW, "203.0.113.7", Kind.NORMAL, "", 1, None, "none")
    asyncio.run(LabelLog(path).append([label]))


WRITERS: dict[str, Callable[[Path], object]] = {
    "replace": lambda path: replace(path, b"new\n"),
    "append": lambda path: append(path, b"new\n"),
    "lock": lambda path: os.close(lock(path)),
    "audit": audited,
    "label": labelled,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_the_daemons_user_is_not_locked_out_by_root(folder: Path, writer: str) -> None:
    """It writes on where a command of root has made, or written, a file."""
    path = folder / "file"
    WRITERS[writer](path)
    status = path.stat()
    assert (NOBODY, NOBODY, 0o600) == (status.st_uid, status.st_gid, status.st_mode & 0o777)

    as_nobody(lambda: WRITERS[writer](path))
    assert NOBODY == path.stat().st_uid


@pytest.mark.parametrize("writer", ["append", "lock", "audit"])
def test_a_file_that_root_has_left_is_handed_over(folder: Path, writer: str) -> None:
    """Whatever wrote it, the next command heals it."""
    path = folder / "file"
    path.touch(0o600)
    WRITERS[writer](path)

    assert NOBODY == path.stat().st_uid


@pytest.mark.parametrize("writer", ["replace", "append", "lock", "audit"])
def test_a_link_of_the_folders_owner_does_not_lead_root_astray(
    folder: Path, tmp_path: Path, writer: str
) -> None:
    """Otherwise that user could have root write into any file, and be handed it."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"root's\n")
    for name in ("file", "file.new"):
        (folder / name).symlink_to(victim)
    with suppress(StateError):  # the audit log tells it otherwise
        WRITERS[writer](folder / "file")

    assert (0, b"root's\n") == (victim.stat().st_uid, victim.read_bytes())


def test_a_hard_link_is_not_handed_over(folder: Path) -> None:
    """It may be the name of another file."""
    victim = folder.parent / f"{folder.name}.victim"
    victim.touch(0o600)
    try:
        (folder / "file").hardlink_to(victim)
        append(folder / "file", b"x\n")
        assert 0 == victim.stat().st_uid
    finally:
        victim.unlink()


def test_a_right_to_give_away_that_is_missing_fails_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In some containers root may not: what is asked for is done all the same."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    append(folder / "file", b"x\n")
    audited(folder / "audit.jsonl")

    assert b"x\n" == (folder / "file").read_bytes()
    assert 1 == len(list(read(folder / "audit.jsonl")))
