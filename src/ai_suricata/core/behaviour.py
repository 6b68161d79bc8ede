"""What is known of one source address: counters over windows of event time.

This module only names the columns; `features.table` keeps them, side by side in arrays.
"""

from __future__ import annotations

from enum import IntEnum

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
    # The day.
    DAY_LOGINS = 26
    # As long as the address is known.
    TOTAL_EVENTS = 27
    TOTAL_ALERTS = 28


class Sketch(IntEnum):
    """Bitmaps that count distinct values by linear counting (Whang et al., 1990), 256 bits each."""

    # The recent window.
    PORTS = 0
    DESTINATIONS = 1
    FAILED_PORTS = 2
    FAILED_DESTINATIONS = 3
    PROVEN_PORTS = 4
    ATTACK_SIGNATURES = 5
    PROVEN_ATTACK_SIGNATURES = 6
    REQUESTS = 7
    # The day.
    DAY_FAILED_PORTS = 8
    DAY_FAILED_DESTINATIONS = 9
    DAY_ATTACK_SIGNATURES = 10


RECENT_COUNTERS = slice(0, Counter.DAY_LOGINS)
DAY_COUNTERS = slice(Counter.DAY_LOGINS, Counter.TOTAL_EVENTS)
RECENT_SKETCHES = slice(0, Sketch.DAY_FAILED_PORTS)
DAY_SKETCHES = slice(Sketch.DAY_FAILED_PORTS, len(Sketch))


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
