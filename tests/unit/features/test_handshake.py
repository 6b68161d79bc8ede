"""Which connections prove that their source address is real, and which have failed."""

from __future__ import annotations

from typing import Any

import pytest

from ai_suricata.features.handshake import alert_proven, flow_failed, flow_proven, flow_stray
from fakes import eve

# name, (client flags, server flags, state), packets of the server, proven, failed
_TCP = [
    ("SYN scan of an open port, RST by the scanner", ("06", "12", "closed"), 1, False, True),
    ("SYN scan of an open port, left half open", ("02", "12", "syn_recv"), 3, False, True),
    ("SYN scan of a closed port", ("02", "14", "closed"), 1, False, True),
    ("SYN scan of a filtered port", ("02", "00", "syn_sent"), 0, False, True),
    ("connect scan of an open port, closed by RST", ("16", "12", "closed"), 1, False, False),
    ("connect scan of a closed port", ("02", "14", "closed"), 1, False, True),
    ("forged SYN, ACK and RST", ("16", "12", "closed"), 2, False, False),
    ("forged SYN and data that nobody acknowledges", ("1a", "12", "syn_recv"), 1, False, False),
    ("established", ("1a", "1a", "established"), 5, True, False),
    ("established, the server silent so far", ("12", "12", "established"), 1, True, False),
    ("ended by FIN on both sides", ("1b", "1b", "closed"), 5, True, False),
    ("ended by FIN of the server after an empty session", ("13", "13", "closed"), 3, True, False),
    ("half closed", ("13", "12", "fin_wait2"), 3, True, False),
    ("reset by the client after data", ("1e", "1a", "closed"), 6, True, False),
    ("picked up in mid-stream", ("18", "18", "none"), 9, False, False),
    ("picked up at its end", ("11", "11", "closed"), 2, False, False),
    ("ACK scan", ("10", "04", "closed"), 1, False, False),
    ("FIN scan", ("01", "14", "closed"), 1, False, False),
    ("null scan", ("00", "14", "closed"), 1, False, False),
    ("flags that are no numbers", ("zz", "", "closed"), 1, False, False),
    ("flags that are two digits to nobody", ("-e", "-e", "established"), 5, False, False),
    ("flags in upper case", ("1B", "1B", "closed"), 5, True, False),
]


@pytest.mark.parametrize(
    ("tcp", "answered", "proven", "failed"),
    [case[1:] for case in _TCP],
    ids=[str(case[0]) for case in _TCP],
)
def test_a_handshake_is_told_by_flags_and_state(
    tcp: tuple[str, str, str], answered: int, *, proven: bool, failed: bool
) -> None:
    """Proven is only what a forger, who sees no answer, could not have brought about."""
    flow = eve.event(eve.flow(tcp=tcp, received=(answered, 60 * answered)))

    assert (proven, failed) == (flow_proven(flow), flow_failed(flow))


def test_flags_do_not_prove_what_no_server_answered() -> None:
    """Without a packet of the server, no handshake was completed."""
    assert not flow_proven(eve.event(eve.flow(tcp=eve.COMPLETE, received=(0, 0))))


@pytest.mark.parametrize(
    ("app", "state", "received", "proven", "failed"),
    [
        ("http", "closed", 5, True, False),
        ("tls", "established", 5, True, False),
        ("failed", "closed", 5, False, False),
        (None, "closed", 5, False, False),
        (None, "new", 1, False, True),
        (None, "new", 0, False, True),
        ("http", "new", 5, False, False),
        ("http", "closed", 0, False, False),
    ],
)
def test_without_flags_only_a_recognised_protocol_proves_a_handshake(
    app: str | None, state: str, received: int, *, proven: bool, failed: bool
) -> None:
    """A record without the tcp object, as other writers leave it out."""
    record = eve.flow(tcp=None, received=(received, 500), app_proto=app)
    record["flow"]["state"] = state
    flow = eve.event(record)

    assert (proven, failed) == (flow_proven(flow), flow_failed(flow))


@pytest.mark.parametrize("proto", ["UDP", "ICMP", "IPv6-ICMP", "SCTP", "GRE"])
@pytest.mark.parametrize("answered", [0, 4])
def test_nothing_but_tcp_is_ever_proven_and_silence_is_failure(proto: str, answered: int) -> None:
    """A forged UDP packet is answered too; nobody has to see the answer."""
    record = eve.flow(tcp=None, proto=proto, received=(answered, 100), app_proto="dns")
    flow = eve.event(record)

    assert (False, answered == 0) == (flow_proven(flow), flow_failed(flow))


@pytest.mark.parametrize(
    ("changed", "proven"),
    [
        ({"app_proto": "http"}, True),
        ({"http": {"url": "/"}}, True),
        ({"app_proto": "failed"}, False),
        ({}, False),
        ({"app_proto": "http", "flow": {"pkts_toclient": 0, "pkts_toserver": 1}}, False),
        ({"app_proto": "http", "flow": {"pkts_toclient": 3, "pkts_toserver": 3}}, True),
        ({"app_proto": "dns", "proto": "UDP"}, False),
        ({"proto": "ICMP"}, False),
    ],
)
def test_an_alert_is_proven_by_a_protocol_that_was_recognised_over_tcp(
    changed: dict[str, Any], *, proven: bool
) -> None:
    """Suricata recognises one only in an established stream."""
    assert proven == alert_proven(eve.event(eve.alert() | changed))


def test_a_record_without_counters_is_neither_proven_nor_failed() -> None:
    """An event of another kind may be asked, and has no flow."""
    request = eve.event(eve.http())

    assert (False, False) == (flow_proven(request), flow_failed(request))


def new(**changed: Any) -> eve.Record:  # noqa: ANN401 - of `eve.flow`
    """Return a packet and its answer that belong to no connection."""
    given = {"tcp": ("00", "00", "none"), "sent": (1, 60), "received": (1, 60), **changed}
    record = eve.flow(**given)
    record["flow"]["state"] = "new"
    return record


@pytest.mark.parametrize(
    ("record", "stray"),
    [
        (new(), True),
        (new(sent=(2, 120), received=(0, 0)), True),
        (new(sent=(5, 300), received=(5, 300)), False),
        (new(received=(3, 180)), False),
        (new(port=1024), False),
        (new(port=1023), True),
        (new(tcp=("02", "14", "closed")), False),
        (new(tcp=None), False),
    ],
)
def test_a_few_packets_of_no_connection_are_stray(
    record: eve.Record,
    stray: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Suricata notes no flags of them; what goes to a port that was chosen may be a late answer."""
    assert stray == flow_stray(eve.event(record))


def test_what_comes_from_a_service_is_not_stray() -> None:
    """A server whose connection was forgotten here says goodbye from its well-known port."""
    late = new(port=80)

    assert flow_stray(eve.event(late | {"src_port": 50_000}))
    assert not flow_stray(eve.event(late | {"src_port": 443}))
