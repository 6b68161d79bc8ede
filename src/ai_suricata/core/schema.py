"""The feature schema: what a feature vector holds, in this order, in these units.

A model is trained on one schema and serves only that one: name order, units and version go into
`SCHEMA_DIGEST`, which every artifact carries and which is checked when it is loaded.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

SCHEMA_VERSION = 1


class Feature(NamedTuple):
    """One number of the vector."""

    name: str
    unit: str
    meaning: str


FEATURES = (
    Feature("alerts", "count", "alerts"),
    Feature("alerts_severity_1", "count", "alerts of severity 1, the worst"),
    Feature("alerts_severity_2", "count", "alerts of severity 2"),
    Feature("attack_alerts", "count", "alerts of a class that tells of an attack"),
    Feature("attack_signatures", "distinct", "signatures among the attack alerts"),
    Feature("proven_attack_alerts", "count", "attack alerts inside a completed TCP handshake"),
    Feature("proven_attack_signatures", "distinct", "signatures among the proven attack alerts"),
    Feature("flows", "count", "connections opened"),
    Feature("proven_flows", "count", "connections whose TCP handshake completed"),
    Feature("failed_flows", "count", "connections that were refused or never answered"),
    Feature("failed_ratio", "ratio", "failed connections among all"),
    Feature("ports", "distinct", "ports asked for"),
    Feature("destinations", "distinct", "hosts asked"),
    Feature("failed_ports", "distinct", "ports among the failed connections"),
    Feature("failed_destinations", "distinct", "hosts among the failed connections"),
    Feature("proven_ports", "distinct", "ports among the completed connections"),
    Feature(
        "ports_per_destination", "ratio", "failed ports for each failed host: a scan of one host"
    ),
    Feature("destinations_per_port", "ratio", "failed hosts for each failed port: a sweep of many"),
    Feature("flow_rate", "1/second", "connections a second"),
    Feature("proven_flow_rate", "1/second", "completed connections a second"),
    Feature("packets_sent", "count", "packets towards the host asked"),
    Feature("packets_received", "count", "packets that it answered"),
    Feature("bytes_sent", "bytes", "bytes towards the host asked"),
    Feature("bytes_received", "bytes", "bytes that it answered"),
    Feature("bytes_per_packet", "bytes", "mean size of a packet sent"),
    Feature("received_ratio", "ratio", "bytes received among all bytes"),
    Feature("flow_duration", "seconds", "mean duration of a connection"),
    Feature("udp_ratio", "ratio", "UDP among the connections"),
    Feature("icmp_ratio", "ratio", "ICMP among the connections"),
    Feature("well_known_ratio", "ratio", "ports below 1024 among the connections"),
    Feature("http_requests", "count", "HTTP requests"),
    Feature("http_error_ratio", "ratio", "HTTP requests answered with 4xx"),
    Feature("http_errors", "count", "HTTP requests answered with 4xx"),
    Feature("http_denied", "count", "HTTP requests answered with 401 or 403"),
    Feature("http_distinct", "distinct", "HTTP requests, by method and path"),
    Feature("http_rate", "1/second", "HTTP requests a second"),
    Feature("login_attempts", "count", "short sessions on a login port, and refused FTP passwords"),
    Feature("dns_queries", "count", "DNS questions"),
    Feature("dns_failures", "count", "DNS answers other than NOERROR"),
    Feature("tls_handshakes", "count", "TLS handshakes"),
    Feature("ssh_sessions", "count", "SSH sessions in which both sides named their version"),
    Feature("anomalies", "count", "protocol anomalies"),
    Feature("day_failed_ports", "distinct", "failed ports in the day: a slow scan"),
    Feature("day_failed_destinations", "distinct", "failed hosts in the day: a slow sweep"),
    Feature("day_login_attempts", "count", "login attempts in the day"),
    Feature("day_attack_signatures", "distinct", "signatures among the attack alerts of the day"),
)
"""Features count over the recent window (10 minutes of event time) unless their name says `day`."""

FEATURE_NAMES = tuple(feature.name for feature in FEATURES)
INDEX = {name: index for index, name in enumerate(FEATURE_NAMES)}
SCHEMA_DIGEST = blake2b(
    repr((SCHEMA_VERSION, [(feature.name, feature.unit) for feature in FEATURES])).encode(),
    digest_size=8,
).hexdigest()
