"""The isolation forest: what is new on this network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ai_suricata.classify.estimator import Model, fit, oddest
from ai_suricata.core.schema import FEATURES, INDEX

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rows(count: int = 400, seed: int = 3) -> NDArray[np.float64]:
    """Return vectors of ordinary clients, and a few odd ones at the end."""
    random = np.random.default_rng(seed)
    matrix = random.poisson(2.0, (count, len(FEATURES))).astype(np.float64)
    matrix[-4:] *= 1000
    return matrix


@pytest.fixture(scope="module")
def model() -> Model:
    """Return a model of `rows`."""
    return fit(rows())


def test_anomaly_spans_0_to_1(model: Model) -> None:
    """Ordinary rows are near 0 and the odd ones at 1: a threshold anywhere can fire."""
    scores = model.anomaly(rows())

    assert (0.0, 1.0) == (scores.min(), scores.max())
    assert 0.4 < float((scores == 0).mean()) < 0.6
    assert scores[-4:].min() > 0.9
    assert np.median(scores) < 0.1


def test_the_same_rows_give_the_same_version_and_the_same_scores(model: Model) -> None:
    """Chance has a seed."""
    again = fit(rows())

    assert model.version == again.version
    assert model.anomaly(rows(seed=9)).tolist() == again.anomaly(rows(seed=9)).tolist()


def test_other_rows_give_another_version(model: Model) -> None:
    """A version names what a model was made from."""
    assert model.version != fit(rows(seed=4)).version


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_score_does_not_depend_on_the_batch(model: Model, size: int) -> None:
    """To the digit: row by row, or all at once."""
    matrix = rows(200, seed=8)
    parts = [model.anomaly(matrix[start : start + size]) for start in range(0, 200, size)]

    assert model.anomaly(matrix).tolist() == np.concatenate(parts).tolist()


def test_no_rows_have_no_scores(model: Model) -> None:
    """A batch can hold no event with an address."""
    assert [] == model.anomaly(np.zeros((0, len(FEATURES)))).tolist()


def test_rows_that_are_all_alike_make_a_model_that_does_not_find_everything_odd() -> None:
    """A quiet network may send one kind of event."""
    alike = np.ones((50, len(FEATURES)))
    model = fit(alike)

    assert {0.0} == set(model.anomaly(alike).tolist())


def test_one_row_is_enough_to_learn_from() -> None:
    """However little that says."""
    assert 1 == fit(np.ones((1, len(FEATURES)))).rows


def test_nothing_to_learn_from_is_refused() -> None:
    """With the remedy."""
    with pytest.raises(ValueError, match="give events that carry addresses"):
        fit(np.zeros((0, len(FEATURES))))


def test_the_oddest_feature_is_the_one_farthest_above_what_is_usual(model: Model) -> None:
    """By magnitude, not by size: a million bytes may be usual where a hundred ports are not."""
    vector = model.usual.high.copy()
    vector[INDEX["bytes_sent"]] *= 3
    vector[INDEX["failed_ports"]] *= 50
    name, value, usual = oddest(model, vector)

    assert "failed_ports" == name
    assert value == 50 * usual
