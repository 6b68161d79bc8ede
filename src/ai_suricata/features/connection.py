"""What a flow record adds: who asked whom for what, whether it was answered, how much passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.core.behaviour import HOURS, Counter, Sketch
from ai_suricata.core.timestamp import MICROSECONDS, parse_timestamp
from ai_suricata.features.handshake import (
    flow_answered,
    flow_failed,
    flow_only_asked,
    flow_proven,
    flow_stray,
)
from ai_suricata.features.port import port_class

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ai_suricata.core.event import Event, Flow
    from ai_suricata.features.evidence import Evidence
    from ai_suricata.features.home import Party
    from ai_suricata.features.link import Link
    from ai_suricata.features.memory import Memory

LOGIN_PORTS = frozenset({22, 23, 2222, 3389, 5900})
"""Ports whose sessions begin with a login (ssh, telnet, rdp, vnc)."""
SESSION_PORTS = LOGIN_PORTS | {21, 25, 110, 143, 465, 587, 993, 995}
"""Those, and ports of ftp and mail, where a session may be a login that was refused."""
_SHORT_SECONDS = 30
_SHORT_BYTES = 6_000
_LOGIN_BYTES_SENT = 500
_SESSION_BYTES_SENT = 300
_BEAT_BYTES = 20_000
_RETRY_MS = 500
"""Stacks wait a second before they send a SYN again (RFC 6298, 2.1); a copy of a packet that was
captured twice comes at once."""
_COPIES = 4
_HOUR = 3600 * MICROSECONDS
_MOST = 1 << 40


def add_flow(
    evidence: Evidence, index: int, event: Event, parties: tuple[Party, Party], memory: Memory
) -> None:
    """Count a connection for the one who opened it. Bytes are those of IP, as far as is known."""
    flow = event.flow
    if flow is None:
        return
    row, other = evidence.added[index], parties[1]
    port, udp = event.dest_port or 0, event.proto == "UDP"
    row[Counter.FLOWS] = row[Counter.DAY_FLOWS] = 1
    row[Counter.UDP_FLOWS] = udp
    row[Counter.ICMP_FLOWS] = event.proto in {"ICMP", "IPv6-ICMP"}
    row[Counter.WELL_KNOWN_FLOWS] = 0 < port < 1024  # noqa: PLR2004 - IANA's system ports
    row[Counter.PACKETS_SENT] = _whole(flow.pkts_toserver)
    row[Counter.PACKETS_RECEIVED] = _whole(flow.pkts_toclient)
    header = memory.link.header
    row[Counter.BYTES_SENT] = _whole(flow.bytes_toserver - header * flow.pkts_toserver)
    row[Counter.BYTES_RECEIVED] = _whole(flow.bytes_toclient - header * flow.pkts_toclient)
    row[Counter.DURATION_MS] = _milliseconds(event, flow)
    evidence.mark(index, Sketch.PORTS, port)
    evidence.mark(index, Sketch.DESTINATIONS, other.digest)
    evidence.mark(index, Sketch.DAY_SEEN, event.time // _HOUR % HOURS)
    if flow_proven(event):
        evidence.mark(index, Sketch.PROVEN_PORTS, port)
        evidence.mark(index, Sketch.PROVEN_DESTINATIONS, other.digest)
        _add_proven(row, event, parties, memory)
    elif _has_failed(event, other, memory) and _could_have_answered(event, parties):
        _add_failed(evidence, index, event, parties, memory)
        memory.reputation.failed(parties[0].address)
    if flow_answered(event):
        memory.services.answered(port, home=other.home, udp=udp)


def _has_failed(event: Event, other: Party, memory: Memory) -> bool:
    """Whether what was asked for was not to be had.

    Packets without a connection count only where nobody offers the port: there never was one.
    """
    if flow_failed(event):
        return True
    port = event.dest_port or 0
    return flow_stray(event) and not memory.services.is_offered(port, home=other.home, udp=False)


def _could_have_answered(event: Event, parties: tuple[Party, Party]) -> bool:
    """Whether silence says anything: a group does not answer.

    Between two strangers it says nothing either, but for TCP: what passes by may have its answer
    on another way.
    """
    owner, other = parties
    return not other.group and (owner.home or other.home or event.proto == "TCP")


def _add_proven(
    row: NDArray[np.int64], event: Event, parties: tuple[Party, Party], memory: Memory
) -> None:
    owner, other = parties
    port = event.dest_port or 0
    row[Counter.PROVEN_FLOWS] = row[Counter.DAY_PROVEN_FLOWS] = 1
    row[Counter.PROVEN_BYTES_SENT] = row[Counter.BYTES_SENT]
    row[Counter.PROVEN_BYTES_RECEIVED] = row[Counter.BYTES_RECEIVED]
    row[Counter.PROVEN_DURATION_MS] = row[Counter.DURATION_MS]
    memory.reputation.did_right(owner.address)
    if port in SESSION_PORTS and _is_short(row):
        row[Counter.SHORT_SESSIONS] = row[Counter.DAY_SHORT_SESSIONS] = 1
        if port in LOGIN_PORTS and row[Counter.BYTES_SENT] >= _LOGIN_BYTES_SENT:
            row[Counter.LOGIN_SESSIONS] = row[Counter.DAY_LOGINS] = 1
            memory.reputation.did_wrong(owner.address)
    if owner.home and not other.home:
        row[Counter.DAY_UPLOADED] = row[Counter.BYTES_SENT]
        small = row[Counter.BYTES_SENT] + row[Counter.BYTES_RECEIVED] <= _BEAT_BYTES
        in_step = memory.beats.is_in_step(owner, other, port, event.time)
        row[Counter.DAY_BEATS] = small and in_step


def _is_short(row: NDArray[np.int64]) -> bool:
    """Whether it is over as soon as a refused password is, and at least a login was tried."""
    soon = row[Counter.DURATION_MS] <= _SHORT_SECONDS * 1000
    within = soon and row[Counter.BYTES_RECEIVED] <= _SHORT_BYTES
    return bool(within and row[Counter.BYTES_SENT] >= _SESSION_BYTES_SENT)


def _add_failed(
    evidence: Evidence, index: int, event: Event, parties: tuple[Party, Party], memory: Memory
) -> None:
    owner, other = parties
    row = evidence.added[index]
    port, udp = event.dest_port or 0, event.proto == "UDP"
    row[Counter.FAILED_FLOWS] = row[Counter.DAY_FAILED_FLOWS] = 1
    if row[Counter.PACKETS_RECEIVED] == 0:
        row[Counter.SILENT_FLOWS] = 1
        row[Counter.LONE_FLOWS] = row[Counter.DAY_LONE_FLOWS] = _is_lone(event, row)
    elif not flow_answered(event):
        row[Counter.REFUSED_FLOWS] = 1
    if event.flow is not None and flow_only_asked(event):
        bare = _is_bare(event.flow, memory.link, ipv6=":" in (event.src_ip or ""))
        row[Counter.BARE_FLOWS] = row[Counter.DAY_BARE_FLOWS] = bare
    if not udp and memory.passive.is_meant(owner.address, other.address, port, event.time):
        return  # it failed, and tells nothing of which ports he looks for
    for sketch in (Sketch.FAILED_PORTS, Sketch.DAY_FAILED_PORTS):
        evidence.mark(index, sketch, port)
    for sketch in (Sketch.FAILED_DESTINATIONS, Sketch.DAY_FAILED_DESTINATIONS):
        evidence.mark(index, sketch, other.digest)
    if port:
        evidence.mark(index, Sketch.DAY_SEEN, HOURS + port_class(port, udp=udp))
    if not memory.services.is_offered(port, home=other.home, udp=udp):
        row[Counter.UNOFFERED_FLOWS] = row[Counter.DAY_UNOFFERED_FLOWS] = 1
        evidence.mark(index, Sketch.DAY_UNOFFERED_PORTS, port)


def _is_lone(event: Event, row: NDArray[np.int64]) -> bool:
    """Whether nothing came after the first packet, but copies of it."""
    packets = row[Counter.PACKETS_SENT]
    timed = event.flow is not None and event.flow.start is not None and event.flow.end is not None
    once = timed and row[Counter.DURATION_MS] < _RETRY_MS and packets <= _COPIES
    return bool(packets == 1 or once)


def _is_bare(flow: Flow, link: Link, *, ipv6: bool) -> bool:
    """Whether every packet sent was a SYN as scanners build it; the link learns from their sizes.

    Where a sensor gets packets twice, both counters are doubled, and the mean is as it was.
    """
    size, rest = divmod(flow.bytes_toserver, flow.pkts_toserver)
    if not rest:
        link.saw(size, ipv6=ipv6)
    if flow.pkts_toclient == 1:
        link.saw(flow.bytes_toclient, ipv6=ipv6)
    return not rest and link.is_bare(size, ipv6=ipv6)


def _whole(value: int) -> int:
    """Keep a counter inside what sums of it can hold: records with absurd values do occur."""
    return min(max(value, 0), _MOST)


def _milliseconds(event: Event, flow: Flow) -> int:
    """Return the duration; 0 where start or end is missing or they run backwards."""
    if flow.start is None or flow.end is None:
        return 0
    try:
        return _whole((parse_timestamp(flow.end) - event.time) // 1000)
    except ValueError:
        return 0
