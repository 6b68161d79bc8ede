"""Evicted rows that the shared store lacks: kept until it has them, in bounded room."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_suricata.features.extract import Extractor
from ai_suricata.features.table import Table
from fakes import eve


def extractor(capacity: int = 4) -> Extractor:
    """Return a fresh extractor with a small table that keeps what it evicts."""
    found = Extractor(eve.settings().features)
    found.table = Table(capacity)
    found.table.keep_evicted()
    return found


def see(found: Extractor, *numbers: int) -> None:
    """Count an alert of each of these addresses, one batch each."""
    for at, number in enumerate(numbers):
        found.observe([eve.event(eve.alert(address(number), at=found.table.clock + at))])


def address(number: int) -> str:
    """Return an address."""
    return f"198.18.0.{number}"


def written(found: Extractor, since: int = 0) -> dict[str, int]:
    """Return the alerts of each address, as they would be written."""
    changes = found.changes({}, since, facts=True)
    assert list(changes.rows.addresses) == [each.address for each in changes.facts]
    return {each.address: each.alerts for each in changes.facts}


def test_an_evicted_row_is_still_written() -> None:
    """With all that it had, and only where it has changed since."""
    found = extractor()
    see(found, 1, 1, 2, 3, 4, 5)

    assert address(1) not in found.table.row_of
    assert 2 == written(found)[address(1)]
    assert {address(5): 1} == written(found, since=5)
    assert [] == found.table.gone


def test_a_row_that_comes_back_goes_on_where_it_was() -> None:
    """Whole: it need not be asked for, and nothing of it is elsewhere any more."""
    found = extractor()
    see(found, 1, 1, 2, 3, 4)
    row = found.table.row_of[address(1)]
    expected = {name: array[row].copy() for name, array in found.table.columns.items()}
    found.table.evict()
    assert found.table.holds(address(1))
    found.table.find(address(1), home=False)

    row = found.table.row_of[address(1)]
    assert all(
        np.array_equal(expected[name], array[row]) for name, array in found.table.columns.items()
    )
    assert 0 == len(found.table.overflow or ())


def test_an_address_that_is_kept_is_not_unknown() -> None:
    """The shared store has an older part of it, which would count twice."""
    found = extractor()
    see(found, 1, 2, 3, 4, 5)
    events = [eve.event(eve.alert(address(number))) for number in (1, 2, 9)]

    assert [address(9)] == found.unknown(found.attribute(events))


def test_known_addresses_of_a_batch_are_not_evicted_by_it() -> None:
    """Else one of them would begin anew, without what the shared store has of it."""
    found = extractor()
    see(found, 1, 2, 3, 4)
    found.table.settle(found.table.clock)
    batch = [eve.event(eve.alert(address(number), at=9)) for number in (5, 6, 1, 2)]
    parties = found.attribute(batch)
    assert [address(5), address(6)] == found.unknown(parties)
    found.observe(batch, parties)

    assert {address(n): count for n, count in ((1, 2), (2, 2), (5, 1), (6, 1))} == written(found)


def test_what_the_shared_store_has_is_let_go() -> None:
    """And is told to the local log; what came later stays, and settled rows are not even kept."""
    found = extractor(capacity=8)
    see(found, *range(1, 10))
    found.table.settle(0)
    assert [] == found.table.gone
    found.table.settle(9)
    assert [address(1)] == found.table.gone
    see(found, 10)

    assert [address(1), address(2)] == found.table.gone
    assert 0 == len(found.table.overflow or ())


def test_the_room_is_bounded_and_what_came_first_goes() -> None:
    """A flood of forged sources must not fill the memory while Redis is away."""
    found = extractor(capacity=16)
    see(found, *range(200))

    assert 4 == len(found.table.overflow or ())
    assert 200 == len(found.table.gone) + 4 + len(found.table)
    assert 20 == len(written(found))


def test_kept_addresses_of_a_batch_are_still_here_when_they_are_counted() -> None:
    """They were not asked for: the others of the batch must not push them out."""
    found = extractor(capacity=8)
    see(found, *range(1, 11))
    batch = [eve.event(eve.alert(address(number), at=20)) for number in (11, 12, 1)]
    parties = found.attribute(batch)
    assert [address(11), address(12)] == found.unknown(parties)
    found.observe(batch, parties)

    assert 2 == written(found)[address(1)]


def test_a_restart_takes_back_what_was_kept() -> None:
    """The local log has more rows than the table then."""
    found = extractor(capacity=8)
    see(found, 1, *range(1, 11))
    again = extractor(capacity=8)
    again.restore(eve.snapshot_of(found))

    assert written(found) == written(again)
    assert len(found.table) == len(again.table)


def test_without_a_shared_store_what_is_evicted_is_gone() -> None:
    """Nobody would ever take it."""
    found = extractor()
    found.table.overflow = None
    see(found, 1, 2, 3, 4, 5)
    found.table.settle(99)

    assert [address(1)] == found.table.gone
    assert 4 == len(written(found))


STEPS = st.one_of(*[st.integers(1, 7)] * 6, st.sampled_from(["write", "restart"]))


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, min_size=10, max_size=60))
def test_the_shared_store_has_every_alert_in_the_end(steps: list[int | str]) -> None:
    """Whatever is evicted, comes back, and is fetched, and however often it is restarted.

    All of them fit beside the table; what is fetched is what was written last.
    """
    found = extractor(capacity=32)
    found.table.capacity = 3
    stored: dict[str, int] = {}
    known = 0
    rows = found.changes({}, 0).rows.take(np.zeros(0, np.int64))
    expected: Counter[str] = Counter()
    for step in steps:
        if isinstance(step, int):
            batch = [eve.event(eve.alert(address(step), at=found.table.clock))]
            for asked in found.unknown(found.attribute(batch)):
                at = [i for i, each in enumerate(rows.addresses) if each == asked]
                found.table.adopt(rows.take(np.array(at[-1:], np.int64)), foreign=False)
            found.observe(batch)
            expected[address(step)] += 1
        elif step == "write":
            changes = found.changes({}, known, facts=True)
            stored |= {each.address: each.alerts for each in changes.facts}
            rows, known = rows.with_more(changes.rows), changes.clock
            found.table.settle(known)
        elif step == "restart":
            copy = extractor(capacity=32)
            copy.table.capacity = 3
            copy.restore(eve.snapshot_of(found))
            found = copy
            found.table.settle(known)
    stored |= written(found, known)

    assert dict(expected) == stored
