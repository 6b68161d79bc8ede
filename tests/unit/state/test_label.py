"""What operators have said of addresses, as a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.errors import StateError
from ai_suricata.state.label import Kind, Label, LabelLog

if TYPE_CHECKING:
    from pathlib import Path


def label(number: int, features: dict[str, float] | None = None) -> Label:
    """Return one of many labels."""
    return Label(float(number), "203.0.113.7", Kind.NORMAL, "a colleague", 1, features, "m-1")


async def test_labels_are_appended_as_lines_of_json(tmp_path: Path) -> None:
    """With all that training needs."""
    log = LabelLog(tmp_path / "labels.jsonl")
    assert [] == log.read()
    await log.append([label(1, {"alerts": 3.0})])
    await log.append([label(2)])
    await log.append([])

    assert [label(1, {"alerts": 3.0}), label(2)] == log.read()
    assert 0o600 == log.path.stat().st_mode & 0o777
    assert {
        "time": 1.0,
        "address": "203.0.113.7",
        "label": "normal",
        "reason": "a colleague",
        "schema": 1,
        "features": {"alerts": 3.0},
        "model": "m-1",
    } == json.loads(log.path.read_bytes().splitlines()[0])


async def test_past_its_size_the_older_half_goes(tmp_path: Path) -> None:
    """Never more than what was allowed, and always the newest."""
    size = 2000
    log = LabelLog(tmp_path / "labels.jsonl", size)
    for number in range(100):
        await log.append([label(number)])
        assert log.path.stat().st_size <= size
    times = [one.time for one in log.read()]

    assert list(range(100 - len(times), 100)) == times
    assert 5 < len(times)


async def test_a_line_that_a_crash_cut_short_spoils_no_other(tmp_path: Path) -> None:
    """It is passed over."""
    log = LabelLog(tmp_path / "labels.jsonl")
    await log.append([label(1)])
    with log.path.open("ab") as file:
        file.write(b'{"time": 2')
    await log.append([label(3)])

    assert [1.0, 3.0] == [one.time for one in log.read()]


async def test_a_file_out_of_reach_is_named(tmp_path: Path) -> None:
    """In writing and in reading."""
    log = LabelLog(tmp_path)
    with pytest.raises(StateError, match="can't be written"):
        await log.append([label(1)])
    with pytest.raises(StateError, match="can't be read"):
        log.read()
