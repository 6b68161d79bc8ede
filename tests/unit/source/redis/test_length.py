"""How many entries are asked for: no more than fit, by what has been seen of their lengths."""

from __future__ import annotations

import pytest

from ai_suricata.config.settings import RedisSettings
from ai_suricata.source.redis.input import RedisInput
from ai_suricata.source.redis.length import EntryLength
from fakes.suricata_redis import settings_for

MEBIBYTE = 1024 * 1024
BUFFER = 8 * MEBIBYTE
SHORT, LONG = b"x" * 99, b"x" * (MEBIBYTE // 8)


def source_of() -> RedisInput:
    """Return a source whose fetches may bring a mebibyte each; nothing is sent for it."""
    settings = settings_for(
        "list", buffer_bytes=BUFFER, batch_size=1000, max_line_bytes=MEBIBYTE // 4
    )
    return RedisInput(settings, RedisSettings())


def excesses(source: RedisInput, entry: bytes, fetches: int, tolerance: float = 1.0) -> int:
    """Fetch entries of one length; return how many fetches were larger than they may be.

    `tolerance`: how many times as large they may be.
    """
    found = 0
    for _ in range(fetches):
        entries = [entry] * source._most()
        source._length.note(entries)
        found += sum(map(len, entries)) > tolerance * BUFFER / 8
    return found


def test_a_run_of_long_entries_exceeds_the_bound_once() -> None:
    """However many short ones came before."""
    source = source_of()
    assert 0 == excesses(source, SHORT, 1000)
    assert 1 == excesses(source, LONG, 50)


def test_the_first_fetch_is_within_the_bound() -> None:
    """Nothing is known then: its entries may be as long as any."""
    source = source_of()
    assert 3 == source._most()
    assert 0 == excesses(source, b"x" * (MEBIBYTE // 4), 20)


def test_short_entries_come_many_at_a_time_again() -> None:
    """What was expected falls within a few fetches, and not at once."""
    source = source_of()
    excesses(source, LONG, 1)
    excesses(source, SHORT, 1)
    assert 100 > source._most()
    excesses(source, SHORT, 100)
    assert 1000 == source._most()


def test_long_and_short_ones_in_turn_exceed_it_by_much_once() -> None:
    """A fetch of short entries does not make those forgotten that came before."""
    source = source_of()
    excesses(source, SHORT, 10)
    assert 1 == sum(excesses(source, entry, 1, 1.2) for entry in (LONG, SHORT) * 10)


def test_a_fetch_that_brings_nothing_tells_nothing() -> None:
    """Neither the mean nor what is expected moves."""
    length = EntryLength(1000)
    length.note([])
    assert (1001, 0) == (length.expected, length.mean)
    length.note([b"x" * 9, b"x" * 19])
    assert (15, 15) == (length.expected, length.mean)
    length.note([])
    assert (15, 15) == (length.expected, length.mean)


@pytest.mark.parametrize("entries", [[b""], [b""] * 1000])
def test_empty_entries_are_bounded_by_the_batch(entries: list[bytes]) -> None:
    """Their line ends count: nothing is divided by zero."""
    source = source_of()
    source._length.note(entries)
    assert 1000 == source._most()
