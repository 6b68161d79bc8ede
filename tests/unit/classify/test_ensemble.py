"""From scores to levels and actions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ai_suricata.classify.ensemble import Classifier
from ai_suricata.classify.estimator import fit
from ai_suricata.classify.model import Model, proven, unlabelled
from ai_suricata.core.schema import FEATURES, INDEX
from ai_suricata.core.verdict import ACTION_OF_LEVEL, Action, Level
from fakes import eve
from fakes import model as fake

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ai_suricata.core.verdict import Verdict


@pytest.fixture(scope="module")
def model() -> Model:
    """Return a model of a quiet network."""
    random = np.random.default_rng(5)
    return unlabelled(fit(random.poisson(1.0, (300, len(FEATURES))).astype(np.float64)))


def test_each_level_has_its_action() -> None:
    """As the contract with operators says."""
    expected = {
        Level.INFO: Action.IGNORE,
        Level.LOW: Action.LOG,
        Level.MEDIUM: Action.MONITOR,
        Level.HIGH: Action.RATE_LIMIT,
        Level.CRITICAL: Action.BLOCK,
    }

    assert expected == ACTION_OF_LEVEL


def test_a_score_on_a_threshold_belongs_to_the_higher_level() -> None:
    """From the threshold on, not above it."""
    records = [eve.login(at=n) for n in range(14)]
    score = eve.worst(records).score
    below = {"LOW_THRESHOLD": "0.001", "MEDIUM_THRESHOLD": "0.002", "HIGH_THRESHOLD": "0.003"}
    exact = eve.worst(records, **below, CRITICAL_THRESHOLD=repr(score))
    above = eve.worst(records, **below, CRITICAL_THRESHOLD=repr(math.nextafter(score, 1)))

    assert (Level.CRITICAL, Level.HIGH) == (exact.level, above.level)


def test_thresholds_of_the_operator_are_used() -> None:
    """Each of the four moves its own border."""
    records = [eve.login(at=n) for n in range(14)]
    names = ("LOW_THRESHOLD", "MEDIUM_THRESHOLD", "HIGH_THRESHOLD", "CRITICAL_THRESHOLD")
    lax = dict(zip(names, ("0.96", "0.97", "0.98", "0.99"), strict=True))
    strict = dict(zip(names, ("0.01", "0.02", "0.03", "0.04"), strict=True))
    levels = [
        eve.worst(records, **{**lax, **{name: strict[name] for name in names[:count]}}).level
        for count in range(5)
    ]

    assert list(Level) == levels


def test_a_score_of_1_reaches_a_critical_threshold_of_1() -> None:
    """No setting makes BLOCK unreachable."""
    records = [eve.login(at=n) for n in range(80)]

    assert Action.BLOCK == eve.worst(records, CRITICAL_THRESHOLD="1").action


@pytest.mark.parametrize("guard", ["true", "false"])
def test_a_home_host_is_reported_and_never_acted_against(guard: str) -> None:
    """Whatever it does, MONITOR is the most, and the reason says why."""
    found = eve.worst([eve.login(eve.WORKSTATION, at=n) for n in range(80)], SPOOF_GUARD=guard)

    assert (Level.CRITICAL, Action.MONITOR, True) == (found.level, found.action, found.home)
    assert "home network" in found.reasons[-1]


def test_the_guard_weighs_proven_evidence_alone() -> None:
    """A few proven logins do not carry a forged flood over the threshold."""
    flood = [eve.silent(at=n * 0.001, port=9, proto="UDP") for n in range(2000)]
    found = eve.worst([eve.login(at=0) for _ in range(10)] + flood)

    assert (Level.CRITICAL, Action.RATE_LIMIT) == (found.level, found.action)
    assert 0.3 < found.proven_score < 0.85
    assert f"{found.proven_score:.2f}" in found.reasons[-1]


def test_a_verdict_names_the_model_that_took_part(model: Model) -> None:
    """Before the learning period has ended, none did."""
    records = [eve.line(eve.login(at=n)) for n in range(20)]

    assert {"none"} == {v.model_version for v in eve.analysis().lines(records).verdicts}
    assert {model.version} == {
        v.model_version for v in eve.analysis(model=model).lines(records).verdicts
    }


def test_what_is_unusual_is_told_with_its_value_and_what_is_usual(model: Model) -> None:
    """An anomaly without a pattern has a reason too."""
    records = [eve.flow(at=n, sent=(10**6, 10**9), received=(10**6, 10**9)) for n in range(30)]
    result = eve.analysis(model=model).lines([eve.line(record) for record in records])
    found = max(result.verdicts, key=lambda verdict: verdict.score)

    assert Level.LOW == found.level
    assert "most unusual: " in found.reasons[0]
    assert "usually " in found.reasons[0]
    assert max(result.anomalies) > 0.8


def test_several_faint_traces_have_a_reason_too() -> None:
    """Patterns below what is worth naming can come to LOW together."""
    matrix = np.zeros((1, len(FEATURES)))
    for name, value in (("login_attempts", 7.9), ("ports_per_destination", 5.9)):
        matrix[0, INDEX[name]] = value
    matrix[0, INDEX["failed_ratio"]] = 1
    found, _ = Classifier(eve.settings().classify).classify(
        [eve.STRANGER], np.zeros(1, np.bool_), np.zeros(1, np.int64), matrix
    )

    assert Level.LOW == found[0].level
    assert () == found[0].patterns
    assert "7.9" in found[0].reasons[0]


def test_severity_1_is_the_worst() -> None:
    """It is counted as such, and a client of severity 3 alone is not."""
    severe = eve.analysis().lines([eve.line(eve.alert(severity=1))])
    slight = eve.analysis().lines([eve.line(eve.alert(severity=3))])

    assert {1: 1} == dict(severe.severities)
    assert {3: 1} == dict(slight.severities)


def test_only_a_row_that_would_be_blocked_is_asked_what_is_proven() -> None:
    """By the model, of the vector without what could have been forged."""
    trained = fake.trained()
    matrix = np.vstack([fake.vectors(5, 7), fake.guesses(fake.vectors(5, 8))])
    found, _ = classified(trained, matrix)
    scores, withstood = trained.score(matrix), trained.score(proven(matrix))

    assert scores.tolist() == [verdict.score for verdict in found]
    blocked = [n for n, verdict in enumerate(found) if verdict.level is Level.CRITICAL]
    assert set(blocked) <= set(range(5, 10))
    assert len(blocked) >= 3
    assert [min(withstood[n], scores[n]) for n in blocked] == [
        found[n].proven_score for n in blocked
    ]


def test_a_home_host_is_judged_without_the_vote() -> None:
    """What a stranger would be blocked for is a LOG at most where no pattern speaks."""
    trained = fake.trained()
    matrix = fake.guesses(fake.vectors(5, 8))
    matrix[:, [INDEX["login_attempts"], INDEX["day_login_attempts"]]] = 0
    found, _ = classified(trained, matrix, home=True)

    assert trained.score(matrix, np.ones(5, np.bool_)).tolist() == [one.score for one in found]


def test_every_verdict_above_info_has_a_reason() -> None:
    """Of strangers and of home hosts, with a labelled model and without."""
    matrix = np.vstack([fake.vectors(5, 7), fake.guesses(fake.vectors(5, 8))])
    for model in (None, fake.trained()):
        for home in (False, True):
            for verdict in classified(model, matrix, home=home)[0]:
                assert bool(verdict.reasons) == (verdict.level > Level.INFO)


def classified(
    model: Model | None, matrix: NDArray[np.float64], *, home: bool = False
) -> tuple[list[Verdict], NDArray[np.float64]]:
    """Return the verdicts on some rows."""
    count = len(matrix)
    return Classifier(eve.settings().classify, model).classify(
        [eve.STRANGER] * count, np.full(count, home), np.zeros(count, np.int64), matrix
    )
