"""From counters to feature vectors: a pure function of the rows, in the order of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.behaviour import Counter, Sketch
from ai_suricata.core.schema import FEATURE_NAMES, INDEX
from ai_suricata.features.sketch import count_distinct
from ai_suricata.features.table import SLOT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ai_suricata.features.table import Columns

_MICROSECONDS = 1_000_000
_LONGEST_BEFORE = 20 * SLOT
_PLAIN = {
    "alerts": Counter.ALERTS,
    "alerts_severity_1": Counter.SEVERITY_1,
    "alerts_severity_2": Counter.SEVERITY_2,
    "attack_alerts": Counter.ATTACK_ALERTS,
    "proven_attack_alerts": Counter.PROVEN_ATTACK_ALERTS,
    "flows": Counter.FLOWS,
    "proven_flows": Counter.PROVEN_FLOWS,
    "failed_flows": Counter.FAILED_FLOWS,
    "packets_sent": Counter.PACKETS_SENT,
    "packets_received": Counter.PACKETS_RECEIVED,
    "bytes_sent": Counter.BYTES_SENT,
    "bytes_received": Counter.BYTES_RECEIVED,
    "http_requests": Counter.HTTP_REQUESTS,
    "http_errors": Counter.HTTP_ERRORS,
    "http_denied": Counter.HTTP_DENIED,
    "dns_queries": Counter.DNS_QUERIES,
    "dns_failures": Counter.DNS_FAILURES,
    "tls_handshakes": Counter.TLS_HANDSHAKES,
    "ssh_sessions": Counter.SSH_SESSIONS,
    "anomalies": Counter.ANOMALIES,
    "day_login_attempts": Counter.DAY_LOGINS,
}
_DISTINCTS = {
    "attack_signatures": Sketch.ATTACK_SIGNATURES,
    "proven_attack_signatures": Sketch.PROVEN_ATTACK_SIGNATURES,
    "ports": Sketch.PORTS,
    "destinations": Sketch.DESTINATIONS,
    "failed_ports": Sketch.FAILED_PORTS,
    "failed_destinations": Sketch.FAILED_DESTINATIONS,
    "proven_ports": Sketch.PROVEN_PORTS,
    "http_distinct": Sketch.REQUESTS,
    "day_failed_ports": Sketch.DAY_FAILED_PORTS,
    "day_failed_destinations": Sketch.DAY_FAILED_DESTINATIONS,
    "day_attack_signatures": Sketch.DAY_ATTACK_SIGNATURES,
}


def derive(columns: Columns, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the feature vectors of `rows`, shape (len(rows), len(FEATURES))."""
    counters = columns.counters[rows].astype(np.float64)
    distinct = count_distinct(columns.sketches[rows])
    matrix = np.zeros((len(rows), len(FEATURE_NAMES)))
    for name, counter in _PLAIN.items():
        matrix[:, INDEX[name]] = counters[:, counter]
    for name, sketch in _DISTINCTS.items():
        matrix[:, INDEX[name]] = distinct[:, sketch]
    for name, values in _ratios(counters, distinct, _seconds(columns, rows)).items():
        matrix[:, INDEX[name]] = values
    return matrix


def _seconds(columns: Columns, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Span of the recent window so far, at least a second.

    A flow may have begun long before the window did; it stretches the span by ten minutes at most,
    so that one old connection can't hide the rate of the new ones.
    """
    earliest = columns.recent_start[rows] * SLOT - _LONGEST_BEFORE
    first = np.maximum(columns.recent_first[rows], earliest)
    span: NDArray[np.float64] = (columns.last_seen[rows] - first) / _MICROSECONDS
    return np.maximum(span, 1.0)


def _ratios(
    counters: NDArray[np.float64], distinct: NDArray[np.float64], seconds: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return the features that are quotients; a quotient of nothing is 0."""

    def over(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
        return above / np.maximum(below, 1.0)

    c, d = counters.T, distinct.T
    flows, requests = c[Counter.FLOWS], c[Counter.HTTP_REQUESTS]
    everything = c[Counter.BYTES_SENT] + c[Counter.BYTES_RECEIVED]
    return {
        "failed_ratio": over(c[Counter.FAILED_FLOWS], flows),
        "ports_per_destination": over(d[Sketch.FAILED_PORTS], d[Sketch.FAILED_DESTINATIONS]),
        "destinations_per_port": over(d[Sketch.FAILED_DESTINATIONS], d[Sketch.FAILED_PORTS]),
        "flow_rate": flows / seconds,
        "proven_flow_rate": c[Counter.PROVEN_FLOWS] / seconds,
        "bytes_per_packet": over(c[Counter.BYTES_SENT], c[Counter.PACKETS_SENT]),
        "received_ratio": over(c[Counter.BYTES_RECEIVED], everything),
        "flow_duration": over(c[Counter.DURATION_MS] / 1000, flows),
        "udp_ratio": over(c[Counter.UDP_FLOWS], flows),
        "icmp_ratio": over(c[Counter.ICMP_FLOWS], flows),
        "well_known_ratio": over(c[Counter.WELL_KNOWN_FLOWS], flows),
        "http_error_ratio": over(c[Counter.HTTP_ERRORS], requests),
        "http_rate": requests / seconds,
        "login_attempts": c[Counter.LOGIN_SESSIONS] + c[Counter.LOGIN_DENIED],
    }
