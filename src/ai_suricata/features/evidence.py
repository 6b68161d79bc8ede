"""What each event adds to the counters and sketches of its owner.

Rows of a batch side by side: `added[i, counter]` is what event i adds, and `marks` lists which
bit of which sketch it sets. Nothing here depends on what came before, so a batch can be cut
anywhere.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.behaviour import Counter, Sketch
from ai_suricata.core.timestamp import parse_timestamp
from ai_suricata.features.attribute import INFORMATION
from ai_suricata.features.handshake import alert_proven, flow_failed, flow_proven
from ai_suricata.features.sketch import bits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ai_suricata.core.event import Alert, Event
    from ai_suricata.features.home import Party

LOGIN_PORTS = frozenset({22, 23, 2222, 3389, 5900})
"""Ports whose sessions begin with a login (ssh, telnet, rdp, vnc)."""
_LOGIN_SECONDS = 30
_LOGIN_BYTES = 6_000
_LOGIN_BYTES_SENT = 500
_FTP_DENIED = "530"
_MOST = 1 << 40
_POSITIVE = (1 << 63) - 1


class Evidence:
    """The contributions of one batch of events."""

    def __init__(self, size: int) -> None:
        """`size`: how many events."""
        self.added: NDArray[np.int64] = np.zeros((size, len(Counter)), dtype=np.int64)
        self.marks: list[tuple[int, int, int]] = []
        """(event, sketch, value)."""
        self._array: NDArray[np.int64] | None = None

    def mark(self, event: int, sketch: Sketch, value: int) -> None:
        """Set the bit of `value` in a sketch of event `event`."""
        self.marks.append((event, sketch, value & _POSITIVE))

    def marks_array(self) -> NDArray[np.int64]:
        """Return the marks as an array (marks, 3) of (event, sketch, bit)."""
        if self._array is None:
            self._array = np.array(self.marks, dtype=np.int64).reshape(-1, 3)
            self._array[:, 2] = bits_of(self._array[:, 2])
        return self._array


def gather(events: Sequence[Event], others: Sequence[Party]) -> Evidence:
    """Return what `events` add, each to its own owner; `others` are the other sides."""
    evidence = Evidence(len(events))
    evidence.added[:, Counter.TOTAL_EVENTS] = 1
    for index, (event, other) in enumerate(zip(events, others, strict=True)):
        _KINDS[event.event_type](evidence, index, event, other)
    return evidence


def _flow(evidence: Evidence, index: int, event: Event, other: Party) -> None:
    flow = event.flow
    if flow is None:
        return
    row = evidence.added[index]
    port = event.dest_port or 0
    seconds = _duration(flow.start, flow.end)
    row[Counter.FLOWS] = 1
    row[Counter.UDP_FLOWS] = event.proto == "UDP"
    row[Counter.ICMP_FLOWS] = event.proto in {"ICMP", "IPv6-ICMP"}
    row[Counter.WELL_KNOWN_FLOWS] = 0 < port < 1024  # noqa: PLR2004 - IANA's system ports
    row[Counter.PACKETS_SENT] = _whole(flow.pkts_toserver)
    row[Counter.PACKETS_RECEIVED] = _whole(flow.pkts_toclient)
    row[Counter.BYTES_SENT] = _whole(flow.bytes_toserver)
    row[Counter.BYTES_RECEIVED] = _whole(flow.bytes_toclient)
    row[Counter.DURATION_MS] = _whole(int(seconds * 1000))
    evidence.mark(index, Sketch.PORTS, port)
    evidence.mark(index, Sketch.DESTINATIONS, other.digest)
    if flow_proven(event):
        row[Counter.PROVEN_FLOWS] = 1
        evidence.mark(index, Sketch.PROVEN_PORTS, port)
        short = seconds <= _LOGIN_SECONDS and flow.bytes_toclient <= _LOGIN_BYTES
        if port in LOGIN_PORTS and short and flow.bytes_toserver >= _LOGIN_BYTES_SENT:
            row[Counter.LOGIN_SESSIONS] = row[Counter.DAY_LOGINS] = 1
    elif flow_failed(event) and not other.group:
        row[Counter.FAILED_FLOWS] = 1
        for sketch in (Sketch.FAILED_PORTS, Sketch.DAY_FAILED_PORTS):
            evidence.mark(index, sketch, port)
        for sketch in (Sketch.FAILED_DESTINATIONS, Sketch.DAY_FAILED_DESTINATIONS):
            evidence.mark(index, sketch, other.digest)


def _alert(evidence: Evidence, index: int, event: Event, _other: Party) -> None:
    alert = event.alert
    if alert is None:
        return
    row = evidence.added[index]
    row[Counter.ALERTS] = row[Counter.TOTAL_ALERTS] = 1
    row[Counter.SEVERITY_1] = alert.severity == 1
    row[Counter.SEVERITY_2] = alert.severity == 2  # noqa: PLR2004 - Suricata's own scale
    if not tells_of_attack(alert):
        return
    row[Counter.ATTACK_ALERTS] = 1
    evidence.mark(index, Sketch.ATTACK_SIGNATURES, alert.signature_id)
    evidence.mark(index, Sketch.DAY_ATTACK_SIGNATURES, alert.signature_id)
    if alert_proven(event):
        row[Counter.PROVEN_ATTACK_ALERTS] = 1
        evidence.mark(index, Sketch.PROVEN_ATTACK_SIGNATURES, alert.signature_id)


def tells_of_attack(alert: Alert) -> bool:
    """Whether a signature is about an attack, by its class or because it is a scan signature.

    Checksum alerts (SID 2200073 to 2200079) and other decoder events fall out with their class.
    """
    return alert.category not in INFORMATION or alert.signature.startswith("ET SCAN ")


def _http(evidence: Evidence, index: int, event: Event, _other: Party) -> None:
    row, http = evidence.added[index], event.http
    row[Counter.HTTP_REQUESTS] = 1
    if http is None:
        return
    status = http.status or 0
    row[Counter.HTTP_ERRORS] = 400 <= status < 500  # noqa: PLR2004 - RFC 9110, 15.5
    row[Counter.HTTP_DENIED] = status in {401, 403}
    request = f"{http.http_method} {http.url}".encode("utf-8", "surrogatepass")
    evidence.mark(index, Sketch.REQUESTS, zlib.crc32(request))


def _dns(evidence: Evidence, index: int, event: Event, _other: Party) -> None:
    row = evidence.added[index]
    if event.dns is None:
        return
    if event.dns.type in {"query", "request"}:
        row[Counter.DNS_QUERIES] = 1
    else:
        row[Counter.DNS_FAILURES] = event.dns.rcode not in {None, "NOERROR"}


def _tls(evidence: Evidence, index: int, _event: Event, _other: Party) -> None:
    evidence.added[index, Counter.TLS_HANDSHAKES] = 1


def _ssh(evidence: Evidence, index: int, _event: Event, _other: Party) -> None:
    evidence.added[index, Counter.SSH_SESSIONS] = 1


def _ftp(evidence: Evidence, index: int, event: Event, _other: Party) -> None:
    codes = (event.ftp.completion_code if event.ftp is not None else None) or ()
    if _FTP_DENIED in codes:
        row = evidence.added[index]
        row[Counter.LOGIN_DENIED] = row[Counter.DAY_LOGINS] = 1


def _anomaly(evidence: Evidence, index: int, _event: Event, _other: Party) -> None:
    evidence.added[index, Counter.ANOMALIES] = 1


def _whole(value: int) -> int:
    """Keep a counter inside what sums of it can hold: records with absurd values do occur."""
    return min(max(value, 0), _MOST)


def _duration(start: str | None, end: str | None) -> float:
    """Seconds from start to end; 0 where one is missing or they run backwards."""
    if start is None or end is None:
        return 0.0
    try:
        return max(0, parse_timestamp(end) - parse_timestamp(start)) / 1_000_000
    except ValueError:
        return 0.0


_KINDS: dict[str, Callable[[Evidence, int, Event, Party], None]] = {
    "alert": _alert,
    "flow": _flow,
    "http": _http,
    "dns": _dns,
    "tls": _tls,
    "ssh": _ssh,
    "ftp": _ftp,
    "anomaly": _anomaly,
}
