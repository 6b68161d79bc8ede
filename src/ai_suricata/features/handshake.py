"""Which evidence no forged packet could have made.

Someone who forges a source address never sees the answers, so he can't acknowledge the server's
initial sequence number (RFC 793, 3.4; RFC 6528). A connection in which the server sent data or
said goodbye has been acknowledged; a SYN, a lone ACK and a RST can all be forged, and so can
everything in UDP and ICMP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_suricata.core.event import Event

_FIN, _SYN, _RST, _PSH, _ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_WELL_KNOWN = 1024
_FEW = 4
_ESTABLISHED = frozenset(
    {"established", "fin_wait1", "fin_wait2", "close_wait", "last_ack", "time_wait", "closing"}
)
"""States that Suricata's stream engine reaches only by a right acknowledgement."""
# A table, since `int` also reads "-f" or "1_0", of which a bit could prove a handshake.
_FLAGS = {form.format(flags): flags for flags in range(256) for form in ("{:02x}", "{:02X}")}


def flow_proven(event: Event) -> bool:
    """Whether a flow record shows a completed TCP handshake."""
    flow, tcp = event.flow, event.tcp
    if event.proto != "TCP" or flow is None or flow.pkts_toclient == 0:
        return False
    if tcp is None:
        # Without flags: only a protocol that was recognised speaks for data in both directions.
        return event.app_proto not in {None, "failed"} and flow.state in {"established", "closed"}
    client, server = _flags(tcp.tcp_flags_ts), _flags(tcp.tcp_flags_tc)
    if not client & _ACK or not server & _SYN:
        return False
    return tcp.state in _ESTABLISHED or bool(server & (_PSH | _FIN))


def flow_failed(event: Event) -> bool:
    """Whether what was asked for was refused, never answered, or left half open."""
    flow, tcp = event.flow, event.tcp
    if flow is None:
        return False
    if event.proto == "TCP" and tcp is not None:
        client, server = _flags(tcp.tcp_flags_ts), _flags(tcp.tcp_flags_tc)
        opened = bool(client & _SYN)  # else it was picked up in mid-stream
        return opened and not (client & _ACK and server & _SYN)
    if event.proto == "TCP":
        return (
            event.app_proto is None
            and flow.pkts_toclient <= flow.pkts_toserver
            and (flow.pkts_toclient == 0 or flow.state == "new")
        )
    return flow.pkts_toclient == 0


def flow_stray(event: Event) -> bool:
    """Whether these are a few packets that belong to no connection: Suricata notes no flags then.

    Probes with FIN, ACK or no flag at all look so; so does the end of a connection that Suricata
    has forgotten, and an answer to somebody who forged an address. Those go to a port that a
    client or a gateway chose, which is none of the first 1,024 (RFC 6335, 6; RFC 7857, 3).
    """
    flow, tcp = event.flow, event.tcp
    if event.proto != "TCP" or flow is None or tcp is None:
        return False
    few = flow.pkts_toserver <= _FEW and flow.pkts_toclient <= flow.pkts_toserver
    chosen = (event.dest_port or 0) >= _WELL_KNOWN or (event.src_port or 0) < _WELL_KNOWN
    none = not _flags(tcp.tcp_flags_ts) and not _flags(tcp.tcp_flags_tc)
    return few and none and not chosen and flow.state in {None, "new"}


def flow_only_asked(event: Event) -> bool:
    """Whether a failed TCP flow's opener sent nothing but its SYN, once or again.

    So all its packets are of one size, and the mean is that size.
    """
    flow, tcp = event.flow, event.tcp
    if event.proto != "TCP" or flow is None:
        return False
    if tcp is None:
        # Each SYN has one RST; whoever leaves a connection half open sends one packet more.
        return flow.pkts_toclient == 0 or flow.pkts_toserver <= flow.pkts_toclient
    return _flags(tcp.tcp_flags_ts) & (_SYN | _FIN | _RST | _ACK) == _SYN


def flow_answered(event: Event) -> bool:
    """Whether the asked side offers what was asked for: SYN+ACK on TCP, any answer on UDP.

    Nobody but the host that is asked can answer, so this does not depend on the opener's address.
    """
    flow, tcp = event.flow, event.tcp
    if flow is None or flow.pkts_toclient == 0:
        return False
    if event.proto != "TCP":
        return True
    if tcp is None:
        return flow_proven(event)
    return bool(_flags(tcp.tcp_flags_tc) & _SYN)


def alert_proven(event: Event) -> bool:
    """Whether an alert was raised inside a completed handshake.

    Suricata recognises an application protocol on TCP only in an established stream.
    """
    if event.proto != "TCP":
        return False
    if event.flow is not None and event.flow.pkts_toclient == 0:
        return False
    return event.http is not None or event.app_proto not in {None, "failed"}


def _flags(text: str) -> int:
    """TCP flags from Suricata's two hex digits; 0 where they are none."""
    return _FLAGS.get(text, 0)
