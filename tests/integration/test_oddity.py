"""What was recorded to break parsers, line by line: what each comes to, and for whom it counts.

The lines are `odd/oddities.json.gz`; `odd/oddities.tsv` beside it says what is odd about each.
"""

from __future__ import annotations

import pytest

from ai_suricata.core.event import Event, decode
from ai_suricata.core.timestamp import format_timestamp
from fakes import eve

pytestmark = eve.needs_data

NOBODY = None
NO_ADDRESS = (None, None)
LOCAL = "127.0.0.1"
LOCAL_6 = "0000:0000:0000:0000:0000:0000:0000:0001"

# number and oddity; event type; source address and port as read; whose behaviour it counts for
OUTCOMES: list[tuple[str, str, tuple[str | None, int | None], str | None]] = [
    ("1 stats: no src_ip, wall-clock timestamp years after packets", "stats", NO_ADDRESS, NOBODY),
    ("2 alert without src_ip/dest_ip/proto/flow_id", "alert", NO_ADDRESS, NOBODY),
    ("3 alert without src_ip", "alert", NO_ADDRESS, NOBODY),
    ("4 timestamp with 7 fractional digits", "alert", (LOCAL, 57226), LOCAL),
    ("5 duplicate JSON keys sa_life_duration", "ike", ("192.168.12.1", 500), NOBODY),
    ("6 NUL inside a string", "dhcp", ("10.16.1.1", 67), NOBODY),
    (
        "7 binary url and http_method with literal \\x escapes",
        "alert",
        ("10.6.29.102", 49190),
        "10.6.29.102",
    ),
    ("8 control characters in dns.rrname", "dns", (LOCAL, 35980), LOCAL),
    ("9 latin-1 byte as \\xe4 text in rrname", "dns", ("10.0.2.30", 44639), "10.0.2.30"),
    ("10 binary dns rdata", "dns", ("10.0.2.30", 44639), "10.0.2.30"),
    ("11 NUL in tls.subject", "tls", (LOCAL, 60676), LOCAL),
    ("12 U+FFFD in smb native_os", "smb", ("10.4.30.101", 49457), NOBODY),
    ("13 mqtt message is a JPEG", "mqtt", (LOCAL_6, 53654), NOBODY),
    ("14 vlan", "flow", ("5.6.7.8", 6666), "5.6.7.8"),
    ("15 src==dst", "flow", (LOCAL, 20), LOCAL),
    (
        "16 link-local",
        "flow",
        ("fe80:0000:0000:0000:b9a3:aa8f:3e8e:fe86", 5353),
        "fe80::b9a3:aa8f:3e8e:fe86",
    ),
    (
        "17 IPv6-ICMP, noport",
        "flow",
        ("fe80:0000:0000:0000:b9a3:aa8f:3e8e:fe86", None),
        "fe80::b9a3:aa8f:3e8e:fe86",
    ),
    ("18 src==dst", "alert", (LOCAL, 50802), LOCAL),
    ("19 src==dst", "tls", (LOCAL, 50802), LOCAL),
    ("20 unspecified src", "flow", ("0.0.0.0", 68), "0.0.0.0"),
    ("21 ICMP, noport", "flow", ("14.80.84.66", None), "14.80.84.66"),
    ("22 vlan", "alert", ("2.2.2.2", 8080), "1.1.1.1"),
    ("23 IPv6, noport", "flow", ("10.1.0.1", None), "10.1.0.1"),
    ("24 GRE, noport", "alert", ("122.80.143.46", None), "122.80.143.46"),
    ("25 tunnel", "alert", ("183.171.100.129", 59938), "183.171.100.129"),
    ("26 vlan", "http", ("41.108.52.138", 54520), "41.108.52.138"),
    ("27 ICMP, noport", "alert", ("66.59.111.190", None), "66.59.111.190"),
    (
        "28 IP-in-IP, noport",
        "alert",
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", None),
        "2001:db8:85a3::8a2e:370:7334",
    ),
    (
        "29 IPv6, noport",
        "alert",
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", None),
        "2001:db8:85a3::8a2e:370:7334",
    ),
    (
        "30 link-local",
        "http",
        ("fe80:0000:0000:0000:020c:29ff:fef3:cf38", 58307),
        "fe80::20c:29ff:fef3:cf38",
    ),
    ("31 vlan", "dns", ("192.168.0.1", 53), "192.168.0.1"),
    ("32 src==dst", "http", (LOCAL, 58012), LOCAL),
    ("33 src==dst", "fileinfo", (LOCAL, 8001), NOBODY),
    ("34 vlan", "anomaly", ("1.1.1.1", 12345), "1.1.1.1"),
    ("35 vlan", "dcerpc", ("1.1.1.1", 12345), NOBODY),
    ("36 src==dst", "anomaly", (LOCAL, 21), LOCAL),
    ("37 src==dst", "ftp", (LOCAL, 62014), LOCAL),
    ("38 unspecified src", "alert", ("0.0.0.0", 68), "0.0.0.0"),
    ("39 unspecified src", "anomaly", ("0.0.0.0", 68), "0.0.0.0"),
    ("40 DDX, noport", "alert", ("116.46.97.108", None), "116.46.97.108"),
    ("41 ESP, noport", "flow", ("190.0.0.1", None), "190.0.0.1"),
    ("42 vlan", "fileinfo", ("192.168.28.253", 8000), NOBODY),
    ("43 vlan", "smb", ("192.168.202.115", 3049), NOBODY),
    ("44 src==dst", "ftp_data", (LOCAL, 58202), NOBODY),
    ("45 unspecified src", "http", (LOCAL_6, 55717), "::1"),
    ("46 unspecified src", "fileinfo", (LOCAL_6, 8000), NOBODY),
    (
        "47 IPv6-ICMP, noport",
        "alert",
        ("2001:0db8:0002:0000:8e16:45ff:fee5:5ba2", None),
        "2001:db8:2:0:8e16:45ff:fee5:5ba2",
    ),
    (
        "48 IPv6-Frag, noport",
        "alert",
        ("2001:0db8:0001:0000:0000:0000:0000:0002", None),
        "2001:db8:1::2",
    ),
    (
        "49 multicast/broadcast src",
        "flow",
        ("ff02:0000:0000:0000:0000:0000:0000:0001", None),
        "ff02::1",
    ),
    ("50 src==dst", "smtp", (LOCAL, 39202), NOBODY),
    ("51 unspecified src", "mqtt", (LOCAL_6, 53654), NOBODY),
    ("52 src==dst", "mqtt", (LOCAL_6, 53654), NOBODY),
    ("53 src==dst", "quic", (LOCAL, 64629), NOBODY),
    ("54 src==dst", "rfb", (LOCAL, 60537), NOBODY),
    (
        "55 multicast/broadcast src",
        "alert",
        ("ff0a:f39b:0000:0000:0000:0000:0000:0000", 0),
        "ff0a:f39b::",
    ),
    ("56 src==dst", "smb", (LOCAL, 49755), NOBODY),
    ("57 src==dst", "snmp", (LOCAL, 35077), NOBODY),
    ("58 unspecified src", "tls", (LOCAL_6, 58606), "::1"),
]


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """Return the recorded lines."""
    return [line.rstrip(b"\n") for line in eve.recorded("odd/oddities.json.gz")]


def _event(line: bytes) -> Event:
    decoded = decode(line)
    assert isinstance(decoded, Event), decoded
    return decoded


def test_every_line_has_its_outcome_here(lines: list[bytes]) -> None:
    """None is passed over."""
    assert [str(n) for n in range(1, len(lines) + 1)] == [
        row[0].split(maxsplit=1)[0] for row in OUTCOMES
    ]


@pytest.mark.parametrize(
    ("oddity", "kind", "source", "owner"), OUTCOMES, ids=[row[0] for row in OUTCOMES]
)
def test_an_odd_line_comes_to_what_it_should(
    lines: list[bytes],
    oddity: str,
    kind: str,
    source: tuple[str | None, int | None],
    owner: str | None,
) -> None:
    """Read as it is written, counted once, and for the right address in its canonical form."""
    line, analysis = lines[int(oddity.split(maxsplit=1)[0]) - 1], eve.analysis()
    event = _event(line)
    parties = analysis.extractor.attribution.parties(event)
    result = analysis.lines([line])

    assert (kind, *source) == (event.event_type, event.src_ip, event.src_port)
    assert owner == (None if parties is None else parties[0].address)
    assert ({kind: 1}, {}) == (dict(result.events), dict(result.rejected))
    assert ([] if owner is None else [owner]) == [found.address for found in result.verdicts]


@pytest.mark.parametrize(
    ("number", "time"),
    [
        (1, "2026-11-20T06:49:16.222646Z"),  # stats: the machine's clock, amid packets of old
        (2, "1970-01-01T00:00:00.000000Z"),  # the first moment that there is
        (4, "2023-12-08T01:42:11.101104Z"),  # seven digits
        (16, "2023-02-19T23:58:21.416748Z"),  # flow.start, not when the record was written
    ],
)
def test_an_odd_time_is_the_right_moment(lines: list[bytes], number: int, time: str) -> None:
    """To the microsecond."""
    assert time == format_timestamp(_event(lines[number - 1]).time)


def test_escaped_bytes_arrive_as_suricata_has_escaped_them(lines: list[bytes]) -> None:
    r"""A method and a url of binary rubbish: `\x85` is four characters, NUL is one."""
    http = _event(lines[6]).http

    assert http is not None
    assert "\\x85\x00\x00\x00%lG\\x81\\x95>\x03" == (http.http_method or "")[:20]
    assert (http.url or "").startswith("\\xd9bl\\xb8\x05\\xab\\xcf6")


def test_the_longest_recorded_line_is_an_event() -> None:
    """More than two million bytes."""
    (line,) = eve.recorded("odd/huge-line.json.gz")

    assert 2_000_000 < len(line)
    assert isinstance(decode(line), Event)
