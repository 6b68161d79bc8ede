"""The same flow in two files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ai_suricata.core.address import parse_network
from ai_suricata.features import twin
from ai_suricata.features.home import HomeNetwork
from ai_suricata.features.twin import Twins, family, spread
from fakes import eve
from fakes.eve import PEER, SERVER, STRANGER, WORKSTATION

if TYPE_CHECKING:
    from collections.abc import Iterable

WAN, LAN = "/log/wan/eve.json", "/log/lan/eve.json"
OUTSIDE = "192.0.2.1"
"""The firewall's own address, behind which the hosts at home are."""

Story = tuple[str, dict[str, Any]]
"""A file, and a record that it holds."""


@pytest.fixture
def twins() -> Twins:
    """Return a memory that holds nothing yet."""
    return Twins(HomeNetwork([parse_network("10.0.0.0/8"), parse_network(OUTSIDE)]))


def counted(twins: Twins, stories: Iterable[Story]) -> list[Story]:
    """Return those that are told for the first time."""
    return [
        (origin, record)
        for origin, record in stories
        if not twins.is_repeated(eve.event(record), origin)
    ]


@pytest.mark.parametrize(
    "record",
    [eve.flow(), eve.alert(), eve.http(STRANGER), eve.dns(WORKSTATION), eve.other("tls", PEER)],
    ids=lambda record: record["event_type"],
)
def test_what_a_second_file_tells_is_a_repetition(twins: Twins, record: dict[str, Any]) -> None:
    """Of every event type; a third file repeats it as well."""
    stories = [(WAN, record), (LAN, record), ("/log/dmz/eve.json", record)]

    assert stories[:1] == counted(twins, stories)


def test_one_file_may_say_the_same_often(twins: Twins) -> None:
    """An alert that is raised three times in a second is three alerts, whoever tells of them."""
    alerts = [eve.alert(at=second / 10) for second in range(3)]
    stories = [(WAN, alert) for alert in alerts] + [(LAN, alert) for alert in alerts]

    assert stories[:3] == counted(twins, stories)


def test_the_file_that_tells_of_more_is_believed(twins: Twins) -> None:
    """A packet that one of two processes missed is no repetition."""
    alert = eve.alert()
    stories = [(WAN, alert), (LAN, alert), (LAN, alert)]

    assert [stories[0], stories[2]] == counted(twins, stories)


def test_times_may_differ_a_little(twins: Twins) -> None:
    """Two processes look at a stream some packets apart, also across the border of a slot."""
    stories = [(WAN, eve.alert(at=1.999)), (LAN, eve.alert(at=3.2))]

    assert stories[:1] == counted(twins, stories)


def test_later_is_not_the_same(twins: Twins) -> None:
    """A port that is used again a minute later is another connection."""
    stories = [(WAN, eve.flow(at=0)), (LAN, eve.flow(at=60))]

    assert stories == counted(twins, stories)


def test_another_port_signature_or_address_is_not_the_same(twins: Twins) -> None:
    """Only what agrees in all that it is known by."""
    stories = [
        (WAN, eve.flow(port=80)),
        (LAN, eve.flow(port=81)),
        (LAN, eve.flow(PEER, port=80)),
        (LAN, eve.alert(port=80)),
        (WAN, eve.flow(port=80, proto="UDP")),
    ]

    assert stories == counted(twins, stories)


def test_the_answering_side_may_be_the_one_that_is_told_of(twins: Twins) -> None:
    """An alert on the answer has its ends the other way round in the file that saw it so."""
    there = eve.alert(STRANGER, SERVER, src_port=40_000, port=80)
    back = eve.alert(SERVER, STRANGER, src_port=80, port=40_000)

    assert [(WAN, there)] == counted(twins, [(WAN, there), (LAN, back)])


def test_a_translated_address_at_home_is_seen_through(twins: Twins) -> None:
    """Outside the port forward has the firewall's address, inside that of the server."""
    outside, inside = eve.flow(STRANGER, OUTSIDE), eve.flow(STRANGER, SERVER)

    assert [(WAN, outside)] == counted(twins, [(WAN, outside), (LAN, inside)])


def test_a_sweep_that_both_files_see_untranslated_counts_each_host(twins: Twins) -> None:
    """A scanner may keep its source port: the hosts at home are told apart by their addresses."""
    sweep = [eve.flow(STRANGER, f"10.0.0.{n}", at=n / 100) for n in range(1, 40)]
    backwards = list(reversed(sweep))
    stories = [(WAN, record) for record in sweep] + [(LAN, record) for record in backwards]

    assert stories[: len(sweep)] == counted(twins, stories)


def test_two_hosts_that_both_files_know_are_not_one_that_was_translated(twins: Twins) -> None:
    """However the two files are read between each other."""
    known = [(file, eve.flow(PEER, f"10.0.0.{n}")) for n in (1, 2) for file in (WAN, LAN)]
    counted(twins, known)
    one, two = eve.flow(STRANGER, "10.0.0.1"), eve.flow(STRANGER, "10.0.0.2")
    stories = [(WAN, one), (LAN, two), (LAN, one), (WAN, two)]

    assert stories[:2] == counted(twins, stories)


def test_events_without_addresses_are_never_repetitions(twins: Twins) -> None:
    """Statistics of two processes are two statistics."""
    stats = {"timestamp": eve.stamp(0), "event_type": "stats"}
    strange = eve.flow("not an address")

    assert 4 == len(counted(twins, [(WAN, stats), (LAN, stats), (WAN, strange), (LAN, strange)]))


def test_a_restart_in_the_middle_goes_on(twins: Twins) -> None:
    """What one file has told before the snapshot is a repetition after it, in the other file."""
    routed, translated = eve.flow(WORKSTATION), eve.flow(STRANGER, OUTSIDE)
    counted(twins, [(WAN, routed), (WAN, translated)])
    after = Twins(HomeNetwork([parse_network("10.0.0.0/8"), parse_network(OUTSIDE)]))
    after.restore(twins.export())

    assert [] == counted(after, [(LAN, routed), (LAN, eve.flow(STRANGER, SERVER))])


def test_what_others_choose_the_length_of_costs_the_same(twins: Twins) -> None:
    """A long URL would otherwise fill memory and state; two that differ stay two."""
    long, other = "/" + "x" * 100_000, "/" + "x" * 100_000 + "y"
    stories = [(WAN, eve.http(STRANGER, url=url)) for url in (long, other)]

    assert stories == counted(twins, stories)
    assert max(map(len, twins.export())) < 300
    assert [] == counted(twins, [(LAN, record) for _, record in stories])


def test_a_snapshot_is_made_anew_only_after_a_change(twins: Twins) -> None:
    """A flush that found nothing new copies nothing."""
    counted(twins, [(WAN, eve.flow())])
    first = twins.export()

    assert first is twins.export()
    counted(twins, [(LAN, eve.flow())])
    assert first != twins.export()


def test_what_a_snapshot_holds_is_bounded(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is the memory; the latest stay."""
    monkeypatch.setattr(twin, "MOST_MOMENTS", 10)
    monkeypatch.setattr(twin, "MOST_STORED", 5)
    counted(twins, [(WAN, eve.flow(port=port)) for port in range(1, 100)])

    assert 5 == len(twins.export())
    assert [] == counted(twins, [(LAN, eve.flow(port=port)) for port in range(90, 100)])
    assert 1 == len(counted(twins, [(LAN, eve.flow(port=1))]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/log/eve.json", "/log/eve.json.1"),
        ("/log/eve.json", "/log/eve.json.2026_1120_1030"),
        ("/log/eve.json", "/log/eve.json-20261120.gz"),
        ("/log/eve-2026-11-19.json", "/log/eve-2026-11-20.json"),
        ("/log/eve.20261119-120000.json", "/log/eve.20261120-130000.json"),
        ("/log/eve-1795163000.json", "/log/eve-1795166600.json"),
    ],
)
def test_rotated_files_are_of_one_family(one: str, other: str) -> None:
    """Yesterday's file and today's are of one process: at midnight nothing is a repetition."""
    assert family(one) == family(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/log/suricata_em012/eve.json", "/log/suricata_em145/eve.json"),
        ("/log/eve-em0.json", "/log/eve-em1.json"),
        ("/log/20261120.json", "/log/eve.json"),
    ],
)
def test_files_of_two_interfaces_are_not(one: str, other: str) -> None:
    """Neither by their folder nor by their name."""
    assert family(one) != family(other)


def test_runs_of_lines_are_spread_over_the_lines() -> None:
    """Each line gets the name of its family."""
    assert [WAN, WAN, LAN] == list(spread([(WAN + ".1", 2), (LAN, 1)]))
