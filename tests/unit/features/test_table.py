"""The table of behaviour: windows, eviction, sketches, snapshots."""

from __future__ import annotations

import random
from sys import getsizeof
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ai_suricata.core.schema import INDEX
from ai_suricata.features.extract import Extractor
from ai_suricata.features.table import Columns, Table
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fakes.eve import Record


def extractor(capacity: int | None = None) -> Extractor:
    """Return a fresh extractor; `capacity` may be less than what an operator is allowed."""
    found = Extractor(eve.settings().features)
    if capacity is not None:
        found.table = Table(capacity)
    return found


def feature(found: Extractor, records: Iterable[Record], name: str) -> float:
    """Return a feature of the source of the last record, which must be due."""
    points = found.observe([eve.event(record) for record in records])
    return float(points.matrix[-1, INDEX[name]])


def test_the_row_that_was_touched_longest_ago_goes_first() -> None:
    """A full table forgets the coldest, and what is touched again stays."""
    found = extractor(capacity=3)
    for number in (1, 2, 3, 1, 4):
        found.observe([eve.event(eve.flow(f"203.0.113.{number}", at=number))])

    assert {"203.0.113.1", "203.0.113.3", "203.0.113.4"} == set(found.table.row_of)
    assert 1 == found.table.evicted


def test_a_sixteenth_goes_at_a_time_and_its_rows_are_used_again() -> None:
    """The table never grows past its capacity."""
    found = extractor(capacity=64)
    records = [eve.flow(f"198.18.{n // 256}.{n % 256}", at=n) for n in range(300)]
    found.observe([eve.event(record) for record in records])

    assert 60 < len(found.table) <= 64
    assert 64 == len(found.table.addresses)
    assert 300 == found.table.evicted + len(found.table)
    assert 0 == found.table.evicted % 4


def test_a_row_that_was_evicted_comes_back_with_nothing() -> None:
    """What it did before is forgotten, not added to somebody else's."""
    found = extractor(capacity=1)
    for number in range(5):
        found.observe([eve.event(eve.refused(at=number, port=number + 1))])
    found.observe([eve.event(eve.flow(eve.PEER, at=6))])

    assert 1 == feature(found, [eve.refused(at=7, port=99)], "failed_ports")
    assert 1 == feature(found, [eve.refused(at=7, port=99)], "failed_flows") - 1


def test_the_recent_window_ends_after_ten_minutes_and_the_day_goes_on() -> None:
    """Failed ports of the first window are still part of the day."""
    found = extractor()
    found.observe([eve.event(eve.refused(at=n, port=100 + n)) for n in range(20)])

    assert 21 == feature(found, [eve.refused(at=599, port=1)], "failed_flows")
    assert 1 == feature(found, [eve.refused(at=600, port=2)], "failed_flows")
    assert 1 == feature(found, [eve.refused(at=630, port=2)], "failed_ports")
    day = feature(found, [eve.refused(at=660, port=2)], "day_failed_ports")
    assert pytest.approx(22, abs=3) == day


def test_the_day_ends_after_24_hours() -> None:
    """What was slow for longer than a day is forgotten."""
    found = extractor()
    found.observe([eve.event(eve.login(at=n)) for n in range(10)])

    assert 11 == feature(found, [eve.login(at=86_399)], "day_login_attempts")
    assert 1 == feature(found, [eve.login(at=86_400)], "day_login_attempts")


def test_an_event_out_of_order_counts_in_the_present_window() -> None:
    """Records come late; the window does not go back for them."""
    found = extractor()
    found.observe([eve.event(eve.refused(at=1000)), eve.event(eve.refused(at=2000))])

    assert 2 == feature(found, [eve.refused(at=0)], "failed_flows")
    summary = found.table.summary(found.table.row_of[eve.STRANGER])
    assert (eve.START * 10**6, (eve.START + 2000) * 10**6) == (
        summary.first_seen,
        summary.last_seen,
    )


@pytest.mark.parametrize("count", [1, 10, 50, 100, 200, 300, 400, 500])
@pytest.mark.parametrize("spread", ["neighbours", "multiples", "random"])
def test_distinct_ports_are_estimated_within_15_percent(count: int, spread: str) -> None:
    """A scan in order must not look larger than it is, nor a random one smaller."""
    ports = {
        "neighbours": list(range(1, count + 1)),
        "multiples": list(range(100, 100 + 64 * count, 64)),
        "random": random.Random(7).sample(range(65_536), count),  # noqa: S311 - a fixed choice
    }[spread]
    estimate = feature(extractor(), [eve.refused(port=port) for port in (*ports, *ports)], "ports")

    assert pytest.approx(count, rel=0.15, abs=1) == estimate


@pytest.mark.parametrize("count", [50, 200, 500])
@pytest.mark.parametrize("prefix", ["10.1.{}.{}", "2001:db8::{:x}:{:x}"])
def test_distinct_hosts_are_estimated_within_15_percent(count: int, prefix: str) -> None:
    """Neighbouring addresses, as a sweep asks for them."""
    records = [eve.refused(dest=prefix.format(n // 200, n % 200)) for n in range(count)]
    estimate = feature(extractor(), records * 2, "destinations")

    assert pytest.approx(count, rel=0.15) == estimate


def test_a_sketch_that_is_full_still_says_that_there_are_many() -> None:
    """An estimate has an end; it lies above every threshold."""
    records = [eve.refused(port=port) for port in range(1, 8001)]

    assert feature(extractor(), records, "failed_ports") > 1000


def test_an_address_costs_at_most_a_kibibyte() -> None:
    """Whatever it does: arrays have one width. Its name and its place in the index count too."""
    rows = 1000
    size = sum(array.nbytes for _, array in Columns.empty(rows).items())
    names = {f"198.51.{n // 250}.{n % 250}": n for n in range(rows)}
    size += sum(map(getsizeof, names)) + getsizeof(names) + 8 * rows

    assert size / rows <= 1024


def test_a_snapshot_restores_every_column_exactly() -> None:
    """And the order in which rows will go."""
    found = extractor()
    records = [
        make(f"203.0.113.{n % 17}", at=n * 7.0)
        for n, make in enumerate([eve.refused, eve.login, eve.flow, eve.alert, eve.http] * 40)
    ]
    found.observe([eve.event(record) for record in records])
    found.observe([eve.event(eve.dns())])
    copy = extractor()
    copy.restore(eve.snapshot_of(found))

    assert set(found.table.row_of) == set(copy.table.row_of)
    assert found.table.clock == copy.table.clock
    assert [eve.PEER] == copy.attribution.export()
    for address, row in found.table.row_of.items():
        other = copy.table.row_of[address]
        for name, array in found.table.columns.items():
            assert np.array_equal(array[row], getattr(copy.table.columns, name)[other]), name


def test_a_snapshot_is_a_copy() -> None:
    """What is counted while it is being written does not change it."""
    found = extractor()
    found.observe([eve.event(eve.flow())])
    arrays = eve.snapshot_of(found).rows.columns
    before = {name: array.copy() for name, array in arrays.items()}
    found.observe([eve.event(eve.flow(at=1)), eve.event(eve.flow(eve.PEER))])

    assert all(np.array_equal(before[name], arrays[name]) for name in before)


def test_a_smaller_table_takes_the_latest_rows_of_a_snapshot() -> None:
    """An operator may lower MAX_SOURCES."""
    found = extractor()
    found.observe([eve.event(eve.flow(f"203.0.113.{n}", at=n)) for n in range(9)])
    small = extractor(capacity=2)
    small.restore(eve.snapshot_of(found))

    assert {"203.0.113.7", "203.0.113.8"} == set(small.table.row_of)


def test_an_empty_snapshot_is_an_empty_table() -> None:
    """A daemon may be stopped before the first event."""
    copy = extractor()
    copy.restore(eve.snapshot_of(extractor()))
    copy.observe([eve.event(eve.flow())])

    assert 1 == len(copy.table)


def test_home_is_what_home_net_says_now_not_what_a_snapshot_says() -> None:
    """Otherwise a host that has become one of ours would still be acted against."""
    old = extractor()
    old.observe([eve.event(eve.flow())])
    new = Extractor(eve.settings(HOME_NET="203.0.113.0/24").features)
    new.restore(eve.snapshot_of(old))

    assert new.observe([eve.event(eve.flow(at=1))]).home.tolist() == [True]


def test_the_sources_with_the_most_alerts_come_first() -> None:
    """Those without alerts are left out."""
    found = extractor()
    for number, count in ((1, 2), (2, 5), (3, 0)):
        address = f"203.0.113.{number}"
        found.observe([eve.event(eve.alert(address)) for _ in range(count)])
        found.observe([eve.event(eve.flow(address))])

    assert [("203.0.113.2", 5), ("203.0.113.1", 2)] == found.table.top(3)
    assert [("203.0.113.2", 5)] == found.table.top(1)


def test_what_has_changed_can_be_taken_in_parts() -> None:
    """The first ones first; the clock of each part says where the next one begins."""
    found = extractor()
    found.observe([eve.event(eve.flow(f"203.0.113.{n}", at=n)) for n in range(100)])
    found.observe([eve.event(eve.flow(f"203.0.113.{n}", at=200)) for n in range(10)])
    parts, since = [], 0
    while since < found.table.clock:
        changes = found.changes({}, since, facts=True, most=40)
        assert len(changes.rows) == len(changes.facts)
        parts.append(list(changes.rows.addresses))
        since = changes.clock

    assert [40, 40, 20] == [len(part) for part in parts]
    assert 100 == len({address for part in parts for address in part})
    assert {f"203.0.113.{n}" for n in range(10)} <= set(parts[-1])
