"""How high a stranger's score can rise, by how much it is known to have done.

What was learnt is the laboratory; on another network a client has bad luck in ways that it had not.
So beyond a level a score must rest on more than people and programs do by mistake: to mistype a
port and repeat it, to follow broken links, to search for a word that a signature knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify.stack import DIGITS, expit
from ai_suricata.classify.vectors import Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

CEILINGS = (0.45, 0.68, 0.80)
"""What a stranger's score stays below who has done 0, 1, 2 things: who is wrong once may have
mistyped. Below MEDIUM, below HIGH, and then below the level at which he would be blocked."""
_SWEEP, _MANY_PINGS = 6, 24
"""Hosts that were pinged in vain, and pings in a day: below these it is a look who is alive."""
_ONCE_OR_TWICE, _FEW_FAILED, _FEW_WRONG, _FEW_RETRIED = 3, 5, 6, 12
"""Below these: a mistake; connections of a client that nobody serves; things that go wrong for one
who is served; connections of one who repeats each as an ordinary system does."""
_FEW_SHORT = 8.0
"""Short sessions in a day at login and mail ports, as who reads and sends mail has them."""
_MANY_REPEATS, _FAST = 20, 2.0
"""Requests for a page that was had before, and requests a second: a person does not reload so."""
_BRISK, _HELD = 0.4, 3.0
"""Requests a second, and seconds of a connection, that hold a server's places together."""
_LONG_NAME = 40.0
"""Bytes of a DNS name from which it may be carrying data."""
_SURE = 0.7
"""Score of a pattern that needs no more evidence."""
_SHARP = 0.15  # log odds: how near a ceiling it begins to be felt


def things_done(matrix: NDArray[np.float64], patterns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many things each row tells of: connections, alerts, requests, logins, questions.

    A proven vector has only some of the features; of each kind the greatest number counts. An alert
    about a connection of which no record has come yet is nothing done: the record will say how it
    ended. `patterns`: (patterns, rows). Where none is sure, what a client with bad luck may have
    done too counts as less: see `_likely`.
    """
    v = Vectors(matrix)
    flows = np.maximum(v["flows"], np.maximum(v["day_flows"], v["day_proven_flows"]))
    flows = np.maximum(flows, v["proven_flows"])
    alerts = np.maximum(v["alerts"], v["proven_attack_alerts"])
    logins = np.maximum(v["login_attempts"], v["day_login_attempts"])
    requests = np.maximum(v["http_requests"], v["day_http_requests"])
    more = np.maximum(requests - 1.0, 0.0) + np.maximum(v["dns_queries"] - 1.0, 0.0)
    done = flows + alerts + logins + more
    done = np.where((flows == 0) & (done <= 1), 0.0, done)
    sure = patterns.max(axis=0) >= _SURE
    return np.minimum(done, np.where(sure, np.inf, _likely(v, flows + more, logins)))


def _likely(
    v: Vectors, asked: NDArray[np.float64], logins: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return as how many things at most a row counts, since clients do as much; else infinity.

    `asked`: connections, requests and questions; some of them went wrong. `plain`: all that went
    wrong are connections that failed, opened with the packets of an ordinary system. `patient`:
    each of them was tried again, which scanners seldom do; `insists`: that, whether or not one
    signature says so as well.
    """
    failed = np.maximum(v["failed_flows"], v["day_failed_flows"])
    alerts = np.maximum(v["attack_alerts"], v["proven_attack_alerts"])
    alerts = np.maximum(alerts, v["day_proven_attack_alerts"])
    # A page that has gone is asked for by its readers all day; with alerts beside it is no such.
    errors = np.where(v["day_proven_attack_alerts"] > 0, v["day_http_errors"], v["http_errors"])
    # One request can be strange, raise an alert and be answered with an error.
    said = np.maximum(errors, v["http_strange"])
    # A short session may have been a login that was right: programs that copy files have some.
    denied = np.minimum(v["day_login_denied"], v["day_passwords"])
    logins = np.maximum(denied, logins - v["day_login_denied"] - _FEW_SHORT)
    tunnel = np.where(v["dns_name_length"] > _LONG_NAME, v["dns_queries"], 0.0)
    # Among many other connections they are those of an office whose people read their mail.
    mostly = v["day_short_sessions"] >= 0.8 * v["day_proven_flows"]
    short = np.where(mostly, np.maximum(v["day_short_sessions"] - _FEW_SHORT, 0.0), 0.0)
    besides = np.maximum(logins, short) + v["http_odd_methods"] + v["dns_carriers"] + tunnel
    wrong = failed + besides + np.maximum(alerts, said)
    served = v["day_proven_flows"] + v["http_requests"] + v["tls_handshakes"] > 0
    plain = (failed > 0) & (v["day_bare_flows"] == 0) & (alerts == 0) & (failed >= 0.5 * wrong)
    patient = plain & (v["day_lone_flows"] == 0)
    # A signature that counts packets says no more of a client that tries again than they do.
    insists = (failed > 0) & (v["day_bare_flows"] + v["day_lone_flows"] == 0)
    insists &= (v["day_attack_signatures"] <= 1) & (failed < _FEW_RETRIED)
    insists &= besides + said <= failed
    pings = (v["icmp_ratio"] >= 1) & (logins + v["http_requests"] + v["dns_queries"] == 0)
    pings &= (v["failed_destinations"] < _SWEEP) & (v["day_flows"] < _MANY_PINGS)
    innocent, hammers = wrong == 0, _hammers(v)
    some, few = wrong > 0, wrong < _FEW_WRONG
    most = np.full(len(v), np.inf)
    for bound, chosen in (
        (2.0, (wrong < 0.5 * asked) | (served & few) | innocent),
        (1.0, (innocent & ~hammers) | pings | insists | (plain & (failed < _FEW_FAILED))),
        (1.0, some & ((wrong < 0.25 * asked) | (served & (wrong < _ONCE_OR_TWICE)))),
        (0.0, (some & (wrong < 0.1 * asked)) | (patient & (failed < _ONCE_OR_TWICE))),
        (0.0, pings & (v["failed_destinations"] < _ONCE_OR_TWICE)),
    ):
        most[chosen] = bound
    return most


def _hammers(v: Vectors) -> NDArray[np.bool_]:
    """Whether one page is asked for again and again, fast, each time on a new connection.

    Floods and guessed passwords come so, and connections that are held open by the dozen. Who
    watches a page lets time pass, or stays connected.
    """
    anew = v["proven_flows"] >= 0.5 * v["http_requests"]
    held = (v["http_rate"] >= _BRISK) & (v["proven_flow_duration"] >= _HELD)
    hammers: NDArray[np.bool_] = (
        anew & (held | (v["http_rate"] >= _FAST)) & (v["http_repeats"] >= _MANY_REPEATS)
    )
    return hammers


def below(odds: NDArray[np.float64], done: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the score of log odds, held below the ceiling of who has done so little.

    The ceiling bends the score and does not cut it: what raises the odds still raises it.
    """
    ceilings = np.array([*CEILINGS, 1.0 - 1e-9])
    most = np.log(ceilings / (1.0 - ceilings))[np.minimum(done, len(CEILINGS)).astype(np.int64)]
    least = np.minimum(odds, most)
    bent = least - _SHARP * np.log1p(np.exp(-np.abs(odds - most) / _SHARP))
    score: NDArray[np.float64] = np.round(expit(bent), DIGITS)
    return score
