"""Reasons in words: the features that moved a score, measured by taking them away."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ai_suricata.classify.explain import MOST_CANDIDATES, MOST_FEATURES, explain, explained
from ai_suricata.classify.patterns import PATTERNS
from ai_suricata.core.schema import FEATURE_NAMES, FEATURES, INDEX

WIDTH = len(FEATURES)


class Weighted:
    """A model whose score is known: a logistic sum of the features' weights."""

    def __init__(self, bias: float = 0.0, **weights: float) -> None:
        self.weights = np.zeros(WIDTH)
        for name, weight in weights.items():
            self.weights[INDEX[name]] = weight
        self.bias = bias
        self.usual = SimpleNamespace(
            low=np.full(WIDTH, 1.0), median=np.full(WIDTH, 2.0), high=np.full(WIDTH, 5.0)
        )
        self.calls: list[int] = []

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Return the scores, and note how many rows were asked."""
        self.calls.append(len(matrix))
        odds = self.bias + (matrix - 2.0) @ self.weights
        return np.round(1 / (1 + np.exp(-odds)), 9)  # as the model does: alike in any batch


def vector_of(**values: float) -> np.ndarray:
    """Return a vector with these values, the others being usual."""
    vector = np.full(WIDTH, 2.0)
    for name, value in values.items():
        vector[INDEX[name]] = value
    return vector


def silent(rows: int = 1) -> np.ndarray:
    """Return scores of patterns of which none is recognised."""
    return np.zeros((len(PATTERNS), rows))


def seen(*names: str) -> np.ndarray:
    """Return scores of patterns of which these are recognised, the first the most."""
    scores = silent()
    for place, name in enumerate(names):
        scores[[pattern.name for pattern in PATTERNS].index(name)] = 0.9 - place / 10
    return scores


def parts(scores: np.ndarray) -> SimpleNamespace:
    """Return parts of one row."""
    return SimpleNamespace(patterns=scores)


def test_the_feature_that_moved_the_score_most_is_named_first() -> None:
    """Not the one with the oddest value; the model is asked once, of each feature that differs."""
    model = Weighted(failed_ports=0.3, bytes_sent=1e-5)
    vector = vector_of(failed_ports=12, bytes_sent=1e5)
    score = float(model.score(vector[None])[0])
    model.calls.clear()
    found = explain(model, vector, parts(silent()), score)

    assert [2] == model.calls
    assert ["failed_ports", "bytes_sent"] == list(found.features)
    assert found.reasons[0] == (
        "raised most by ports among the failed connections: 12, usually up to 5; "
        f"the score is {1 / (1 + np.exp(-0.99998)):.2f} without it"
    )


def test_the_change_is_what_the_score_loses_without_the_feature() -> None:
    """With a sign: what speaks for the source has lowered the score."""
    model = Weighted(failed_ports=0.3, received_ratio=-0.2)
    vector = vector_of(failed_ports=12, received_ratio=9)
    score = float(model.score(vector[None])[0])
    found = explain(model, vector, parts(silent()), score).contributions
    without = [float(model.score(vector_of(received_ratio=9)[None])[0])]
    without.append(float(model.score(vector_of(failed_ports=12)[None])[0]))

    assert [score - one for one in without] == [one.change for one in found]
    assert found[0].change > 0 > found[1].change
    assert "lowered by bytes received" in explain(model, vector, parts(silent()), score).reasons[1]


def test_few_features_are_named() -> None:
    """Those with the most weight, in its order."""
    weights = {name: 0.1 + n / 50 for n, name in enumerate(FEATURE_NAMES[:10])}
    model = Weighted(bias=-19, **weights)
    vector = vector_of(**dict.fromkeys(weights, 12.0))
    score = float(model.score(vector[None])[0])
    found = explain(model, vector, parts(silent()), score)
    expected = list(reversed(FEATURE_NAMES[:10]))[:MOST_FEATURES]

    assert expected == list(found.features)
    assert MOST_FEATURES == len(found.reasons)


def test_a_pattern_that_names_the_first_feature_is_read_first() -> None:
    """People read the sentence, and then the figures."""
    model = Weighted(login_attempts=0.3)
    vector = vector_of(login_attempts=30)
    found = explain(model, vector, parts(seen("port_scan", "brute_force")), 0.99)

    assert ["brute force", "port scan: ", "raised most"] == [text[:11] for text in found.reasons]
    assert "login_attempts" == next(iter(found.features))
    assert {"failed_ports", "http_denied"} <= set(found.features)


def test_a_feature_that_no_pattern_names_comes_before_the_patterns() -> None:
    """The first thing read is what moved the score."""
    model = Weighted(bytes_sent=0.3)
    found = explain(model, vector_of(bytes_sent=30), parts(seen("brute_force")), 0.99)

    assert ["raised most", "brute force"] == [text[:11] for text in found.reasons]


def test_where_single_features_hardly_matter_the_unusual_one_is_named() -> None:
    """Evidence that is plentiful masks itself; a value in its usual range would tell nothing."""
    model = Weighted(bias=2, failed_ports=0.1, flows=2.0)
    vector = vector_of(failed_ports=40, flows=4)
    score = float(model.score(vector[None])[0])
    falls = [
        score - float(model.score(vector_of(**{name: value})[None])[0])
        for name, value in (("flows", 4), ("failed_ports", 40))
    ]
    found = explain(model, vector, parts(silent()), score)

    assert 0.01 > falls[1] > falls[0] > 0
    assert "failed_ports" == next(iter(found.features))


def test_a_usual_value_that_moves_the_score_is_named_all_the_same() -> None:
    """Before an unusual one that moves it less, as long as either matters."""
    model = Weighted(failed_ports=0.01, flows=2.0)
    vector = vector_of(failed_ports=40, flows=4)
    found = explain(model, vector, parts(silent()), float(model.score(vector[None])[0]))

    assert "flows" == next(iter(found.features))
    assert "connections opened: 4, usually 1 to 5" in found.reasons[0]


def test_features_that_mask_each_other_are_put_back_together() -> None:
    """The minute's count and the day's: without either alone nothing changes."""

    class Either(Weighted):
        def score(self, matrix: np.ndarray) -> np.ndarray:
            most = np.maximum(matrix[:, INDEX["failed_ports"]], matrix[:, INDEX["alerts"]])
            return np.where(most > 50, 0.9, 0.1)

    vector = vector_of(failed_ports=100, alerts=100, bytes_sent=1e9)
    found = explain(Either(), vector, parts(silent()), 0.9)

    assert next(iter(found.features)) in {"failed_ports", "alerts"}
    assert 0.0 == found.contributions[0].change


def test_a_wave_is_explained_in_few_calls() -> None:
    """And each row as if it had come alone."""
    random = np.random.default_rng(3)
    model = Weighted(bias=-9, failed_ports=0.3, http_errors=0.2, flows=-0.1)
    matrix = random.poisson(4.0, (300, WIDTH)).astype(np.float64)
    matrix[:, INDEX["failed_ports"]] += 30.0
    scores = model.score(matrix)
    model.calls.clear()
    found = explained(model, matrix, silent(300), scores, np.ones(300, np.bool_))
    calls = len(model.calls)
    alone = [
        explain(model, row, parts(silent()), score)
        for row, score in zip(matrix, scores.tolist(), strict=True)
    ]

    assert alone == found
    assert calls <= 8


def test_the_oddest_features_are_asked_about() -> None:
    """So many of them, however many the schema has."""
    model = Weighted(bytes_sent=0.1)
    vector = np.arange(WIDTH, dtype=np.float64) + 10.0
    explain(model, vector, parts(silent()), 0.9)

    assert MOST_CANDIDATES == model.calls[0]


def test_what_is_not_acted_on_gets_cheap_words() -> None:
    """The model is not asked again."""
    model = Weighted(failed_ports=0.3)
    vector = vector_of(bytes_sent=5e6)
    cheap = np.zeros(1, np.bool_)
    (odd,) = explained(model, vector[None], silent(), np.array([0.4]), cheap)
    (named,) = explained(model, vector[None], seen("brute_force"), np.array([0.4]), cheap)

    assert [] == model.calls
    (reason,) = odd.reasons
    assert reason == (
        "no pattern by itself; most unusual: bytes towards the host asked: 5,000,000 bytes, "
        "usually up to 5"
    )
    assert {"bytes_sent": 5e6} == odd.features
    assert ["brute force"] == [reason[:11] for reason in named.reasons]


def test_a_vector_that_is_all_usual_is_explained_too() -> None:
    """Nothing moved its score; a feature and its value are named all the same."""
    model = Weighted()
    vector = vector_of()
    for thorough in (True, False):
        (found,) = explained(model, vector[None], silent(), np.array([0.8]), np.array([thorough]))
        assert 1 == len(found.features)
        assert ": 2, usually" in found.reasons[0] or ": 2 " in found.reasons[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8.0, "8 bytes, usually up to 5"),
        (5.25, "5.25 bytes, usually up to 5"),
        (1.0 * 2**40, "1,099,511,627,776 bytes, usually up to 5"),
        (1000.4, "1,000 bytes, usually up to 5"),
        (0.0, "0 bytes, usually 1 or more"),
        (-0.0001, "0 bytes, usually 1 or more"),
        (3.0, "3 bytes, usually 1 to 5"),
    ],
)
def test_a_number_is_written_as_people_write_it(value: float, text: str) -> None:
    """Without exponents and digits that say nothing, with what is usual as it reads best."""
    model = Weighted(bytes_sent=0.3)
    found = explain(model, vector_of(bytes_sent=value), parts(silent()), 0.9)

    assert f": {text}" in found.reasons[0]


@pytest.mark.parametrize("name", FEATURE_NAMES)
def test_any_feature_can_be_the_reason(name: str) -> None:
    """With its meaning."""
    model = Weighted(**{name: 0.3})
    found = explain(model, vector_of(**{name: 77.0}), parts(silent()), 0.9)

    assert found.reasons[0].startswith(f"raised most by {FEATURES[INDEX[name]].meaning}: 77")
    assert {name: 77.0} == found.features


@pytest.mark.parametrize("value", [0.0, 0.4, 1e-9, 1.0, 2.0**40])
def test_the_words_of_every_pattern_take_any_value(value: float) -> None:
    """None of them shows an exponent, an infinity or a placeholder."""
    scores = np.ones((len(PATTERNS), 1))
    found = explain(Weighted(), np.full(WIDTH, value), parts(scores), 0.9)

    assert len(found.reasons) > len(PATTERNS)
    for reason in found.reasons:
        assert not {"{", "}", "nan", "inf"} & set(reason.split())
        assert "e+" not in reason
