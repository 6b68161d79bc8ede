"""From counters to feature vectors: a pure function of the rows, in the order of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ai_suricata.core.behaviour import HOURS, Counter, Sketch
from ai_suricata.core.schema import FEATURE_NAMES, INDEX
from ai_suricata.features.port import PortClass
from ai_suricata.features.sketch import count_distinct, seen_bits
from ai_suricata.features.table import SLOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ai_suricata.features.table import Columns

_MICROSECONDS = 1_000_000
_LONGEST_BEFORE = 20 * SLOT
_MANY_REQUESTS = 60
_PLAIN = {
    "alerts": Counter.ALERTS,
    "alerts_severity_1": Counter.SEVERITY_1,
    "alerts_severity_2": Counter.SEVERITY_2,
    "attack_alerts": Counter.ATTACK_ALERTS,
    "proven_attack_alerts": Counter.PROVEN_ATTACK_ALERTS,
    "rare_alerts": Counter.RARE_ALERTS,
    "flows": Counter.FLOWS,
    "proven_flows": Counter.PROVEN_FLOWS,
    "failed_flows": Counter.FAILED_FLOWS,
    "silent_flows": Counter.SILENT_FLOWS,
    "lone_flows": Counter.LONE_FLOWS,
    "bare_flows": Counter.BARE_FLOWS,
    "refused_flows": Counter.REFUSED_FLOWS,
    "unoffered_flows": Counter.UNOFFERED_FLOWS,
    "packets_sent": Counter.PACKETS_SENT,
    "packets_received": Counter.PACKETS_RECEIVED,
    "bytes_sent": Counter.BYTES_SENT,
    "bytes_received": Counter.BYTES_RECEIVED,
    "proven_bytes_sent": Counter.PROVEN_BYTES_SENT,
    "proven_bytes_received": Counter.PROVEN_BYTES_RECEIVED,
    "http_requests": Counter.HTTP_REQUESTS,
    "http_errors": Counter.HTTP_ERRORS,
    "http_denied": Counter.HTTP_DENIED,
    "http_server_errors": Counter.HTTP_SERVER_ERRORS,
    "http_odd_methods": Counter.HTTP_ODD_METHODS,
    "http_strange": Counter.HTTP_STRANGE,
    "short_sessions": Counter.SHORT_SESSIONS,
    "dns_queries": Counter.DNS_QUERIES,
    "dns_failures": Counter.DNS_FAILURES,
    "dns_carriers": Counter.DNS_CARRIERS,
    "tls_handshakes": Counter.TLS_HANDSHAKES,
    "ssh_sessions": Counter.SSH_SESSIONS,
    "anomalies": Counter.ANOMALIES,
    "day_flows": Counter.DAY_FLOWS,
    "day_failed_flows": Counter.DAY_FAILED_FLOWS,
    "day_lone_flows": Counter.DAY_LONE_FLOWS,
    "day_unoffered_flows": Counter.DAY_UNOFFERED_FLOWS,
    "day_bare_flows": Counter.DAY_BARE_FLOWS,
    "day_proven_flows": Counter.DAY_PROVEN_FLOWS,
    "day_login_attempts": Counter.DAY_LOGINS,
    "day_login_denied": Counter.DAY_DENIED,
    "day_short_sessions": Counter.DAY_SHORT_SESSIONS,
    "day_beats": Counter.DAY_BEATS,
    "day_uploaded": Counter.DAY_UPLOADED,
    "day_proven_attack_alerts": Counter.DAY_PROVEN_ATTACK_ALERTS,
    "day_http_requests": Counter.DAY_HTTP_REQUESTS,
    "day_http_errors": Counter.DAY_HTTP_ERRORS,
}
_DISTINCTS = {
    "attack_signatures": Sketch.ATTACK_SIGNATURES,
    "proven_attack_signatures": Sketch.PROVEN_ATTACK_SIGNATURES,
    "ports": Sketch.PORTS,
    "destinations": Sketch.DESTINATIONS,
    "failed_ports": Sketch.FAILED_PORTS,
    "failed_destinations": Sketch.FAILED_DESTINATIONS,
    "proven_ports": Sketch.PROVEN_PORTS,
    "proven_destinations": Sketch.PROVEN_DESTINATIONS,
    "http_distinct": Sketch.REQUESTS,
    "http_user_agents": Sketch.USER_AGENTS,
    "dns_names": Sketch.DNS_NAMES,
    "day_failed_ports": Sketch.DAY_FAILED_PORTS,
    "day_failed_destinations": Sketch.DAY_FAILED_DESTINATIONS,
    "day_attack_signatures": Sketch.DAY_ATTACK_SIGNATURES,
    "day_unoffered_ports": Sketch.DAY_UNOFFERED_PORTS,
    "day_passwords": Sketch.DAY_PASSWORDS,
}
_ASKED = {
    "day_failed_login": PortClass.LOGIN,
    "day_failed_sharing": PortClass.SHARING,
    "day_failed_database": PortClass.DATABASE,
    "day_failed_device": PortClass.DEVICE,
    "day_failed_web": PortClass.WEB,
    "day_failed_mail": PortClass.MAIL,
    "day_failed_voice": PortClass.VOICE,
    "day_failed_amplifier": PortClass.AMPLIFIER,
    "day_failed_other": PortClass.OTHER,
}


def _places(sources: dict[str, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where in the vector the features stand, and where their values come from."""
    return (
        np.array([INDEX[name] for name in sources], dtype=np.int64),
        np.array([int(source) for source in sources.values()], dtype=np.int64),
    )


_PLAIN_TO, _PLAIN_FROM = _places({**_PLAIN})
_DISTINCT_TO, _DISTINCT_FROM = _places({**_DISTINCTS})
_ASKED_TO, _ASKED_FROM = _places({name: HOURS + each for name, each in _ASKED.items()})


class Reading(NamedTuple):
    """What vectors are made of, as it stood at one moment; each with one entry a row."""

    counters: NDArray[np.int64]
    words: NDArray[np.uint64]
    first_seen: NDArray[np.int64]
    last_seen: NDArray[np.int64]
    recent_first: NDArray[np.int64]
    recent_start: NDArray[np.int64]


def read(columns: Columns, rows: NDArray[np.int64]) -> Reading:
    """Return copies of what the vectors of `rows` are made of."""
    return Reading(
        columns.counters[rows],
        columns.sketches[rows],
        columns.first_seen[rows],
        columns.last_seen[rows],
        columns.recent_first[rows],
        columns.recent_start[rows],
    )


def derive(columns: Columns, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the feature vectors of `rows`, shape (len(rows), len(FEATURES))."""
    return vectors([read(columns, rows)])


def vectors(readings: Sequence[Reading]) -> NDArray[np.float64]:
    """Return the feature vectors of all readings, one below the other.

    All at once, since a wave has few rows and each call of numpy its price.
    """
    reading = Reading(*(np.concatenate(parts) for parts in zip(*readings, strict=True)))
    counters = reading.counters.astype(np.float64)
    distinct, seen = count_distinct(reading.words), seen_bits(reading.words)
    matrix = np.zeros((len(counters), len(FEATURE_NAMES)))
    matrix[:, _PLAIN_TO] = counters[:, _PLAIN_FROM]
    matrix[:, _DISTINCT_TO] = distinct[:, _DISTINCT_FROM]
    matrix[:, _ASKED_TO] = seen[:, _ASKED_FROM]
    matrix[:, INDEX["day_hours"]] = seen[:, :HOURS].sum(axis=1)
    age = (reading.last_seen - reading.first_seen) / _MICROSECONDS
    matrix[:, INDEX["age"]] = np.maximum(age, 0.0)
    for name, values in _ratios(counters, distinct, _seconds(reading)).items():
        matrix[:, INDEX[name]] = values
    return matrix


def _seconds(reading: Reading) -> NDArray[np.float64]:
    """Span of the recent window so far, at least a second.

    A flow may have begun long before the window did; it stretches the span by ten minutes at most,
    so that one old connection can't hide the rate of the new ones.
    """
    earliest = reading.recent_start * SLOT - _LONGEST_BEFORE
    first = np.maximum(reading.recent_first, earliest)
    span: NDArray[np.float64] = (reading.last_seen - first) / _MICROSECONDS
    return np.maximum(span, 1.0)


def _over(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a quotient; one of nothing is 0."""
    return above / np.maximum(below, 1.0)


def _ratios(
    counters: NDArray[np.float64], distinct: NDArray[np.float64], seconds: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return the features that are made of more than one counter."""
    c, d = counters.T, distinct.T
    flows, requests = c[Counter.FLOWS], c[Counter.HTTP_REQUESTS]
    everything = c[Counter.BYTES_SENT] + c[Counter.BYTES_RECEIVED]
    return {
        "failed_ratio": _over(c[Counter.FAILED_FLOWS], flows),
        "lone_ratio": _over(c[Counter.LONE_FLOWS], flows),
        "unoffered_ratio": _over(c[Counter.UNOFFERED_FLOWS], flows),
        "half_open_flows": (
            c[Counter.FAILED_FLOWS] - c[Counter.SILENT_FLOWS] - c[Counter.REFUSED_FLOWS]
        ),
        "ports_per_destination": _over(d[Sketch.FAILED_PORTS], d[Sketch.FAILED_DESTINATIONS]),
        "destinations_per_port": _over(d[Sketch.FAILED_DESTINATIONS], d[Sketch.FAILED_PORTS]),
        "flow_rate": flows / seconds,
        "bytes_per_packet": _over(c[Counter.BYTES_SENT], c[Counter.PACKETS_SENT]),
        "received_ratio": _over(c[Counter.BYTES_RECEIVED], everything),
        "flow_duration": _over(c[Counter.DURATION_MS] / 1000, flows),
        "udp_ratio": _over(c[Counter.UDP_FLOWS], flows),
        "icmp_ratio": _over(c[Counter.ICMP_FLOWS], flows),
        "well_known_ratio": _over(c[Counter.WELL_KNOWN_FLOWS], flows),
        "http_error_ratio": _over(c[Counter.HTTP_ERRORS], requests),
        "http_rate": requests / seconds,
        # The sketch is right to a few requests as long as it is not half full.
        "http_repeats": np.maximum(requests - d[Sketch.REQUESTS], 0.0)
        * (d[Sketch.REQUESTS] <= _MANY_REQUESTS),
        "login_attempts": c[Counter.LOGIN_SESSIONS] + c[Counter.LOGIN_DENIED],
        "dns_name_length": _over(c[Counter.DNS_NAME_BYTES], c[Counter.DNS_QUERIES]),
        "trusted_alerts": c[Counter.TRUSTED_ALERTS] / 1000,
        "proven_trusted_alerts": c[Counter.PROVEN_TRUSTED_ALERTS] / 1000,
        "day_failed_ratio": _over(c[Counter.DAY_FAILED_FLOWS], c[Counter.DAY_FLOWS]),
        "day_beat_ratio": _over(c[Counter.DAY_BEATS], c[Counter.DAY_PROVEN_FLOWS]),
        **_proven(c, d, seconds),
        **_gaps(c),
    }


def _proven(
    c: NDArray[np.float64], d: NDArray[np.float64], seconds: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return the features of completed connections."""
    flows = c[Counter.PROVEN_FLOWS]
    everything = c[Counter.PROVEN_BYTES_SENT] + c[Counter.PROVEN_BYTES_RECEIVED]
    return {
        "proven_flow_rate": flows / seconds,
        "proven_flows_per_destination": _over(flows, d[Sketch.PROVEN_DESTINATIONS]),
        "proven_received_ratio": _over(c[Counter.PROVEN_BYTES_RECEIVED], everything),
        "proven_bytes_per_flow": _over(everything, flows),
        "proven_flow_duration": _over(c[Counter.PROVEN_DURATION_MS] / 1000, flows),
        "short_ratio": _over(c[Counter.SHORT_SESSIONS], flows),
    }


def _gaps(c: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the mean gap between flows, and its coefficient of variation (0 for less than two)."""
    count = c[Counter.GAPS]
    mean = _over(c[Counter.GAP_MS], count)
    variance = np.maximum(_over(c[Counter.GAP_SQUARES], count) - mean * mean, 0.0)
    variation = np.sqrt(variance) / np.maximum(mean, 1.0)
    return {"gap_mean": mean / 1000, "gap_variation": variation * (count > 1)}
