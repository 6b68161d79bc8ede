"""Lines of several files in the order of their times."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from ai_suricata.source import merge as merge_module
from ai_suricata.source.merge import Merge
from fakes import eve

if TYPE_CHECKING:
    import pytest


class Pile:
    """Lines that wait, and how often they were asked for."""

    def __init__(self, path: str, lines: list[bytes]) -> None:
        self.path = path
        self.lines = lines
        self.asked = 0

    def take(self, room: int, now: float) -> list[bytes]:  # noqa: ARG002 - of the protocol
        """Return the next ones."""
        self.asked += 1
        taken = self.lines[:room]
        del self.lines[:room]
        return taken


def told(at: float, name: str) -> bytes:
    """Return a line as Suricata begins it."""
    return b'{"timestamp":"%s","x":"%s"}' % (eve.stamp(at).encode(), name.encode())


def test_the_file_that_is_behind_goes_first() -> None:
    """Over batches too: how far a file has come is known to the next one."""
    choice = random.Random(3)  # noqa: S311 - a fixed choice
    piles = {}
    for name in ("long", "short", "middling"):
        times = sorted(choice.uniform(0, 1000) for _ in range(choice.randrange(20, 400)))
        piles[name] = Pile(name, [told(at, name) for at in times])
    waiting = {name: len(pile.lines) for name, pile in piles.items()}
    reached = dict.fromkeys(piles, b"")
    merge = Merge()
    while sum(waiting.values()):
        lines, runs = merge.take(list(piles.values()), 17, 0)
        owners = [name for name, count in runs for _ in range(count)]
        for line, name in zip(lines, owners, strict=True):
            assert min(reached[each] for each in piles if waiting[each]) == reached[name]
            assert reached[name] <= line[14:40]
            reached[name] = line[14:40]
            waiting[name] -= 1


def test_times_of_other_zones_are_compared_as_moments() -> None:
    """A file whose lines are written in another zone is neither ahead nor behind for that."""
    west = Pile("west", [b'{"timestamp":"2026-01-01T04:00:00.%06d-0800"}' % n for n in range(9)])
    utc = Pile("utc", [b'{"timestamp":"2026-01-01T12:00:00.%06d+0000"}' % n for n in range(9)])
    lines, runs = Merge().take([west, utc], 10, 0)

    assert 10 == len(lines)
    assert {"west": 5, "utc": 5} == {
        name: sum(count for path, count in runs if path == name) for name in ("west", "utc")
    }


def test_a_file_without_times_does_not_keep_one_with_times_waiting() -> None:
    """However long its backlog is, nor the other way round."""
    odd = Pile("odd", [b"{}"] * 20_000)
    usual = Pile("usual", [told(at, "usual") for at in range(20_000)])
    merge = Merge()
    merge.take([odd, usual], 10, 0)
    lines, _ = merge.take([odd, usual], 1000, 0)

    assert abs(lines.count(b"{}") - 500) <= 10


def test_a_batch_is_full_by_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few long lines fill the memory as well as many short ones."""
    monkeypatch.setattr(merge_module, "BATCH_BYTES", 10_000)
    piles = [Pile(name, [b"x" * 3000] * 50) for name in "ab"]
    lines, _ = Merge().take(piles, 1000, 0)

    assert 4 == len(lines)


def test_lines_without_a_time_take_turns() -> None:
    """Each file gets a like share; what one does not use is for the others."""
    piles = [
        Pile(name, [name.encode()] * count) for name, count in (("a", 99), ("b", 5), ("c", 99))
    ]
    lines, _ = Merge().take(piles, 45, 0)

    assert [20, 5, 20] == [lines.count(name) for name in (b"a", b"b", b"c")]


def test_with_little_room_another_file_goes_first_each_time() -> None:
    """Otherwise a busy first file would hide the rest."""
    piles = [Pile(name, [name.encode()] * 9) for name in "abc"]
    merge = Merge()
    lines = [line for _ in range(6) for line in merge.take(piles, 1, 0)[0]]

    assert [2, 2, 2] == [lines.count(name) for name in (b"a", b"b", b"c")]


def test_the_last_file_with_lines_is_asked_for_all_at_once() -> None:
    """A single busy file among quiet ones costs no more than one alone."""
    busy = Pile("busy", [told(at, "busy") for at in range(1000)])
    lines, runs = Merge().take([Pile("a", []), busy, Pile("b", [])], 1000, 0)

    assert (1000, [("busy", 1000)]) == (len(lines), runs)
    assert busy.asked <= 4
