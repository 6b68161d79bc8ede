"""Whether nothing new is to be decided, as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.errors import StateError
from ai_suricata.state.hold import Hold, HoldFile

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_hold_is_kept_until_it_is_cleared(tmp_path: Path) -> None:
    """For its owner alone; clearing twice is no error."""
    file = HoldFile(tmp_path / "paused.json")
    assert await file.load() is None

    await file.set(Hold("maintenance", 1.5))
    assert Hold("maintenance", 1.5) == await HoldFile(file.path).load()
    assert 0o600 == file.path.stat().st_mode & 0o777

    await file.clear()
    await file.clear()
    assert await file.load() is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"reason": 1}', b"\xff\xfe"])
async def test_a_file_that_says_nothing_is_a_hold_all_the_same(
    tmp_path: Path, content: bytes
) -> None:
    """Its presence is what counts: nobody goes on blocking because of a damaged file."""
    path = tmp_path / "paused.json"
    path.write_bytes(content)
    hold = await HoldFile(path).load()

    assert hold is not None
    assert 0.0 == hold.since
    assert str(path) in hold.reason


async def test_a_hold_that_nobody_can_tell_of_stops_the_start(tmp_path: Path) -> None:
    """The error names the file and the remedy."""
    path = tmp_path / "paused.json"
    path.mkdir()
    with pytest.raises(StateError, match=r"paused\.json can't be read.*remove it"):
        await HoldFile(path).load()
    with pytest.raises(StateError, match=r"paused\.json can't be removed"):
        await HoldFile(path).clear()
