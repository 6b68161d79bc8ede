"""Parts of one address, put together: sums and unions, and each part is still told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_suricata.core.behaviour import (
    DAY_COUNTERS,
    DAY_SECONDS,
    GAP_COUNTERS,
    RECENT_COUNTERS,
    RECENT_SECONDS,
    Counter,
)
from ai_suricata.features.extract import Extractor
from ai_suricata.features.table import Table
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ai_suricata.state.row import Rows
    from fakes.eve import Record

TOTALS = slice(int(Counter.TOTAL_EVENTS), len(Counter))


def extractor(capacity: int = 100) -> Extractor:
    """Return a fresh extractor."""
    found = Extractor(eve.settings().features)
    found.table = Table(capacity)
    return found


def seen(*records: Record) -> Extractor:
    """Return an extractor that has seen the records."""
    found = extractor()
    observe(found, records)
    return found


def observe(found: Extractor, records: Iterable[Record]) -> None:
    """Count the records, one batch each."""
    for record in records:
        found.observe([eve.event(record)])


def everything(found: Extractor) -> Rows:
    """Return all rows as they would be stored."""
    return found.table.export(np.array(sorted(found.table.row_of.values()), np.int64))


def counters(found: Extractor, address: str = eve.STRANGER) -> NDArray[np.int64]:
    """Return the counters of an address, with the part of others."""
    row: NDArray[np.int64] = found.table.columns.counters[found.table.row_of[address]]
    return row


def own(found: Extractor, address: str = eve.STRANGER) -> NDArray[np.int64]:
    """Return the counters of an address as they would be stored."""
    row = found.table.row_of[address]
    part: NDArray[np.int64] = found.table.export(np.array([row])).columns["counters"][0]
    return part


def test_counts_of_one_time_add_up_and_sketches_are_united() -> None:
    """Two sensors that see the same scanner know of all its ports, each port once."""
    here = seen(*(eve.refused(port=port, at=port) for port in range(20)))
    there = seen(*(eve.refused(port=port, at=port) for port in range(10, 30)))
    both = seen(*(eve.refused(port=port, at=port) for port in range(30)))
    here.table.adopt(everything(there), foreign=True)

    row = here.table.row_of[eve.STRANGER]
    assert 40 == counters(here)[Counter.FAILED_FLOWS]
    assert 40 == counters(here)[Counter.TOTAL_EVENTS]
    assert np.array_equal(
        both.table.columns.sketches[both.table.row_of[eve.STRANGER]],
        here.table.columns.sketches[row],
    )
    times = here.table.columns
    assert (eve.START * 10**6, (eve.START + 29) * 10**6) == (
        times.first_seen[row],
        times.last_seen[row],
    )


def test_what_is_stored_is_the_own_part_alone() -> None:
    """Else the part of others would count again wherever the parts are joined."""
    here = seen(*(eve.alert(at=n) for n in range(5)))
    before = own(here).copy()
    here.table.adopt(everything(seen(*(eve.alert(at=n) for n in range(7)))), foreign=True)

    assert 12 == counters(here)[Counter.ALERTS]
    assert np.array_equal(before, own(here))
    summary = here.table.summary(here.table.row_of[eve.STRANGER])
    assert (5, 5) == (summary.alerts, summary.events)


def test_an_own_part_that_comes_back_is_own_again() -> None:
    """After an eviction: it is counted on, whatever others have added meanwhile."""
    here = seen(eve.alert(at=3))
    theirs = everything(seen(*(eve.alert(at=n) for n in range(7))))
    here.table.adopt(theirs, foreign=True)
    here.table.adopt(everything(seen(*(eve.alert(at=n) for n in range(2)))), foreign=False)

    assert 10 == counters(here)[Counter.ALERTS]
    assert [3, 3] == [own(here)[each] for each in (Counter.ALERTS, Counter.TOTAL_ALERTS)]


def test_of_windows_that_lie_apart_the_older_one_is_over() -> None:
    """Its totals still count, in whichever order the two are joined."""
    early = [eve.refused(at=n) for n in range(3)]
    late = [eve.refused(at=RECENT_SECONDS + 60 + n) for n in range(5)]
    for mine, theirs in ((early, late), (late, early)):
        here = seen(*mine)
        here.table.adopt(everything(seen(*theirs)), foreign=True)
        found = counters(here)
        row = here.table.row_of[eve.STRANGER]

        assert (5, 8) == (found[Counter.FAILED_FLOWS], found[Counter.TOTAL_EVENTS])
        first = (eve.START + RECENT_SECONDS + 60) * 10**6
        assert first == here.table.columns.recent_first[row]
        assert len(mine) == own(here)[Counter.TOTAL_EVENTS]


def test_the_part_of_others_ends_with_its_window() -> None:
    """A window that has turned holds own events alone."""
    here = seen(eve.refused(at=0))
    here.table.adopt(everything(seen(*(eve.refused(at=n) for n in range(9)))), foreign=True)
    observe(here, [eve.refused(at=RECENT_SECONDS + 30)])

    assert (1, 1) == (counters(here)[Counter.FLOWS], own(here)[Counter.FLOWS])
    assert (11, 2) == (counters(here)[Counter.TOTAL_EVENTS], own(here)[Counter.TOTAL_EVENTS])


def test_rows_that_come_into_a_full_table_make_room_for_themselves() -> None:
    """An address that comes back must not begin anew because there was no room for its past."""
    here = extractor(capacity=3)
    observe(here, [eve.alert(f"198.51.100.{n}", at=n) for n in range(3)])
    there = seen(*(eve.alert(at=n) for n in range(10)))
    here.table.adopt(everything(there), foreign=False)
    observe(here, [eve.alert(at=11)])

    assert 11 == own(here)[Counter.TOTAL_ALERTS]
    assert ["198.51.100.0"] == here.table.gone


def test_a_row_that_nobody_knew_is_taken_over_as_it_was() -> None:
    """Own parts that come from Redis are the same to the last column."""
    there = seen(*(eve.login(at=n * 40.0) for n in range(12)))
    here = extractor()
    here.table.adopt(everything(there), foreign=False)

    expected, found = everything(there).columns, everything(here).columns
    assert {"touched", "score", "patterns"} >= {
        name for name in expected if not np.array_equal(expected[name], found[name])
    }


EVENTS = st.tuples(st.just("event"), st.integers(0, 3 * RECENT_SECONDS))
FAR = st.tuples(st.just("event"), st.integers(0, 2 * DAY_SECONDS))
ADOPTED = st.tuples(st.sampled_from(["foreign", "own"]), st.integers(0, 3 * RECENT_SECONDS))
STEPS = st.lists(st.one_of(EVENTS, FAR, ADOPTED, st.just(("evict", 0))), max_size=25)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_the_own_total_is_what_was_seen_here_whatever_was_joined(
    steps: list[tuple[str, int]],
) -> None:
    """Over window turns, evictions with a later fetch, and parts of others at any time.

    What is in a window is never less than nothing, nor more than the joined row has.
    """
    here = extractor()
    stored: Rows | None = None  # the own part, as it was last written
    theirs = 0
    expected = 0
    for kind, at in steps:
        if kind == "event":
            if stored is not None and not here.table.row_of:
                here.table.adopt(stored, foreign=False)
            observe(here, [eve.alert(at=float(at))])
            expected += 1
        elif kind == "evict" and here.table.row_of:
            stored, theirs = everything(here), 0
            here.table.evict()
        elif kind == "foreign" and here.table.row_of:
            here.table.adopt(everything(seen(eve.alert(at=float(at)))), foreign=True)
            theirs += 1
        elif kind == "own" and here.table.row_of:
            here.table.adopt(everything(seen(eve.alert(at=float(at)))), foreign=False)
            expected += 1
        if not here.table.row_of:
            continue
        part, whole = own(here), counters(here)
        assert (expected, expected + theirs) == (
            part[Counter.TOTAL_ALERTS],
            whole[Counter.TOTAL_ALERTS],
        )
        for window in (RECENT_COUNTERS, DAY_COUNTERS):
            assert (part[window] >= 0).all()
            assert (part[window] <= whole[window]).all()
        assert part[Counter.ALERTS] <= expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, RECENT_SECONDS - 31)), min_size=1, max_size=20)
)
def test_within_one_window_the_joined_row_is_that_of_one_who_saw_all(
    events: list[tuple[bool, int]],
) -> None:
    """However the events were shared out, and each part comes out again exactly.

    All but the gaps between neighbouring flows: what was seen apart has other neighbours.
    """
    records = [(mine, eve.silent(at=float(at), port=at)) for mine, at in sorted(events)]
    # In one window for both: each sees its beginning.
    start = eve.silent(at=0, port=1)
    mine = seen(start, *(record for is_mine, record in records if is_mine))
    theirs = seen(start, *(record for is_mine, record in records if not is_mine))
    whole = seen(start, start, *(record for _, record in records))
    expected_own = own(mine).copy()
    mine.table.adopt(everything(theirs), foreign=True)

    seen_whole, joined = counters(whole).copy(), counters(mine).copy()
    seen_whole[GAP_COUNTERS] = joined[GAP_COUNTERS] = 0
    assert np.array_equal(seen_whole, joined)
    assert np.array_equal(whole.table.columns.sketches[0], mine.table.columns.sketches[0])
    assert np.array_equal(expected_own, own(mine))
