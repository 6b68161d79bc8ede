"""Reasons in words."""

from __future__ import annotations

import numpy as np
import pytest

from ai_suricata.classify.estimator import Model, fit
from ai_suricata.classify.explain import explain
from ai_suricata.classify.patterns import PATTERNS
from ai_suricata.core.schema import FEATURE_NAMES, FEATURES, INDEX


@pytest.fixture(scope="module")
def model() -> Model:
    """Return a model of a network on which every feature is usually up to 1.5."""
    return fit(np.full((30, len(FEATURES)), 1.5))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (2.25, "2.25"),
        (1.0 * 2**40, "1,099,511,627,776"),
        (1_234_567.0, "1,234,567"),
        (1000.4, "1,000"),
        (1.50001, "1.5"),
    ],
)
def test_a_number_is_written_as_people_write_it(model: Model, value: float, text: str) -> None:
    """Without exponents, and without digits that say nothing."""
    vector = np.zeros(len(FEATURES))
    vector[INDEX["bytes_sent"]] = value

    (reason,) = explain([], vector, model, 0.876)

    assert reason.startswith("unusual on this network (anomaly 0.88): bytes towards the host asked")
    assert reason.endswith(f": {text} bytes, usually up to 1.5")


@pytest.mark.parametrize("name", FEATURE_NAMES)
def test_any_feature_can_be_the_reason(model: Model, name: str) -> None:
    """With its meaning."""
    vector = np.zeros(len(FEATURES))
    vector[INDEX[name]] = 77.0
    (reason,) = explain([], vector, model, 1.0)

    assert f": {FEATURES[INDEX[name]].meaning}: 77" in reason


@pytest.mark.parametrize("value", [0.0, 0.4, 1e-9, 1.0, 2.0**40])
def test_the_words_of_every_pattern_take_any_value(value: float) -> None:
    """None of them shows an exponent, an infinity or a placeholder."""
    reasons = explain(range(len(PATTERNS)), np.full(len(FEATURES), value), None, 0.0)

    assert len(PATTERNS) == len(reasons)
    for reason in reasons:
        assert not {"{", "}", "e+", "e-0", "nan", "inf "} & set(reason.split())
        assert "e+" not in reason


def test_the_anomaly_is_told_besides_a_pattern_only_where_it_weighs(model: Model) -> None:
    """A half and more; below that the pattern speaks for itself."""
    vector = np.ones(len(FEATURES))

    assert 1 == len(explain([0], vector, model, 0.49))
    assert 2 == len(explain([0], vector, model, 0.50))
