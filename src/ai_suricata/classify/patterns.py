"""Attacks that can be said in words: each pattern scores 0..1 and names the numbers behind it.

A pattern gives two scores: over all evidence, and over the evidence that no forged packet could
have made (completed TCP handshakes only), on which a block must rest.

Where a ramp begins is where ordinary clients end: a stranger who mistypes a port three times, an
office behind one address, a crawler with broken links, a peer-to-peer client that calls hundreds
of hosts that are gone (each on its own port, so neither ports nor hosts stand out).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify.vectors import Vectors, ramp

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Score = Callable[[Vectors], NDArray[np.float64]]

NOTEWORTHY = 0.3
"""Score from which a pattern counts as recognised and is named among the reasons."""
_OWN_PASSWORDS = 4
"""Different passwords that are refused to somebody who has a right one."""
_SECOND, _THIRD = 0.5, 0.25  # what the second and third strongest patterns still add


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of attack."""

    name: str
    score: Score
    proven: Score
    words: str
    """A reason with the feature values in it, for `str.format`."""


def _nothing(vectors: Vectors) -> NDArray[np.float64]:
    return np.zeros(len(vectors))


def _mostly_failed(v: Vectors) -> NDArray[np.float64]:
    """Lower a scan's score where most connections succeed: busy clients meet closed ports."""
    return np.interp(v["failed_ratio"], [0.1, 0.5], [0.2, 1.0])


def _mostly_failed_today(v: Vectors) -> NDArray[np.float64]:
    """Lower a slow scan's score in the same way, by the day that it took."""
    return np.interp(v["day_failed_ratio"], [0.1, 0.5], [0.2, 1.0])


def _seldom_busy(v: Vectors) -> NDArray[np.float64]:
    """Lower a sweep's score by hundreds of connections that succeeded in the day.

    A host behind which people work has bad minutes, in which all that it calls is gone.
    """
    return np.interp(v["day_flows"] * (1.0 - v["day_failed_ratio"]), [100, 1000], [1.0, 0.3])


def _port_scan(v: Vectors) -> NDArray[np.float64]:
    recent = ramp(
        v["ports_per_destination"], (6, 0.3), (12, 0.5), (24, 0.7), (50, 0.85), (120, 1.0)
    )
    day = v["day_failed_ports"] / np.maximum(v["day_failed_destinations"], 1.0)
    slow = ramp(day, (12, 0.3), (24, 0.5), (50, 0.7), (120, 0.85), (250, 1.0))
    return np.maximum(recent * _mostly_failed(v), slow * _mostly_failed_today(v))


def _port_scan_proven(v: Vectors) -> NDArray[np.float64]:
    return ramp(v["proven_ports"], (10, 0.3), (15, 0.5), (20, 0.7), (30, 0.85), (60, 1.0))


def _network_scan(v: Vectors) -> NDArray[np.float64]:
    recent = ramp(
        v["destinations_per_port"], (12, 0.3), (25, 0.5), (50, 0.7), (100, 0.85), (200, 1.0)
    )
    day = v["day_failed_destinations"] / np.maximum(v["day_failed_ports"], 1.0)
    slow = ramp(day, (25, 0.3), (50, 0.5), (100, 0.7), (200, 0.85), (400, 1.0))
    recent = recent * _mostly_failed(v) * _seldom_busy(v)
    return np.maximum(recent, slow * _mostly_failed_today(v))


def _mostly_denied(v: Vectors) -> NDArray[np.bool_]:
    """Whether it is a password that is asked for again and again, rather than a page."""
    mostly: NDArray[np.bool_] = v["http_denied"] >= 0.8 * np.maximum(v["http_requests"], 1.0)
    return mostly


def _guesses(recent: NDArray[np.float64], day: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score so many attempts in ten minutes, and in the day."""
    fast = ramp(recent, (8, 0.3), (12, 0.5), (18, 0.7), (25, 0.85), (50, 1.0))
    slow = ramp(day, (40, 0.3), (80, 0.5), (160, 0.7), (400, 0.85), (800, 1.0))
    return np.maximum(fast, slow)


def _is_out_of_date(v: Vectors) -> NDArray[np.bool_]:
    """Whether the refused passwords may be those of a program that has an old one.

    It gives the same one for days, to one server. Who guesses gives others, or asks many servers.
    """
    return (v["day_passwords"] <= _OWN_PASSWORDS) & (v["proven_destinations"] <= 2)  # noqa: PLR2004 - mail and files


def _brute_force(v: Vectors) -> NDArray[np.float64]:
    recent, day, denied = v["login_attempts"], v["day_login_attempts"], v["day_login_denied"]
    guesses = _guesses(recent, day)
    # Then refusals alone are watched and no more; what besides them was tried still counts whole.
    besides = _guesses(np.maximum(recent - denied, 0.0), np.maximum(day - denied, 0.0))
    guesses = np.where(_is_out_of_date(v), np.maximum(0.5 * guesses, besides), guesses)
    # A client whose token has run out also gets 401 for ever: HTTP alone stays below a block.
    web = ramp(v["http_denied"], (20, 0.3), (50, 0.5), (150, 0.7), (600, 0.8)) * _mostly_denied(v)
    return np.maximum(guesses, web)


def _flooding(rate: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    return ramp(rate, (25, 0.3), (50, 0.5), (100, 0.7), (200, 0.85), (500, 1.0)) * (count >= 500)  # noqa: PLR2004


def _web_flood(v: Vectors) -> NDArray[np.float64]:
    enough = v["http_requests"] >= 1000  # noqa: PLR2004 - a page with its pictures is no flood
    return (
        ramp(v["http_rate"], (50, 0.3), (100, 0.5), (200, 0.7), (400, 0.85), (1000, 1.0)) * enough
    )


def _denial(v: Vectors) -> NDArray[np.float64]:
    return np.maximum(_flooding(v["flow_rate"], v["flows"]), _web_flood(v))


def _denial_proven(v: Vectors) -> NDArray[np.float64]:
    return np.maximum(_flooding(v["proven_flow_rate"], v["proven_flows"]), _web_flood(v))


def _web_scan(v: Vectors) -> NDArray[np.float64]:
    # Many errors on many different requests: a client that asks for one missing file again and
    # again is no scanner, and neither is a crawler most of whose links work.
    breadth = np.sqrt(v["http_errors"] * np.minimum(v["http_errors"], v["http_distinct"]))
    mostly = np.interp(v["http_error_ratio"], [0.3, 0.5, 0.8], [0.0, 0.7, 1.0])
    # What is denied is weighed as brute force: counted here as well, it would add up to a block.
    mostly = mostly * ~_mostly_denied(v)
    return mostly * ramp(breadth, (10, 0.3), (20, 0.5), (40, 0.7), (70, 0.85), (150, 1.0))


def _beaconing(v: Vectors) -> NDArray[np.float64]:
    # Updates, mail and monitoring come in step as well, so steps alone never go beyond LOW. Among
    # many other connections they say less.
    steps = ramp(v["day_beats"], (12, 0.3), (40, 0.38), (120, 0.45))
    return steps * np.interp(v["day_beat_ratio"], [0.02, 0.2], [0.3, 1.0])


def _dns_tunnel(v: Vectors) -> NDArray[np.float64]:
    # Names that are all different, and long: data goes out in them, and comes back in the records
    # that carry some. Mail filters and virus scanners ask for long names as well, in A records.
    long = np.interp(v["dns_name_length"], [40, 70], [0.0, 1.0])
    carried = np.interp(v["dns_carriers"] / np.maximum(v["dns_queries"], 1.0), [0.0, 0.2], [0.4, 1])
    return long * carried * ramp(v["dns_names"], (8, 0.3), (16, 0.5), (32, 0.7), (64, 0.8))


def _signatures(alerts: NDArray[np.float64], distinct: NDArray[np.float64]) -> NDArray[np.float64]:
    # One signature may be wrong about a client, however often it says so; several rarely are.
    weight = np.minimum(alerts, 10.0) + 3.0 * distinct
    capped = np.where(distinct >= 2, 1.0, 0.65)  # noqa: PLR2004 - one signature, or several
    score = ramp(weight, (4, 0.3), (8, 0.45), (14, 0.7), (20, 0.85), (30, 1.0))
    return np.minimum(score, capped) * (distinct >= 1)


def _unasked(v: Vectors) -> NDArray[np.float64]:
    """Score two signatures that hardly ever err about somebody who was never served.

    A client on whom signatures are wrong has asked for something, and was answered.
    """
    several = (v["attack_signatures"] >= 2) & (v["trusted_alerts"] >= 2)  # noqa: PLR2004 - several
    served = v["day_proven_flows"] + v["http_requests"] > 0
    return np.where(several & ~served, ramp(v["trusted_alerts"], (2, 0.8), (6, 1.0)), 0.0)


PATTERNS = (
    Pattern(
        "port_scan",
        _port_scan,
        _port_scan_proven,
        "port scan: {failed_ports:.0f} ports of {failed_destinations:.0f} hosts refused or silent "
        "in 10 minutes ({day_failed_ports:.0f} in the day), {failed_ratio:.0%} of {flows:.0f} "
        "connections failed",
    ),
    Pattern(
        "network_scan",
        _network_scan,
        _nothing,
        "network scan: {failed_destinations:.0f} hosts refused or silent on {failed_ports:.0f} "
        "ports in 10 minutes ({day_failed_destinations:.0f} hosts in the day)",
    ),
    Pattern(
        "brute_force",
        _brute_force,
        _brute_force,
        "brute force: {login_attempts:.0f} short login sessions or refused passwords in 10 minutes "
        "({day_login_attempts:.0f} in the day), {http_denied:.0f} HTTP requests denied",
    ),
    Pattern(
        "denial_of_service",
        _denial,
        _denial_proven,
        "denial of service: {flow_rate:.1f} connections and {http_rate:.1f} HTTP requests a second",
    ),
    Pattern(
        "web_scan",
        _web_scan,
        _web_scan,
        "web scan: {http_errors:.0f} of {http_requests:.0f} HTTP requests answered with 4xx, "
        "{http_distinct:.0f} of the requests different",
    ),
    Pattern(
        "attack_signature",
        lambda v: np.maximum(_signatures(v["attack_alerts"], v["attack_signatures"]), _unasked(v)),
        lambda v: _signatures(v["proven_attack_alerts"], v["proven_attack_signatures"]),
        "attack signatures: {attack_alerts:.0f} alerts of {attack_signatures:.0f} signatures in "
        "10 minutes, {proven_attack_alerts:.0f} of them inside completed handshakes",
    ),
    Pattern(
        "beaconing",
        _beaconing,
        _beaconing,
        "beaconing: {day_beats:.0f} small connections to one peer outside at equal intervals in "
        "the day, {day_beat_ratio:.0%} of {day_proven_flows:.0f} completed ones",
    ),
    Pattern(
        "dns_tunnel",
        _dns_tunnel,
        _nothing,
        "DNS tunnel: {dns_names:.0f} different names of {dns_name_length:.0f} bytes, "
        "{dns_carriers:.0f} of {dns_queries:.0f} questions for records that carry data",
    ),
)


def combine(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join the scores of all patterns, shape (patterns, rows), into one a row, 0..1.

    The strongest counts whole, the next two in part: what looks like two things at once is more
    likely to be bad, but three faint traces don't make an attack.
    """
    top = -np.sort(-scores, axis=0)
    missed = (1 - top[0]) * (1 - _SECOND * top[1]) * (1 - _THIRD * top[2])
    joined: NDArray[np.float64] = 1 - missed
    return joined
