"""What is missing is said in words, once, and waited for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from unit.source.following import append, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ai_suricata.source.file.tail import Tail

    Follow = Callable[..., Tail]

NOBODY = 65534


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[int]:
    """Be a user whom file modes bind, and return the uid: root may read everything."""
    if os.geteuid():
        yield os.geteuid()
        return
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(0o711)
    os.chown(tmp_path, NOBODY, NOBODY)
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield NOBODY
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def test_missing_file_is_waited_for(tmp_path: Path, follow: Follow) -> None:
    """The path is named once; the file that appears is read from its beginning."""
    eve = tmp_path / "eve.json"
    with capture_logs() as logs:
        tail = follow(eve)
        for _ in range(3):
            assert None is tail.poll()
    assert f"{eve} does not exist yet" == tail.waiting_for
    assert 1 == len(logs)
    append(eve, b"one\n")
    assert [b"one"] == read(tail)
    assert None is tail.waiting_for


def test_missing_folder_is_named(tmp_path: Path, follow: Follow) -> None:
    """The topmost folder that is missing is what the operator has to look for."""
    eve = tmp_path / "no" / "such" / "eve.json"
    tail = follow(eve)
    expected = f"{eve} does not exist yet: there is no folder {tmp_path / 'no'}"
    assert expected == tail.waiting_for
    eve.parent.mkdir(parents=True)
    append(eve, b"one\n")
    assert [b"one"] == read(tail)


def test_missing_right_on_the_file(tmp_path: Path, follow: Follow, unprivileged: int) -> None:
    """The sentence says who lacks which right, and how to grant it; then it goes on by itself."""
    eve = tmp_path / "eve.json"
    append(eve, b"old\n")
    eve.chmod(0o000)
    with capture_logs() as logs:
        tail = follow(eve)
        for _ in range(3):
            assert None is tail.poll()
    expected = (
        f"{eve} can't be read by uid {unprivileged}: grant read, "
        f"e.g. setfacl -m u:{unprivileged}:r {eve}"
    )
    assert expected == tail.waiting_for
    assert 1 == len(logs)
    assert {} == tail.position
    eve.chmod(0o600)
    assert [] == read(tail)
    append(eve, b"one\n")
    assert [b"one"] == read(tail)
    assert None is tail.waiting_for


def test_group_that_may_read_is_named(tmp_path: Path, follow: Follow, unprivileged: int) -> None:
    """Where the file's group may read, to join it is the shortest way."""
    if unprivileged != NOBODY:
        pytest.skip("needs root, to give the file to another owner")
    eve = tmp_path / "eve.json"
    append(eve, b"old\n")
    os.seteuid(0)
    os.chown(eve, 0, 0)
    eve.chmod(0o640)
    os.seteuid(NOBODY)
    expected = f"{eve} can't be read by uid {NOBODY}: grant read, e.g. add the user to group root"
    assert expected == follow(eve).waiting_for


def test_missing_right_on_a_folder(tmp_path: Path, follow: Follow, unprivileged: int) -> None:
    """A folder that can't be entered is named, not the file behind it."""
    folder = tmp_path / "suricata"
    folder.mkdir()
    append(folder / "eve.json", b"old\n")
    folder.chmod(0o600)
    tail = follow(folder / "eve.json")
    folder_is_named = (
        f"grant search on folder {folder}, e.g. setfacl -m u:{unprivileged}:x {folder}"
    )
    assert folder_is_named in str(tail.waiting_for)
    folder.chmod(0o700)
    assert [] == read(tail)
    append(folder / "eve.json", b"one\n")
    assert [b"one"] == read(tail)


def test_unreadable_file_keeps_its_place(tmp_path: Path, follow: Follow, unprivileged: int) -> None:
    """A right that is missing after a restart is no loss: the place is kept until it is granted."""
    assert unprivileged
    eve = tmp_path / "eve.json"
    append(eve, b"one\ntwo\n")
    first = follow(eve, start="beginning", batch_size=1).poll()
    assert first is not None
    eve.chmod(0o000)
    tail = follow(eve, position=first.position)
    assert None is tail.poll()
    assert first.position == tail.position
    eve.chmod(0o600)
    assert [b"two"] == read(tail)


def test_not_a_regular_file(tmp_path: Path, follow: Follow) -> None:
    """A FIFO at the path neither blocks nor is read."""
    os.mkfifo(tmp_path / "eve.json")
    tail = follow(tmp_path / "eve.json")
    assert None is tail.poll()
    assert "is not a regular file" in str(tail.waiting_for)


def test_glob_without_a_match(tmp_path: Path, follow: Follow) -> None:
    """A glob that matches nothing is named as the operator wrote it."""
    pattern = tmp_path / "*" / "eve.json"
    with capture_logs() as logs:
        tail = follow(pattern)
        for _ in range(3):
            assert None is tail.poll()
    assert f"no file matches {pattern} yet" == tail.waiting_for
    assert [tail.waiting_for] == [entry["reason"] for entry in logs]


def test_glob_in_a_folder_that_may_not_be_listed(
    tmp_path: Path, follow: Follow, unprivileged: int
) -> None:
    """Otherwise a missing right would look like a missing file."""
    folder = tmp_path / "suricata"
    folder.mkdir(mode=0o300)
    expected = (
        f"{folder} can't be listed by uid {unprivileged}: grant read and search on that folder"
    )
    assert expected == follow(folder / "eve*.json").waiting_for
