"""How high a score can rise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ai_suricata.classify.ceiling import below, things_done
from ai_suricata.classify.model import proven
from ai_suricata.classify.stack import expit
from ai_suricata.core.schema import FEATURES, INDEX

if TYPE_CHECKING:
    from numpy.typing import NDArray


def test_who_has_done_little_is_not_acted_on_for_it() -> None:
    """One thing wrong stays below HIGH, two below CRITICAL; from three on there is no ceiling."""
    scores = below(np.full(4, 6.0), np.arange(4.0))

    assert [True] * 3 + [False] == (scores < 0.85).tolist()
    assert [True] * 2 + [False] * 2 == (scores < 0.7).tolist()
    assert scores[3] == pytest.approx(expit(np.array([6.0]))[0], abs=1e-6)


def test_below_a_ceiling_more_evidence_still_shows() -> None:
    """And far from it nothing changes."""
    one = np.ones(3)
    scores = below(np.array([-2.0, 0.5, 1.5]), one)

    assert sorted(set(scores.tolist())) == scores.tolist()
    assert scores[0] == pytest.approx(expit(np.array([-2.0]))[0], abs=1e-6)


def test_things_done_are_counted_once_of_each_kind() -> None:
    """A connection with two requests and an alert is three; proven ones are not counted again."""
    matrix = np.zeros((1, len(FEATURES)))
    for name, value in (("flows", 1), ("proven_flows", 1), ("http_requests", 2), ("alerts", 1)):
        matrix[0, INDEX[name]] = value

    assert [3.0] == things_done(matrix, SURE).tolist()
    assert [2.0] == things_done(proven(matrix), SURE).tolist()


def test_an_alert_before_the_record_of_its_connection_is_nothing_done_yet() -> None:
    """The record will say how it ended; two alerts are two."""
    assert [0.0] == things_done(row(alerts=1), SURE).tolist()
    assert [2.0] == things_done(row(alerts=1, flows=1, day_flows=1), SURE).tolist()
    assert [2.0] == things_done(row(alerts=2), SURE).tolist()


FAILED = {"day_flows": 8.0, "day_failed_flows": 8.0}
LONE = FAILED | {"day_lone_flows": 8.0}
SERVED = {"day_flows": 1.0, "day_proven_flows": 1.0}
INSISTS = {"day_flows": 4.0, "day_failed_flows": 4.0, "alerts": 3.0, "attack_alerts": 3.0}
INSISTS |= {"day_attack_signatures": 1.0}
SCANNED = SERVED | {"day_http_requests": 12, "day_http_errors": 12, "day_proven_attack_alerts": 1}
GUESSED = SERVED | {"day_flows": 8, "day_login_attempts": 8, "day_login_denied": 8}
HAMMERED = {"day_flows": 40, "proven_flows": 40, "http_requests": 31, "http_rate": 2.0}
HAMMERED |= {"http_repeats": 30}
PINGS = {"day_flows": 7.0, "icmp_ratio": 1.0, "day_failed_flows": 7.0, "day_lone_flows": 7.0}


@pytest.mark.parametrize(
    ("features", "done"),
    [
        (LONE, 8),
        (FAILED | {"day_bare_flows": 1}, 8),
        (FAILED, 1),
        (LONE | {"day_flows": 4, "day_failed_flows": 4}, 1),
        ({"day_flows": 2, "day_failed_flows": 2}, 0),
        (LONE | {"day_proven_flows": 1, "day_flows": 9}, 9),
        (LONE | {"day_proven_flows": 9, "day_flows": 17}, 2),
        (LONE | {"day_proven_flows": 32, "day_flows": 40}, 1),
        (LONE | {"day_proven_flows": 92, "day_flows": 100}, 0),
        (SERVED | {"http_requests": 2, "http_strange": 2, "attack_alerts": 2, "alerts": 2}, 1),
        (SERVED | {"http_requests": 5, "http_strange": 5}, 2),
        (SERVED | {"http_requests": 6, "http_strange": 6}, 6),
        (INSISTS, 1),
        (INSISTS | {"day_lone_flows": 1}, 7),
        (INSISTS | {"http_odd_methods": 4}, 1),
        (INSISTS | {"http_odd_methods": 5}, 7),
        (INSISTS | {"day_bare_flows": 1}, 7),
        (INSISTS | {"day_attack_signatures": 2}, 7),
        (SERVED | {"http_requests": 9}, 1),
        (HAMMERED, 2),
        (HAMMERED | {"http_rate": 0.5, "proven_flow_duration": 4}, 2),
        (HAMMERED | {"http_rate": 0.5}, 1),
        (HAMMERED | {"http_repeats": 19}, 1),
        (HAMMERED | {"http_rate": 0.1}, 1),
        (HAMMERED | {"proven_flows": 1, "day_flows": 1}, 1),
        (SERVED | {"day_http_requests": 12, "day_http_errors": 12}, 1),
        (SCANNED, 12),
        (SERVED | {"day_flows": 12, "day_proven_attack_alerts": 12}, 12),
        (SERVED | {"day_flows": 8, "login_attempts": 8, "day_login_attempts": 8}, 1),
        (SERVED | {"day_flows": 8, "day_login_attempts": 8, "day_login_denied": 8}, 1),
        (GUESSED | {"day_passwords": 2}, 1),
        (GUESSED | {"day_passwords": 9}, 16),
        (SERVED | {"day_flows": 50, "day_proven_flows": 50}, 1),
        (SERVED | {"day_flows": 50, "day_proven_flows": 50, "short_sessions": 1}, 1),
        (PINGS | {"failed_destinations": 2}, 0),
        (PINGS | {"failed_destinations": 5}, 1),
        (PINGS | {"failed_destinations": 6}, 7),
        (PINGS | {"failed_destinations": 2, "day_flows": 24, "day_failed_flows": 24}, 24),
    ],
)
def test_what_an_unlucky_client_may_have_done_counts_as_less(
    features: dict[str, float], done: float
) -> None:
    """However many things it is, unless a pattern is sure."""
    unsure = np.zeros((1, 1))

    assert [done] == things_done(row(**features), unsure).tolist()
    assert things_done(row(**features), SURE)[0] >= 2


SURE = np.ones((1, 1))
"""What patterns say of one row, of which one is sure."""


def row(**features: float) -> NDArray[np.float64]:
    """Return one vector with these features, the others 0."""
    matrix = np.zeros((1, len(FEATURES)))
    for name, value in features.items():
        matrix[0, INDEX[name]] = value
    return matrix
