"""The whole model: one score out of patterns, vote and anomaly."""

from __future__ import annotations

import numpy as np
import pytest

from ai_suricata.classify import estimator
from ai_suricata.classify.model import join, pattern_scores, proven, unlabelled
from ai_suricata.classify.patterns import combine
from ai_suricata.core.schema import FEATURES, INDEX, PROVEN
from fakes import model as fake

ASKED = np.vstack([fake.vectors(150, 7), fake.guesses(fake.vectors(50, 8))])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_score_does_not_depend_on_the_batch(size: int) -> None:
    """To the digit: patterns, vote, anomaly and their sum."""
    model = fake.trained()
    parts = [model.score(ASKED[start : start + size]) for start in range(0, len(ASKED), size)]

    assert model.score(ASKED).tolist() == np.concatenate(parts).tolist()


def test_attackers_score_high_and_clients_low() -> None:
    """On rows that nothing was fitted on."""
    scores = fake.trained().score(ASKED)

    assert (scores[:150] < 0.5).mean() > 0.97
    assert (scores[150:] > 0.7).mean() > 0.97


def test_a_row_with_nothing_in_it_is_nothing() -> None:
    """As the proven vector of a source is of whom nothing is proven."""
    assert fake.trained().score(np.zeros((1, len(FEATURES))))[0] < 0.3


def test_the_score_is_the_join_of_the_parts() -> None:
    """Parts are what an explanation is given."""
    model = fake.trained()
    parts = model.parts(ASKED)

    assert model.score(ASKED).tolist() == model.joined(parts).tolist()
    some = np.array([3, 170])
    assert model.score(ASKED[some]).tolist() == model.joined(parts.take(some)).tolist()


def test_a_home_host_is_judged_by_patterns_and_by_what_is_odd() -> None:
    """The vote was taught by strangers who come in."""
    model = fake.trained()
    parts = model.parts(ASKED)
    home = np.arange(len(ASKED)) % 2 == 0
    expected = join(combine(pattern_scores(ASKED)), parts.anomaly)

    assert expected[home].tolist() == model.score(ASKED, home)[home].tolist()
    assert model.score(ASKED)[~home].tolist() == model.score(ASKED, home)[~home].tolist()


def test_a_localised_model_finds_odd_what_is_odd_here() -> None:
    """Everything else stays, but for the version, which names both."""
    model = fake.trained()
    matrix = fake.vectors(200, 12) + 40
    local = model.localised(estimator.fit(matrix), matrix)

    assert (False, True) == (model.local, local.local)
    assert model.parts(matrix).anomaly.mean() > 0.9
    assert local.parts(matrix).anomaly.mean() < 0.5
    assert model.parts(matrix).vote.tolist() == local.parts(matrix).vote.tolist()
    assert f"{model.version}+{local.novelty.version}" == local.version
    assert model.judge is local.judge


def test_a_model_is_localised_again_without_a_longer_name() -> None:
    """What came from another network goes."""
    model = fake.trained()
    once = model.localised(estimator.fit(fake.vectors(90, 12)))
    twice = once.localised(estimator.fit(fake.vectors(90, 13)))

    assert f"{model.version}+{twice.novelty.version}" == twice.version


def test_drift_is_measured_from_the_local_rows() -> None:
    """Where they are given: the laboratory is no measure of this network."""
    model = fake.trained()
    matrix = fake.vectors(200, 12) + 40
    local = model.localised(estimator.fit(matrix), matrix)

    assert model.reference is not None
    assert local.reference is not None
    assert 200 == local.reference.rows
    assert local.reference.edges[INDEX["flows"]].min() >= 40
    assert model.localised(estimator.fit(matrix)).reference is model.reference


def test_without_labels_patterns_and_local_traffic_judge() -> None:
    """Where no shipped artifact can be served."""
    matrix = fake.vectors(200, 12)
    model = unlabelled(estimator.fit(matrix), matrix)

    assert (None, True, 196) == (model.judge, model.local, model.rows)
    assert model.version == model.novelty.version
    assert join(combine(pattern_scores(ASKED)), model.parts(ASKED).anomaly).tolist() == (
        model.score(ASKED).tolist()
    )


def test_the_proven_vector_has_nothing_that_could_be_forged() -> None:
    """And all of what could not."""
    found = proven(np.full((1, len(FEATURES)), 7.0))

    assert [7.0 if kept else 0.0 for kept in PROVEN] == found[0].tolist()


def test_the_anomaly_makes_a_pattern_weigh_more_and_is_no_reason_to_act() -> None:
    """Alone it is logged at most."""
    one = np.ones(1)

    assert pytest.approx(0.32) == join(0 * one, one)[0]
    assert join(0.6 * one, 0 * one)[0] < join(0.6 * one, one)[0]
