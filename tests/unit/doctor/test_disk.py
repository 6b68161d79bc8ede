"""What the doctor says of the state directory."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from ai_suricata.doctor import disk
from ai_suricata.doctor.finding import Status
from fakes import eve

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.doctor.finding import Finding


def found(folder: Path, **variables: str) -> list[Finding]:
    """Examine this folder."""
    return disk.examine(eve.settings(STATE_DIR=str(folder), **variables))


def test_a_folder_that_can_be_written_is_well(tmp_path: Path) -> None:
    """Nothing is left in it."""
    told = found(tmp_path, MAX_SOURCES="100")

    assert [Status.OK, Status.OK] == [one.status for one in told]
    assert f"{tmp_path} can be written by uid {os.geteuid()}" == told[0].sentence
    assert [] == list(tmp_path.iterdir())


def test_a_folder_that_can_be_made_is_well_and_not_made(tmp_path: Path) -> None:
    """The doctor changes nothing."""
    told = found(tmp_path / "a" / "b", MAX_SOURCES="100")

    assert Status.OK == told[0].status
    assert "does not exist yet; the daemon makes it" in told[0].sentence
    assert not (tmp_path / "a").exists()


def test_a_folder_that_cannot_be_made_is_wrong(tmp_path: Path) -> None:
    """There is a file in its way."""
    (tmp_path / "file").touch()
    [told] = found(tmp_path / "file" / "state")

    assert Status.WRONG == told.status
    assert f"mkdir -p {tmp_path / 'file' / 'state'}" in told.remedy


def test_a_file_is_wrong(tmp_path: Path) -> None:
    """STATE_DIR names a folder."""
    (tmp_path / "file").touch()

    assert f"{tmp_path / 'file'} is no folder" == found(tmp_path / "file")[0].sentence


def test_a_folder_that_cannot_be_written_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the reason: it is tried."""

    def refuse(**_options: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("ai_suricata.doctor.disk.tempfile.TemporaryFile", refuse)
    told = found(tmp_path)[0]

    assert Status.WRONG == told.status
    assert f"can't write in {tmp_path}: Read-only file system" in told.sentence


@pytest.mark.parametrize(
    ("free", "status"),
    [(disk.LEAST - 1, Status.WRONG), (disk.LEAST, Status.WARNING), (2**40, Status.OK)],
)
def test_the_room_is_held_against_what_the_state_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: Status
) -> None:
    """By MAX_SOURCES and MAX_ALERTS."""
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr("ai_suricata.doctor.disk.shutil.disk_usage", lambda _folder: usage)
    told = found(tmp_path, MAX_SOURCES="200000", MAX_ALERTS="10000")[1]

    assert status == told.status
    assert "the state may take 404.0 MiB" in told.sentence
