"""What a flow record adds: lone, bare, unoffered, proven; each from the record alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ai_suricata.core.schema import FEATURE_NAMES
from ai_suricata.features.extract import Extractor
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterable


def last(records: Iterable[dict[str, Any]], extractor: Extractor | None = None) -> dict[str, float]:
    """Return the latest vector by name."""
    found = extractor or Extractor(eve.settings().features)
    points = found.observe([eve.event(record) for record in records])
    return dict(zip(FEATURE_NAMES, points.matrix[-1].tolist(), strict=True))


def silent(packets: int, size: int, seconds: float = 0.0, src: str = eve.STRANGER) -> eve.Record:
    """Return a SYN that nobody answered: so many packets of a size, over a time."""
    return eve.flow(
        src,
        tcp=eve.SILENT,
        sent=(packets, packets * size),
        received=(0, 0),
        seconds=seconds,
    )


UDP = eve.silent(proto="UDP", port=123)
ANSWERED = eve.flow(tcp=None, proto="UDP", port=53, sent=(1, 70), received=(1, 200))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (silent(1, 74), {"lone_flows": 1, "lone_ratio": 1, "silent_flows": 1, "bare_flows": 0}),
        (silent(2, 74, 0.000005), {"lone_flows": 1, "day_lone_flows": 1}),
        (silent(5, 74, 0.01), {"lone_flows": 0, "silent_flows": 1}),
        (silent(2, 74, 1.0), {"lone_flows": 0, "silent_flows": 1, "day_lone_flows": 0}),
        (eve.refused(), {"refused_flows": 1, "silent_flows": 0, "lone_flows": 0}),
        (eve.flow(tcp=eve.HALF_OPEN), {"half_open_flows": 1, "refused_flows": 0}),
        (eve.flow(), {"silent_flows": 0, "half_open_flows": 0, "refused_flows": 0}),
        (UDP, {"lone_flows": 1, "bare_flows": 0, "day_failed_amplifier": 1}),
        (ANSWERED, {"silent_flows": 0, "failed_flows": 0, "day_failed_flows": 0}),
        (silent(1, 58), {"bare_flows": 1, "day_bare_flows": 1}),
        (silent(2, 40), {"bare_flows": 1}),
        (silent(1, 60), {"bare_flows": 0}),
        (silent(1, 60, src="2001:db8::9"), {"bare_flows": 1}),
        (silent(1, 94, src="2001:db8::9"), {"bare_flows": 0}),
        (eve.flow(sent=(4, 4 * 58)), {"bare_flows": 0}),
        (eve.refused(port=3306), {"day_failed_database": 1, "day_failed_other": 0}),
        (eve.refused(port=47_123), {"day_failed_database": 0, "day_failed_other": 1}),
        (eve.flow(port=3306), {"day_failed_database": 0}),
        (eve.silent(proto="ICMP", port=None), {"day_failed_other": 0, "unoffered_flows": 0}),
        (
            eve.flow(sent=(6, 900), received=(6, 4100), seconds=2),
            {
                "proven_bytes_sent": 900,
                "proven_bytes_received": 4100,
                "proven_received_ratio": 0.82,
                "proven_bytes_per_flow": 5000,
                "proven_flow_duration": 2,
                "proven_destinations": 1,
            },
        ),
        (
            eve.flow(tcp=eve.CONNECTED),
            {"proven_bytes_sent": 0, "proven_bytes_received": 0, "proven_flow_duration": 0},
        ),
        (eve.flow(port=993, sent=(8, 700), received=(8, 3000)), {"short_sessions": 1}),
        (eve.flow(port=993, seconds=31, sent=(8, 700)), {"short_sessions": 0}),
        (eve.flow(port=993, sent=(5, 299)), {"short_sessions": 0}),
        (eve.login(), {"short_sessions": 1, "short_ratio": 1, "day_short_sessions": 1}),
        (eve.flow(port=25, sent=(8, 700)), {"short_sessions": 1, "login_attempts": 0}),
    ],
)
def test_one_flow_adds_what_it_says(record: eve.Record, expected: dict[str, float]) -> None:
    """Each kind of flow moves its own features."""
    found = last([record])

    assert expected == {name: found[name] for name in expected}


def test_a_port_that_somebody_has_offered_is_not_unoffered() -> None:
    """Whoever answered there, and whatever host the next one asks."""
    strange = last([eve.refused(dest="10.0.0.6", port=443)])
    known = last([eve.flow(eve.PEER, port=443), eve.refused(dest="10.0.0.6", port=443)])

    assert (1, 1, 1) == (
        strange["unoffered_flows"],
        strange["unoffered_ratio"],
        strange["day_unoffered_ports"],
    )
    assert (1, 0, 0) == (
        known["failed_flows"],
        known["unoffered_flows"],
        known["day_unoffered_ports"],
    )


@pytest.mark.parametrize(
    "answer",
    [
        eve.flow(eve.PEER, port=81),
        eve.flow(eve.PEER, port=81, tcp=eve.HALF_OPEN),
        eve.other("tls", eve.PEER) | {"dest_port": 81},
        eve.http(eve.PEER) | {"dest_port": 81},
    ],
    ids=["completed", "half open", "tls", "http"],
)
def test_a_service_is_learned_from_whatever_only_it_can_have_said(answer: eve.Record) -> None:
    """SYN+ACK, or a record that needs an established stream, before its flow has ended."""
    assert 0 == last([answer, eve.refused(port=81)])["unoffered_flows"]


@pytest.mark.parametrize(
    "other",
    [
        eve.refused(eve.PEER, port=81),
        eve.silent(eve.PEER, port=81),
        eve.flow(eve.PEER, tcp=None, proto="UDP", port=81),
        eve.flow(eve.WORKSTATION, eve.PEER, port=81),
        eve.flow(eve.PEER, port=82),
    ],
    ids=["refused", "silent", "udp", "outside", "another port"],
)
def test_a_service_is_not_learned_from_anything_else(other: eve.Record) -> None:
    """Another protocol, side or port, and what was asked in vain."""
    assert 1 == last([other, eve.refused(port=81)])["unoffered_flows"]


def probe(port: int, at: float = 0.0) -> eve.Record:
    """Return an ACK, a FIN or nothing at all, which belongs to no connection and gets a RST."""
    none = ("00", "00", "none")
    record = eve.flow(at=at, port=port, tcp=none, sent=(1, 60), received=(1, 60))
    record["flow"]["state"] = "new"
    return record


def test_packets_of_no_connection_fail_where_nobody_offers_the_port() -> None:
    """A stealth scan is one; the end of a connection that was forgotten goes to a real service."""
    scan = last(probe(port, at=port) for port in range(100, 148))
    late = last([eve.flow(eve.PEER, port=443), *(probe(443, at=n) for n in range(48))])

    assert (48, 48) == (scan["failed_flows"], scan["refused_flows"])
    assert pytest.approx(48, rel=0.15) == scan["failed_ports"]
    assert (0, 0) == (late["failed_flows"], late["failed_ports"])


def passive(port: int, at: float, dest: str = eve.SERVER) -> eve.Record:
    """Return the reply of an FTP server that names a data port."""
    record = eve.ftp(dest=dest, at=at, code="227")
    record["ftp"] |= {"command": "PASV", "dynamic_port": port}
    return record


def test_a_data_port_that_a_server_announced_is_not_looked_for() -> None:
    """FTP's passive mode behind a firewall: the client asks where it was told to."""
    told = [passive(50_000 + n, at=30.0 * n) for n in range(6)]
    asked = [eve.refused(at=30.0 * n + 1, port=50_000 + n) for n in range(6)]
    found = last([*told, *asked, eve.flow(at=400)])
    names = ("failed_flows", "failed_ports", "unoffered_flows")

    assert (6, 0, 0) == tuple(found[name] for name in names)


@pytest.mark.parametrize(
    "told",
    [passive(50_001, 0.0), passive(50_000, 0.0, eve.PEER), passive(50_000, -700.0), eve.flow()],
    ids=["another port", "another server", "long ago", "nothing"],
)
def test_what_was_not_announced_hides_no_scan(told: eve.Record) -> None:
    """Only the port that was named, on the server that named it, for ten minutes."""
    found = last([told, eve.refused(at=30.0, port=50_000)])

    assert 1 == found["failed_ports"]


def test_peers_outside_need_not_offer_what_is_asked_of_them_over_udp() -> None:
    """Peers of games and of file sharing have a port each, and many are gone."""
    over_udp = eve.silent(eve.WORKSTATION, eve.PEER, port=6346, proto="UDP")
    over_tcp = eve.silent(eve.WORKSTATION, eve.PEER, port=6346)

    assert (0, 1) == (last([over_udp])["unoffered_flows"], last([over_tcp])["unoffered_flows"])


def test_a_broadcast_at_home_is_asked_of_nobody() -> None:
    """Nobody is expected to answer the last address of a network."""
    record = eve.silent(eve.WORKSTATION, "10.0.0.255", port=9999, proto="UDP")

    assert (1, 0) == (last([record])["flows"], last([record])["failed_flows"])


@pytest.mark.parametrize(("proto", "failed"), [("UDP", 0), ("ICMP", 0), ("TCP", 1)])
def test_silence_between_two_strangers_says_nothing_but_on_tcp(proto: str, failed: int) -> None:
    """The answer may have gone another way; asked of a host at home it would have been seen."""
    passing = last([eve.silent(eve.STRANGER, eve.PEER, proto=proto)])
    asked = last([eve.silent(eve.STRANGER, eve.SERVER, proto=proto)])

    assert (failed, failed) == (passing["failed_flows"], passing["lone_flows"])
    assert (1, 1) == (asked["failed_flows"], asked["lone_flows"])


def test_gaps_between_connections_tell_a_machine_from_a_person() -> None:
    """A connection each 20 seconds, and the same number in bursts."""
    regular = last(eve.flow(at=20.0 * n) for n in range(9))
    bursts = last(eve.flow(at=40.0 * (n // 2) + n % 2) for n in range(9))

    assert (20, 0) == (regular["gap_mean"], regular["gap_variation"])
    assert pytest.approx(20) == bursts["gap_mean"]
    assert bursts["gap_variation"] > 0.9


def test_a_gap_counts_over_the_border_of_a_window_and_ends_at_ten_minutes() -> None:
    """The window begins anew; the connection before it is still the one before."""
    short = last([eve.flow(at=590), eve.flow(at=0), eve.flow(at=640)])
    long = last([eve.flow(at=0), eve.flow(at=86_400)])

    assert 600 == long["gap_mean"]
    assert (590 + 600) / 2 == short["gap_mean"]


def test_a_source_that_was_never_seen_before_has_no_gap() -> None:
    """One connection says nothing of intervals."""
    assert (0, 0) == (last([eve.flow()])["gap_mean"], last([eve.flow()])["gap_variation"])


def test_hours_and_age_tell_how_long_a_source_has_been_about() -> None:
    """Three connections in two hours of the day; the age goes on over days."""
    found = last([eve.flow(at=0), eve.flow(at=60), eve.flow(at=7200)])
    later = last([eve.flow(at=0), eve.flow(at=3 * 86_400)])

    assert (2, 7200) == (found["day_hours"], found["age"])
    assert (1, 3 * 86_400) == (later["day_hours"], later["age"])


def test_the_day_goes_on_where_the_recent_window_has_ended() -> None:
    """Slow scans are slower than ten minutes."""
    found = last(eve.silent(port=2000 + n, at=1000.0 * n) for n in range(5))

    assert (1, 5) == (found["flows"], found["day_flows"])
    assert (1, 5) == (found["failed_flows"], found["day_failed_flows"])
    assert (1, 5) == (found["unoffered_flows"], found["day_unoffered_flows"])
    assert (1, 5, 1) == (
        found["lone_flows"],
        found["day_lone_flows"],
        found["day_failed_ratio"],
    )


def test_what_a_home_host_sends_outside_is_uploaded() -> None:
    """Not what a stranger sends to us, nor what stays at home, nor what needed no handshake."""
    sent = (900, 1_200_000)
    outside = last([eve.flow(eve.WORKSTATION, eve.PEER, sent=sent)])
    inside = last([eve.flow(eve.WORKSTATION, eve.SERVER, sent=sent)])
    stranger = last([eve.flow(sent=sent)])
    unproven = last([eve.flow(eve.WORKSTATION, eve.PEER, tcp=eve.CONNECTED, sent=sent)])

    uploaded = [part["day_uploaded"] for part in (outside, inside, stranger, unproven)]
    assert [1_200_000, 0, 0, 0] == uploaded
