"""The asynchronous side: batches come as lines do, and end when told to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ai_suricata.source.file.tail import Tail
from unit.source.following import append, lines, settings_for, text

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.source.base import Source

LIMIT = 10.0
"""Seconds after which a test gives up: far more than it needs."""


@pytest.fixture
def eve(tmp_path: Path) -> Path:
    """Return an empty file."""
    path = tmp_path / "eve.json"
    path.touch()
    return path


async def test_lines_come_as_they_are_written(eve: Path) -> None:
    """A quiet source wakes up for a new line, and `stop` ends the batches and closes the files."""
    source: Source = Tail(settings_for(eve))
    seen: list[bytes] = []
    append(eve, b"0\n")
    async with asyncio.timeout(LIMIT):
        async for batch in source.batches():
            seen += batch.lines
            if len(seen) == 5:
                source.stop()
            append(eve, b"%d\n" % len(seen))
    assert [b"0", b"1", b"2", b"3", b"4"] == seen
    assert 0 == source.lag().files


async def test_stop_interrupts_the_wait(eve: Path) -> None:
    """A source that waits for its next look ends at once, not after the interval."""
    tail = Tail(settings_for(eve, poll_interval=10))

    async def consume() -> list[bytes]:
        return [line async for batch in tail.batches() for line in batch.lines]

    loop = asyncio.get_running_loop()
    started = loop.time()
    task = asyncio.create_task(consume())
    await asyncio.sleep(0)  # let it begin to wait
    tail.stop()
    assert [] == await task
    assert loop.time() - started < 5


async def test_backlog_lets_others_run(eve: Path) -> None:
    """A consumer that never waits does not keep the rest of the daemon from running."""
    tail = Tail(settings_for(eve, batch_size=1, start="beginning"))
    append(eve, text(lines(0, 10)))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    done = asyncio.Event()
    counter = asyncio.create_task(count())
    seen = 0
    async for batch in tail.batches():
        seen += len(batch.lines)
        if seen == 10:
            tail.stop()
    done.set()
    await counter
    assert turns >= 9


async def test_only_a_quiet_source_waits(eve: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two full batches no interval passes."""
    tail = Tail(settings_for(eve, batch_size=1))
    append(eve, text(lines(0, 10)))
    waits = 0

    async def stop_at_first_wait() -> None:
        nonlocal waits
        waits += 1
        tail.stop()
        await asyncio.sleep(0)

    monkeypatch.setattr(tail._watch, "changed", stop_at_first_wait)
    seen = [line async for batch in tail.batches() for line in batch.lines]
    assert lines(0, 10) == seen
    assert 1 == waits
