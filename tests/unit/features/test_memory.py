"""What is known beyond single addresses: bounded, in the order of the events, and stored."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ai_suricata.core.schema import FEATURE_NAMES, INDEX
from ai_suricata.features import beat, passive, reputation, service
from ai_suricata.features.beat import STEPS, Beats
from ai_suricata.features.extract import Extractor
from ai_suricata.features.memory import Memory
from ai_suricata.features.recency import Recency
from ai_suricata.features.service import Services
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterable

MICROSECONDS = 1_000_000


def extractor() -> Extractor:
    """Return a fresh extractor."""
    return Extractor(eve.settings().features)


def last(found: Extractor, records: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Return the latest vector by name."""
    points = found.observe([eve.event(record) for record in records])
    return dict(zip(FEATURE_NAMES, points.matrix[-1].tolist(), strict=True))


def restarted(found: Extractor) -> Extractor:
    """Return an extractor that was restored from a snapshot of another."""
    copy = extractor()
    copy.restore(eve.snapshot_of(found))
    return copy


def beacon(count: int, every: float = 60.0, start: float = 0.0, size: int = 900) -> list[Any]:
    """Return connections of a workstation to one peer at equal intervals."""
    return [
        eve.flow(eve.WORKSTATION, eve.PEER, at=start + every * n, sent=(6, size))
        for n in range(count)
    ]


def test_connections_in_step_count_from_the_fourth_equal_interval_on() -> None:
    """Ten of them have nine intervals, of which the first has nothing to be equal to."""
    found = last(extractor(), beacon(10))

    assert (10 - 1 - STEPS, 10) == (found["day_beats"], found["day_proven_flows"])
    assert pytest.approx(0.5) == found["day_beat_ratio"]


@pytest.mark.parametrize(
    "records",
    [
        [eve.flow(eve.WORKSTATION, eve.PEER, at=2.0**n) for n in range(15)],
        [eve.flow(eve.WORKSTATION, eve.PEER, at=0.1 * n) for n in range(9)],
        [eve.flow(eve.WORKSTATION, eve.SERVER, at=60.0 * n) for n in range(20)],
        [eve.flow(eve.STRANGER, eve.SERVER, at=60.0 * n) for n in range(20)],
        [eve.flow(eve.STRANGER, eve.PEER, at=60.0 * n) for n in range(20)],
        [eve.silent(eve.WORKSTATION, eve.PEER, at=60.0 * n) for n in range(20)],
        [eve.flow(eve.WORKSTATION, f"198.51.100.{n}", at=60.0 * n) for n in range(20)],
        beacon(20, size=50_000),
        beacon(4),
    ],
    ids=[
        "growing",
        "one visit",
        "at home",
        "inbound",
        "passing",
        "unproven",
        "many",
        "large",
        "few",
    ],
)
def test_what_is_no_beacon_has_no_connections_in_step(records: list[Any]) -> None:
    """Other intervals, other peers, downloads, and what could have been forged."""
    assert 0 == last(extractor(), records)["day_beats"]


def test_an_interval_out_of_step_begins_the_count_anew() -> None:
    """After a pause it takes as many equal intervals as at first."""
    records = [*beacon(6), *beacon(6, start=3000.0)]

    assert 1 + 1 == last(extractor(), records)["day_beats"]
    assert 1 == last(extractor(), records[:-1])["day_beats"]


def test_a_beacon_that_wavers_is_still_in_step() -> None:
    """By a tenth to either side, as implants are told to."""
    records = [
        eve.flow(eve.WORKSTATION, eve.PEER, at=60.0 * n + (6 if n % 3 else -6)) for n in range(40)
    ]

    assert last(extractor(), records)["day_beats"] > 20


def test_steps_are_counted_on_after_a_restart() -> None:
    """The pace is in the snapshot."""
    found = extractor()
    last(found, beacon(3))
    copy = restarted(found)

    assert 5 == last(copy, beacon(7, start=180.0))["day_beats"]


def test_offered_services_are_known_after_a_restart() -> None:
    """And what nobody offered is not."""
    found = extractor()
    last(found, [eve.flow(port=8443)])
    copy = restarted(found)
    records = [eve.refused(eve.PEER, port=port) for port in (8443, 8444)]

    vector = last(copy, records)
    assert (2, 1) == (vector["day_failed_flows"], vector["day_unoffered_flows"])


def test_a_snapshot_of_an_older_version_has_no_memory() -> None:
    """It is taken as it is; so is a note that nobody can read."""
    memory = Memory()
    memory.restore({"resolvers": ("192.0.2.1",), "services": ("hello", "1 0 443", "1 x 1")})

    assert ("1 0 443",) == memory.export()["services"]


def test_the_memory_comes_back_as_it_was() -> None:
    """In the same order, which decides what goes first."""
    memory = Memory()
    for port in (443, 22, 443, 25):
        memory.services.answered(port, home=port != 22, udp=False)
    memory.reputation.raised("192.0.2.1", 7, proven=True)
    memory.reputation.raised("2001:db8::1", 9, proven=False)
    memory.reputation.did_wrong("192.0.2.9")
    party = extractor().home.party
    owner, peer = party(eve.WORKSTATION), party(eve.PEER)
    assert owner is not None
    assert peer is not None
    memory.beats.is_in_step(owner, peer, 443, 5)
    memory.link.saw(74, ipv6=False)
    memory.passive.announced("2001:db8::1", "192.0.2.1", 50_000, 7)
    copy = Memory()
    copy.restore(memory.export())

    assert memory.export() == copy.export()
    assert ("0 0 22", "1 0 443", "1 0 25") == copy.export()["services"]


def test_a_table_in_the_order_of_use_lets_the_oldest_go() -> None:
    """Putting is using; asking is not."""
    table: Recency[str, int] = Recency(2)
    table.put("a", 1)
    table.put("b", 2)
    table.put("a", 3)
    table.get("b")
    table.put("c", 4)

    assert ("a 3", "c 4") == table.export(lambda key, value: f"{key} {value}")
    assert (2, 3, None, 4) == (len(table), table.get("a"), table.get("b"), table.get("c"))


def test_only_what_has_changed_is_written_anew() -> None:
    """A snapshot is asked for every few seconds; what has gone is not kept either."""
    table: Recency[str, int] = Recency(2)
    written: list[str] = []

    def write(key: str, value: int) -> str:
        written.append(key)
        return f"{key} {value}"

    table.put("a", 1)
    table.put("b", 2)
    table.export(write)
    table.put("a", 1)
    first = table.export(write)
    table.put("b", 3)
    second = table.export(write)
    table.put("c", 4)
    table.put("a", 1)

    assert (("b 2", "a 1"), ("a 1", "b 3")) == (first, second)
    assert ("c 4", "a 1") == table.export(write)
    assert ["a", "b", "b", "c", "a"] == written


def test_nothing_is_kept_of_what_has_gone() -> None:
    """Nor the text that was written of it."""

    class Key:
        """A key that can be watched."""

    table: Recency[Key, int] = Recency(1)
    gone = Key()
    watched = weakref.ref(gone)
    table.put(gone, 1)
    table.export(lambda _key, value: str(value))
    table.put(Key(), 2)
    table.export(lambda _key, value: str(value))
    del gone

    assert watched() is None


def test_the_notes_of_a_full_memory_are_small() -> None:
    """They are written with every flush, whatever has changed."""
    memory, party = Memory(), extractor().home.party
    owner, peer = party(eve.WORKSTATION), party(eve.PEER)
    assert owner is not None
    assert peer is not None
    for n in range(1, 5000):
        memory.services.answered(n, home=True, udp=False)
        memory.beats.is_in_step(owner, peer, n, 1_700_000_000 * MICROSECONDS)
        for signature in range(8):
            source = f"198.51.{n // 250}.{n % 250}"
            memory.reputation.raised(source, 2_000_000 + 8 * n + signature, proven=True)

    assert 100_000 > sum(len(text) + 3 for texts in memory.export().values() for text in texts)


def test_no_part_of_the_memory_grows_without_end() -> None:
    """However many ports, pairs, signatures and sources there are."""
    memory = Memory()
    party = extractor().home.party
    owner, peer = party(eve.WORKSTATION), party(eve.PEER)
    assert owner is not None
    assert peer is not None
    for n in range(1, 5000):
        memory.services.answered(n, home=True, udp=False)
        memory.beats.is_in_step(owner, peer, n, 0)
        memory.reputation.raised(f"source {n}", n, proven=True)
        memory.passive.announced(f"client-{n}", "server", n, n)
    notes = memory.export()

    assert {
        "services": service.MOST_SERVICES,
        "paces": beat.MOST_PAIRS,
        "worth of signatures": reputation.MOST_SIGNATURES,
        "raisers": reputation.MOST_SIGNATURES,
        "alert sources": reputation.MOST_SOURCES,
        "link": 1,
        "passive": passive.MOST_PORTS,
    } == {name: len(texts) for name, texts in notes.items()}


def test_port_0_is_no_service() -> None:
    """ICMP has no port; nobody asks for one there."""
    services = Services()
    services.answered(0, home=True, udp=False)

    assert ((), True) == (services.export(), services.is_offered(0, home=True, udp=False))


def test_two_instances_join_what_their_memories_made_of_events() -> None:
    """Counters are joined; the memories are not, and go on from where each has come."""
    here, there = extractor(), extractor()
    last(here, [eve.flow(eve.PEER, port=81), eve.refused(port=81), eve.refused(port=82)])
    last(there, [eve.refused(port=81, at=1), eve.silent(port=83, at=2)])
    row = there.table.row_of[eve.STRANGER]
    here.table.adopt(there.table.export(np.array([row])), foreign=True)
    joined = here.observe([eve.event(eve.refused(port=81, at=3))]).matrix[-1]

    assert (3, 5, 1, 3) == tuple(
        joined[INDEX[name]]
        for name in ("unoffered_flows", "day_failed_flows", "lone_flows", "day_unoffered_ports")
    )


def test_a_pace_is_of_one_pair_and_one_port() -> None:
    """Two beacons of one host don't disturb each other."""
    beats, party = Beats(), extractor().home.party
    owner, one, other = (party(each) for each in (eve.WORKSTATION, eve.PEER, eve.STRANGER))
    assert owner is not None
    assert one is not None
    assert other is not None
    found = []
    for n in range(8):
        found.append(beats.is_in_step(owner, one, 443, n * 60 * MICROSECONDS))
        beats.is_in_step(owner, other, 443, n * 37 * MICROSECONDS)
        beats.is_in_step(owner, one, 80, (n * n) * MICROSECONDS)

    assert [False] * (1 + STEPS) + [True] * 3 == found
