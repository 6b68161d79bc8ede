"""The feature schema: what a feature vector holds, in this order, in these units.

A model is trained on one schema and serves only that one: name order, units, what can be forged
and version go into `SCHEMA_DIGEST`, which every artifact carries and which is checked when it is
loaded.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

SCHEMA_VERSION = 2


class Feature(NamedTuple):
    """One number of the vector."""

    name: str
    unit: str
    meaning: str
    forgeable: bool = True
    """Whether packets with a forged source address alone could have raised the value."""


def _proven(name: str, unit: str, meaning: str) -> Feature:
    """Return a feature that only completed TCP connections and what was said in them can raise."""
    return Feature(name, unit, meaning, forgeable=False)


FEATURES = (
    Feature("alerts", "count", "alerts"),
    Feature("alerts_severity_1", "count", "alerts of severity 1, the worst"),
    Feature("alerts_severity_2", "count", "alerts of severity 2"),
    Feature("attack_alerts", "count", "alerts of a class that tells of an attack"),
    Feature("attack_signatures", "distinct", "signatures among the attack alerts"),
    _proven("proven_attack_alerts", "count", "attack alerts inside a completed TCP handshake"),
    _proven("proven_attack_signatures", "distinct", "signatures among the proven attack alerts"),
    Feature("trusted_alerts", "count", "attack alerts, weighed by how seldom the signature errs"),
    _proven("proven_trusted_alerts", "count", "proven attack alerts, weighed in the same way"),
    Feature("rare_alerts", "count", "attack alerts of signatures that hardly any source raises"),
    Feature("flows", "count", "connections opened"),
    _proven("proven_flows", "count", "connections whose TCP handshake completed"),
    Feature("failed_flows", "count", "connections that were refused or never answered"),
    Feature("failed_ratio", "ratio", "failed connections among all"),
    Feature("silent_flows", "count", "connections that nobody answered"),
    Feature("lone_flows", "count", "single packets without an answer and without a second try"),
    Feature("lone_ratio", "ratio", "single unanswered packets among the connections"),
    Feature("bare_flows", "count", "failed connections whose SYN held none of the usual options"),
    Feature("refused_flows", "count", "connections answered with a refusal"),
    Feature("half_open_flows", "count", "connections that the opener left half open"),
    Feature("unoffered_flows", "count", "failed connections to ports that nobody here offers"),
    Feature("unoffered_ratio", "ratio", "connections to ports that nobody offers, among all"),
    Feature("ports", "distinct", "ports asked for"),
    Feature("destinations", "distinct", "hosts asked"),
    Feature("failed_ports", "distinct", "ports among the failed connections"),
    Feature("failed_destinations", "distinct", "hosts among the failed connections"),
    _proven("proven_ports", "distinct", "ports among the completed connections"),
    _proven("proven_destinations", "distinct", "hosts among the completed connections"),
    Feature(
        "ports_per_destination", "ratio", "failed ports for each failed host: a scan of one host"
    ),
    Feature("destinations_per_port", "ratio", "failed hosts for each failed port: a sweep of many"),
    _proven("proven_flows_per_destination", "ratio", "completed connections for each host"),
    Feature("flow_rate", "1/second", "connections a second"),
    _proven("proven_flow_rate", "1/second", "completed connections a second"),
    Feature("gap_mean", "seconds", "mean time from one connection to the next"),
    Feature("gap_variation", "ratio", "irregularity of the times between connections (0: regular)"),
    Feature("packets_sent", "count", "packets towards the host asked"),
    Feature("packets_received", "count", "packets that it answered"),
    Feature("bytes_sent", "bytes", "bytes towards the host asked"),
    Feature("bytes_received", "bytes", "bytes that it answered"),
    Feature("bytes_per_packet", "bytes", "mean size of a packet sent"),
    Feature("received_ratio", "ratio", "bytes received among all bytes"),
    _proven("proven_bytes_sent", "bytes", "bytes sent in completed connections"),
    _proven("proven_bytes_received", "bytes", "bytes received in completed connections"),
    _proven("proven_received_ratio", "ratio", "bytes received in completed connections, of all"),
    _proven("proven_bytes_per_flow", "bytes", "bytes for each completed connection"),
    Feature("flow_duration", "seconds", "mean duration of a connection"),
    _proven("proven_flow_duration", "seconds", "mean duration of a completed connection"),
    Feature("udp_ratio", "ratio", "UDP among the connections"),
    Feature("icmp_ratio", "ratio", "ICMP among the connections"),
    Feature("well_known_ratio", "ratio", "ports below 1024 among the connections"),
    _proven("http_requests", "count", "HTTP requests"),
    _proven("http_error_ratio", "ratio", "HTTP requests answered with 4xx"),
    _proven("http_errors", "count", "HTTP requests answered with 4xx"),
    _proven("http_denied", "count", "HTTP requests answered with 401 or 403"),
    _proven("http_server_errors", "count", "HTTP requests answered with 5xx"),
    _proven("http_odd_methods", "count", "HTTP requests by methods other than GET, HEAD and POST"),
    _proven("http_strange", "count", "HTTP requests with quotes, tags, hidden files, or long"),
    _proven("http_distinct", "distinct", "HTTP requests, by method and path"),
    _proven("http_repeats", "count", "HTTP requests made before, by method and path"),
    _proven("http_user_agents", "distinct", "names that the HTTP client gave itself"),
    _proven("http_rate", "1/second", "HTTP requests a second"),
    _proven("login_attempts", "count", "short login sessions, refused passwords of FTP and POP3"),
    _proven("short_sessions", "count", "short sessions on a port of logins or mail"),
    _proven("short_ratio", "ratio", "short login or mail sessions among the completed connections"),
    Feature("dns_queries", "count", "DNS questions"),
    Feature("dns_failures", "count", "DNS answers other than NOERROR"),
    Feature("dns_names", "distinct", "names asked of DNS"),
    Feature("dns_name_length", "bytes", "mean length of the names asked of DNS"),
    Feature("dns_carriers", "count", "DNS questions for records that can carry data (TXT, NULL)"),
    _proven("tls_handshakes", "count", "TLS handshakes"),
    _proven("ssh_sessions", "count", "SSH sessions in which both sides named their version"),
    Feature("anomalies", "count", "protocol anomalies"),
    Feature("day_flows", "count", "connections in the day"),
    Feature("day_failed_flows", "count", "failed connections in the day"),
    Feature("day_failed_ratio", "ratio", "failed connections among those of the day"),
    Feature("day_lone_flows", "count", "single unanswered packets in the day"),
    Feature("day_unoffered_flows", "count", "connections in the day to ports that nobody offers"),
    Feature("day_unoffered_ports", "distinct", "ports asked for in the day that nobody offers"),
    Feature("day_bare_flows", "count", "such bare SYNs in the day: a scanner's own packets"),
    _proven("day_proven_flows", "count", "completed connections in the day"),
    Feature("day_failed_ports", "distinct", "failed ports in the day: a slow scan"),
    Feature("day_failed_destinations", "distinct", "failed hosts in the day: a slow sweep"),
    _proven("day_login_attempts", "count", "login attempts in the day"),
    _proven("day_login_denied", "count", "refusals of passwords by FTP and POP3 in the day"),
    _proven("day_passwords", "distinct", "passwords refused by FTP and POP3 in the day"),
    _proven("day_short_sessions", "count", "short login or mail sessions in the day"),
    Feature("day_attack_signatures", "distinct", "signatures among the attack alerts of the day"),
    _proven("day_proven_attack_alerts", "count", "proven attack alerts in the day"),
    _proven("day_http_requests", "count", "HTTP requests in the day"),
    _proven("day_http_errors", "count", "HTTP requests of the day answered with 4xx"),
    _proven("day_beats", "count", "connections to one peer outside, in step with those before"),
    _proven("day_beat_ratio", "ratio", "connections in step, among the completed ones of the day"),
    _proven("day_uploaded", "bytes", "bytes sent to peers outside in the day"),
    Feature("day_failed_login", "yes/no", "a remote login asked for in vain (ssh, telnet, rdp)"),
    Feature("day_failed_sharing", "yes/no", "file sharing asked for in vain (smb, rpc, nfs)"),
    Feature("day_failed_database", "yes/no", "a database asked for in vain"),
    Feature(
        "day_failed_device", "yes/no", "a device's service asked for in vain (adb, upnp, tr69)"
    ),
    Feature("day_failed_web", "yes/no", "a web server asked for in vain"),
    Feature("day_failed_mail", "yes/no", "a mail server asked for in vain"),
    Feature("day_failed_voice", "yes/no", "telephony asked for in vain (sip)"),
    Feature("day_failed_amplifier", "yes/no", "a UDP service that amplifies asked for in vain"),
    Feature("day_failed_other", "yes/no", "a port of no known kind asked for in vain"),
    Feature("day_hours", "distinct", "hours of the day in which it was active"),
    Feature("age", "seconds", "time since it was first seen"),
)
"""Features count over the recent window (10 minutes of event time) unless their name says `day`,
or is `age` (as long as the address is known)."""

FEATURE_NAMES = tuple(feature.name for feature in FEATURES)
INDEX = {name: index for index, name in enumerate(FEATURE_NAMES)}
PROVEN = tuple(not feature.forgeable for feature in FEATURES)
"""True where no forged packet could have raised the value. The proven vector is the vector with
all others set to 0."""
SCHEMA_DIGEST = blake2b(
    repr((SCHEMA_VERSION, [(each.name, each.unit, each.forgeable) for each in FEATURES])).encode(),
    digest_size=8,
).hexdigest()
