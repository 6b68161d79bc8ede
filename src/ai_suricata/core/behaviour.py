"""What is known of one source address: counters over windows of event time.

This module only names the columns; `features.table` keeps them, side by side in arrays.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import accumulate

import msgspec

RECENT_SECONDS = 600
DAY_SECONDS = 86_400


class Counter(IntEnum):
    """Whole-number counters. Whole numbers add up the same however a batch is cut."""

    # The recent window: 10 minutes of event time.
    ALERTS = 0
    SEVERITY_1 = 1
    SEVERITY_2 = 2
    ATTACK_ALERTS = 3
    PROVEN_ATTACK_ALERTS = 4
    FLOWS = 5
    PROVEN_FLOWS = 6
    FAILED_FLOWS = 7
    UDP_FLOWS = 8
    ICMP_FLOWS = 9
    WELL_KNOWN_FLOWS = 10
    PACKETS_SENT = 11
    PACKETS_RECEIVED = 12
    BYTES_SENT = 13
    BYTES_RECEIVED = 14
    DURATION_MS = 15
    HTTP_REQUESTS = 16
    HTTP_ERRORS = 17
    HTTP_DENIED = 18
    LOGIN_SESSIONS = 19
    LOGIN_DENIED = 20
    DNS_QUERIES = 21
    DNS_FAILURES = 22
    TLS_HANDSHAKES = 23
    SSH_SESSIONS = 24
    ANOMALIES = 25
    SILENT_FLOWS = 26
    """Failed ones to which nobody answered anything."""
    LONE_FLOWS = 27
    """Silent ones without a second try: whoever wants an answer sends another packet."""
    REFUSED_FLOWS = 28
    """Failed ones that were answered, by RST and not by SYN+ACK."""
    UNOFFERED_FLOWS = 29
    """Failed ones to a port that nobody on the asked side has been seen to offer."""
    PROVEN_BYTES_SENT = 30
    PROVEN_BYTES_RECEIVED = 31
    PROVEN_DURATION_MS = 32
    SHORT_SESSIONS = 33
    """Short, completed sessions on a port of logins or mail."""
    GAPS = 34
    """Flows that another one of the source came before."""
    GAP_MS = 35
    GAP_SQUARES = 36
    """Sum of the squared gaps, in square milliseconds."""
    HTTP_SERVER_ERRORS = 37
    HTTP_ODD_METHODS = 38
    HTTP_STRANGE = 39
    DNS_NAME_BYTES = 40
    DNS_CARRIERS = 41
    """Questions for records that can carry data: TXT, NULL and the like."""
    TRUSTED_ALERTS = 42
    """Attack alerts, each by the reputation of its signature, in thousandths."""
    PROVEN_TRUSTED_ALERTS = 43
    RARE_ALERTS = 44
    """Attack alerts whose signature hardly any source has raised."""
    BARE_FLOWS = 45
    """Failed ones whose SYN held no options, or the size of a segment alone."""
    # The day.
    DAY_LOGINS = 46
    DAY_DENIED = 47
    """Passwords that a server refused, in so many words."""
    DAY_FLOWS = 48
    DAY_FAILED_FLOWS = 49
    DAY_LONE_FLOWS = 50
    DAY_PROVEN_FLOWS = 51
    DAY_UNOFFERED_FLOWS = 52
    DAY_BARE_FLOWS = 53
    DAY_SHORT_SESSIONS = 54
    DAY_BEATS = 55
    """Connections of a home host to one peer outside that came in step with those before."""
    DAY_UPLOADED = 56
    """Bytes from a home host to peers outside, in completed connections."""
    DAY_PROVEN_ATTACK_ALERTS = 57
    DAY_HTTP_REQUESTS = 58
    DAY_HTTP_ERRORS = 59
    # As long as the address is known.
    TOTAL_EVENTS = 60
    TOTAL_ALERTS = 61


class Sketch(IntEnum):
    """Bitmaps that count distinct values by linear counting (Whang et al., 1990)."""

    # The recent window.
    PORTS = 0
    DESTINATIONS = 1
    FAILED_PORTS = 2
    FAILED_DESTINATIONS = 3
    PROVEN_PORTS = 4
    PROVEN_DESTINATIONS = 5
    ATTACK_SIGNATURES = 6
    PROVEN_ATTACK_SIGNATURES = 7
    REQUESTS = 8
    USER_AGENTS = 9
    DNS_NAMES = 10
    # The day.
    DAY_FAILED_PORTS = 11
    DAY_FAILED_DESTINATIONS = 12
    DAY_ATTACK_SIGNATURES = 13
    DAY_UNOFFERED_PORTS = 14
    DAY_SEEN = 15
    """No sketch by hashes: bit h for hour h of the day, bit 24 + c for port class c."""
    DAY_PASSWORDS = 16
    """Those that were refused: one of 64 bits each, from which nobody can find them."""


HOURS = 24
SKETCH_WORDS = (4, 4, 4, 4, 2, 2, 1, 1, 2, 1, 2, 4, 4, 1, 2, 1, 1)
"""Words of 64 bits that each sketch has: as many as the values that matter there ask for."""
SKETCH_STARTS = tuple(accumulate(SKETCH_WORDS, initial=0))
"""The word that each sketch begins with, and how many there are in all."""

RECENT_COUNTERS = slice(0, Counter.DAY_LOGINS)
DAY_COUNTERS = slice(Counter.DAY_LOGINS, Counter.TOTAL_EVENTS)
GAP_COUNTERS = slice(Counter.GAPS, Counter.GAP_SQUARES + 1)
"""Told by neighbouring flows: what two instances saw apart has other neighbours than the whole."""
RECENT_SKETCHES = slice(0, SKETCH_STARTS[Sketch.DAY_FAILED_PORTS])
"""Words of the sketches of the recent window."""
DAY_SKETCHES = slice(SKETCH_STARTS[Sketch.DAY_FAILED_PORTS], SKETCH_STARTS[-1])


class BehaviourSummary(msgspec.Struct, frozen=True):
    """What a list of sources shows of one address, over the time that it is known."""

    address: str
    alerts: int
    events: int
    first_seen: int
    """Event time of its first event, microseconds since the epoch."""
    last_seen: int
    """Event time of its latest event, microseconds since the epoch."""
    severity_1: int = 0
    """Alerts of severity 1, the worst, in the recent window."""
    severity_2: int = 0
    ports: int = 0
    """Distinct ports asked for in the recent window."""
    destinations: int = 0
    """Distinct hosts asked in the recent window."""
    score: float = 0.0
    """Of the latest verdict, 0..1."""
    patterns: tuple[str, ...] = ()
    """Of the latest verdict."""
