"""The isolation forest: what is new on this network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ai_suricata.classify.estimator import Novelty, fit, usual_of
from ai_suricata.classify.vectors import scaled
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
def novelty() -> Novelty:
    """Return a forest of `rows`."""
    return fit(rows())


def test_anomaly_spans_0_to_1(novelty: Novelty) -> None:
    """Ordinary rows are near 0 and the odd ones at 1: a threshold anywhere can fire."""
    scores = novelty.anomaly(scaled(rows()))

    assert (0.0, 1.0) == (scores.min(), scores.max())
    assert 0.4 < float((scores == 0).mean()) < 0.6
    assert scores[-4:].min() > 0.9
    assert np.median(scores) < 0.1


def test_the_forest_answers_as_that_of_scikit_learn(novelty: Novelty) -> None:
    """Though its trees are walked without it: the same raw scores, brought to the same scale."""
    matrix = scaled(rows(seed=9))
    raw = -novelty.forest.score_samples(matrix)
    expected = np.clip((raw - novelty.middle) / (novelty.top - novelty.middle), 0, 1)

    assert np.allclose(expected, novelty.anomaly(matrix), rtol=0, atol=2e-9)


def test_the_same_rows_give_the_same_version_and_the_same_scores(novelty: Novelty) -> None:
    """Chance has a seed."""
    again, asked = fit(rows()), scaled(rows(seed=9))

    assert novelty.version == again.version
    assert novelty.anomaly(asked).tolist() == again.anomaly(asked).tolist()


def test_other_rows_give_another_version(novelty: Novelty) -> None:
    """A version names what a forest was made from."""
    assert novelty.version != fit(rows(seed=4)).version


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_score_does_not_depend_on_the_batch(novelty: Novelty, size: int) -> None:
    """To the digit: row by row, or all at once."""
    matrix = scaled(rows(200, seed=8))
    parts = [novelty.anomaly(matrix[start : start + size]) for start in range(0, 200, size)]

    assert novelty.anomaly(matrix).tolist() == np.concatenate(parts).tolist()


def test_no_rows_have_no_scores(novelty: Novelty) -> None:
    """A batch can hold no event with an address."""
    assert [] == novelty.anomaly(np.zeros((0, len(FEATURES)), np.float32)).tolist()


def test_the_oddest_rows_are_no_part_of_what_is_usual(novelty: Novelty) -> None:
    """Two in a hundred are left out: an attacker in the learning period does not become normal."""
    assert 392 == novelty.rows
    assert novelty.usual.high.max() < 20


def test_of_few_rows_none_is_left_out() -> None:
    """One in fifty of ten is none."""
    assert 10 == fit(rows(10)).rows


def test_rows_that_are_all_alike_make_a_forest_that_does_not_find_everything_odd() -> None:
    """A quiet network may send one kind of event."""
    alike = np.ones((50, len(FEATURES)))

    assert {0.0} == set(fit(alike).anomaly(scaled(alike)).tolist())


def test_one_row_is_enough_to_learn_from() -> None:
    """However little that says."""
    assert 1 == fit(np.ones((1, len(FEATURES)))).rows


def test_nothing_to_learn_from_is_refused() -> None:
    """With the remedy."""
    with pytest.raises(ValueError, match="give events that carry addresses"):
        fit(np.zeros((0, len(FEATURES))))


def test_usual_values_are_percentiles_of_each_feature() -> None:
    """The 5th, the 50th and the 95th."""
    matrix = np.zeros((101, len(FEATURES)))
    matrix[:, INDEX["flows"]] = np.arange(101)
    usual = usual_of(matrix)
    at = INDEX["flows"]

    assert [5.0, 50.0, 95.0] == [usual.low[at], usual.median[at], usual.high[at]]
