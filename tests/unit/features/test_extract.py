"""From events to feature vectors: what counts as what, and when a source is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ai_suricata.core.schema import FEATURE_NAMES, INDEX
from ai_suricata.features.evidence import tells_of_attack
from ai_suricata.features.extract import Extractor
from ai_suricata.features.schedule import is_milestone
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_suricata.features.extract import Points


def observed(records: Iterable[dict[str, Any]]) -> Points:
    """Return the points of a fresh extractor."""
    return Extractor(eve.settings().features).observe([eve.event(record) for record in records])


def last(records: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Return the latest vector by name."""
    return dict(zip(FEATURE_NAMES, observed(records).matrix[-1].tolist(), strict=True))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (eve.flow(), {"flows": 1, "proven_flows": 1, "failed_flows": 0, "ports": 1}),
        (eve.refused(), {"failed_flows": 1, "failed_ratio": 1, "failed_destinations": 1}),
        (eve.silent(proto="UDP"), {"udp_ratio": 1, "failed_flows": 1, "proven_flows": 0}),
        (eve.silent(proto="ICMP"), {"icmp_ratio": 1}),
        (eve.silent(proto="IPv6-ICMP"), {"icmp_ratio": 1}),
        (eve.flow(port=1023), {"well_known_ratio": 1}),
        (eve.flow(port=1024), {"well_known_ratio": 0}),
        (eve.flow(port=None), {"well_known_ratio": 0, "ports": 1}),
        (eve.flow(sent=(4, 400)), {"packets_sent": 4, "bytes_sent": 400, "bytes_per_packet": 100}),
        (eve.flow(sent=(1, 100), received=(1, 300)), {"received_ratio": 0.75}),
        (eve.flow(seconds=12.5), {"flow_duration": 12.5}),
        (eve.flow(seconds=-5), {"flow_duration": 0}),
        (eve.login(), {"login_attempts": 1, "day_login_attempts": 1}),
        (eve.flow(port=22, seconds=300), {"login_attempts": 0}),
        (eve.flow(port=443), {"login_attempts": 0}),
        (eve.refused(port=22), {"login_attempts": 0}),
        (eve.ftp(), {"login_attempts": 1, "day_login_attempts": 1}),
        (eve.ftp(code="230"), {"login_attempts": 0}),
        (eve.ftp(code=None), {"login_attempts": 0}),
        (eve.alert(severity=1), {"alerts_severity_1": 1, "alerts_severity_2": 0, "alerts": 1}),
        (eve.alert(severity=2), {"alerts_severity_1": 0, "alerts_severity_2": 1, "alerts": 1}),
        (eve.alert(severity=3), {"alerts_severity_1": 0, "alerts_severity_2": 0, "alerts": 1}),
        (eve.alert(), {"attack_alerts": 1, "attack_signatures": 1, "proven_attack_alerts": 0}),
        (eve.alert(app_proto="http"), {"proven_attack_alerts": 1, "proven_attack_signatures": 1}),
        (eve.alert(category="Misc activity"), {"alerts": 1, "attack_alerts": 0}),
        (eve.http(status=404), {"http_requests": 1, "http_errors": 1, "http_error_ratio": 1}),
        (eve.http(status=401), {"http_errors": 1, "http_denied": 1}),
        (eve.http(status=403), {"http_errors": 1, "http_denied": 1}),
        (eve.http(status=500), {"http_requests": 1, "http_errors": 0, "http_denied": 0}),
        (eve.http(status=None), {"http_requests": 1, "http_errors": 0}),
        (eve.dns(eve.STRANGER, eve.SERVER), {"dns_queries": 1, "dns_failures": 0}),
        (eve.dns(eve.STRANGER, eve.SERVER, kind="request"), {"dns_queries": 1}),
        (eve.dns(eve.STRANGER, eve.SERVER, kind="answer", rcode="NXDOMAIN"), {"dns_failures": 1}),
        (eve.dns(eve.STRANGER, eve.SERVER, kind="answer", rcode="NOERROR"), {"dns_failures": 0}),
        (eve.other("tls"), {"tls_handshakes": 1}),
        (eve.other("ssh"), {"ssh_sessions": 1}),
        (eve.other("anomaly"), {"anomalies": 1}),
    ],
)
def test_one_event_adds_what_it_says(record: dict[str, Any], expected: dict[str, float]) -> None:
    """Each kind of record moves its own features."""
    found = last([record])

    assert expected == {name: found[name] for name in expected}


def test_checksum_alerts_are_no_attack() -> None:
    """They come from offloading to the network card (SID 2200073 to 2200079)."""
    record = eve.alert(
        sid=2_200_074, category="Generic Protocol Command Decode", signature="SURICATA TCP checksum"
    )

    assert (1, 0) == (last([record])["alerts"], last([record])["attack_alerts"])


def test_a_scan_signature_is_an_attack_whatever_its_class() -> None:
    """Many of them are classed as mere information."""
    alert = eve.event(eve.alert(category="Misc activity", signature="ET SCAN Zmap")).alert

    assert alert is not None
    assert tells_of_attack(alert)


def test_scan_signature_that_names_a_crawler_is_no_attack() -> None:
    """Search engines give their name; the class says that nothing is wrong with it."""
    record = eve.alert(category="Not Suspicious Traffic", signature="ET SCAN Bing Webcrawler")
    alert = eve.event(record).alert

    assert alert is not None
    assert not tells_of_attack(alert)


def test_a_multicast_group_that_does_not_answer_is_no_failure() -> None:
    """Nobody is expected to answer."""
    groups = ["224.0.0.251", "ff02::fb", "255.255.255.255", "0.0.0.0"]

    assert 0 == last(eve.silent(dest=group, proto="UDP") for group in groups)["failed_flows"]


def test_rates_are_over_the_time_that_the_window_has_lasted() -> None:
    """Eight connections in a moment are eight a second; over eight seconds, about one."""
    at_once = last(eve.flow(at=0) for _ in range(8))
    spread = last(eve.flow(at=n) for n in range(8))

    assert 8 == at_once["flow_rate"]
    assert pytest.approx(8 / 7) == spread["flow_rate"]


def test_one_old_connection_does_not_hide_the_rate_of_the_new_ones() -> None:
    """It stretches the window by ten minutes at most."""
    flood = [eve.flow(at=86_400 + n * 0.1) for n in range(1200)]
    late = eve.flow(at=0) | {"timestamp": eve.stamp(86_400)}

    assert last([flood[0], late, *flood[1:]])["flow_rate"] > 1200 / (600 + 120 + 30)


@pytest.mark.parametrize("written", [0, 5_000, 10**8])
def test_when_a_flow_record_was_written_moves_nothing(written: float) -> None:
    """A whole scan can carry the timestamp of Suricata's shutdown."""
    expected = observed(eve.refused(at=n, port=n) for n in range(1, 40))
    shifted = observed(
        eve.refused(at=n, port=n) | {"timestamp": eve.stamp(written)} for n in range(1, 40)
    )

    assert expected.times.tolist() == shifted.times.tolist()
    assert np.array_equal(expected.matrix, shifted.matrix)


@pytest.mark.parametrize(
    "changed",
    [
        {"pkts_toserver": 2**62, "bytes_toserver": 2**62},
        {"pkts_toclient": -(2**62), "bytes_toclient": -1},
        {"start": eve.stamp(0), "end": "9999-12-31T23:59:59Z"},
        {"end": "never"},
        {"end": None},
    ],
)
def test_absurd_counters_stay_finite_and_not_negative(changed: dict[str, Any]) -> None:
    """Sums of them must not overflow, nor must a logarithm of them fail."""
    record = eve.flow()
    record["flow"] |= changed
    matrix = observed([record] * 100).matrix

    assert np.isfinite(matrix).all()
    assert (matrix >= 0).all()


def test_a_source_is_due_at_each_of_its_first_events_then_more_rarely() -> None:
    """Each to the 8th, each 4th to the 64th, then each 16th."""
    due = [count for count in range(1, 120) if is_milestone(count)]

    assert [*range(1, 9), *range(12, 65, 4), *range(80, 120, 16)] == due


def test_a_source_is_due_at_its_first_event_in_each_slot_of_event_time() -> None:
    """A slow scanner is scored though it never reaches the next milestone."""
    points = observed([eve.flow(at=0) for _ in range(9)] + [eve.flow(at=30), eve.flow(at=31)])

    assert [0] * 8 + [30] == [int(time // 10**6) - eve.START for time in points.times.tolist()]


def test_points_come_in_the_order_of_the_events_that_made_them_due() -> None:
    """Whatever the order in which rows were worked."""
    records = [eve.flow(f"203.0.113.{n % 3}", at=n) for n in range(20)]
    points = observed(records)

    assert sorted(points.times.tolist()) == points.times.tolist()
    assert ["203.0.113.0", "203.0.113.1", "203.0.113.2"] * 6 + [
        "203.0.113.0",
        "203.0.113.1",
    ] == points.addresses


def test_every_feature_is_moved_by_some_event() -> None:
    """A feature that is always 0 would be dead weight in the vector."""
    agent, question = eve.http(), eve.dns(eve.STRANGER, eve.SERVER)
    given = eve.guess("guess")
    at_home = {"day_beats", "day_beat_ratio", "day_uploaded"}
    ports = (22, 445, 3306, 5555, 80, 25, 5060, 4)  # one of each class but that of UDP
    strange = [
        *(eve.refused(port=port) for port in ports),
        eve.silent(proto="UDP", port=123),
        eve.silent(proto="ICMP", at=1),
        eve.flow(tcp=eve.HALF_OPEN),
        eve.flow(tcp=eve.SILENT, sent=(1, 58), received=(0, 0)),
        eve.http(status=500, url="/../../etc/passwd"),
        agent | {"http": agent["http"] | {"http_method": "PUT", "http_user_agent": "a"}},
        question | {"dns": {"type": "query", "rrname": "a.example", "rrtype": "TXT"}},
        eve.login(),
        given,
        eve.alert(app_proto="http"),
        eve.alert(severity=2),
        eve.http(status=401),
        eve.http(status=401),
        eve.dns(eve.STRANGER, eve.SERVER),
        eve.dns(eve.STRANGER, eve.SERVER, kind="answer", rcode="REFUSED"),
        eve.other("tls"),
        eve.other("ssh"),
        eve.other("anomaly", at=31),
    ]
    beacon = [eve.flow(eve.WORKSTATION, eve.PEER, at=60 * n) for n in range(7)]
    found, home = observed(strange).matrix[-1], observed(beacon).matrix[-1]

    assert at_home == {name for name in FEATURE_NAMES if found[INDEX[name]] == 0}
    assert [] == [name for name in at_home if home[INDEX[name]] == 0]


def test_a_record_from_the_future_does_not_hold_the_windows_open() -> None:
    """A clock that was ahead for a moment would otherwise let ten minutes last for years."""
    found = Extractor(eve.settings().features)
    found.observe([eve.event(eve.login(at=10 * 365 * 86_400))])
    for hour in range(30):
        points = found.observe([eve.event(eve.login(at=3600.0 * hour))])

    [vector] = points.matrix.tolist()
    assert 1 == vector[INDEX["login_attempts"]]
