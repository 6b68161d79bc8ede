"""The feature schema is what a model can rely on."""

from __future__ import annotations

import numpy as np
import pytest

from ai_suricata.classify.vectors import Vectors
from ai_suricata.core.behaviour import (
    DAY_COUNTERS,
    DAY_SKETCHES,
    RECENT_COUNTERS,
    RECENT_SKETCHES,
    SKETCH_STARTS,
    SKETCH_WORDS,
    Counter,
    Sketch,
)
from ai_suricata.core.schema import FEATURE_NAMES, FEATURES, INDEX, PROVEN


def test_the_schema_holds_at_least_25_features_each_with_a_unit_and_a_meaning() -> None:
    """Names are unique, and nothing is left unsaid."""
    assert len(FEATURES) >= 25
    assert len(FEATURES) == len(set(FEATURE_NAMES))
    assert all(feature.unit and feature.meaning for feature in FEATURES)
    assert list(range(len(FEATURES))) == [INDEX[name] for name in FEATURE_NAMES]


def test_no_two_features_mean_the_same() -> None:
    """A reason names the meaning, not the feature."""
    meanings = [(feature.meaning, feature.unit) for feature in FEATURES]

    assert len(meanings) == len(set(meanings))


def test_what_is_named_proven_is_not_forgeable() -> None:
    """The flags stand in the order of the features."""
    named = [feature.name for feature in FEATURES if feature.name.startswith("proven_")]

    assert all(PROVEN[INDEX[name]] for name in named)
    assert not any(PROVEN[INDEX[name]] for name in ("flows", "failed_flows", "dns_queries", "age"))
    assert len(FEATURES) == len(PROVEN)


def test_counters_and_sketches_fill_their_windows_without_a_gap() -> None:
    """A counter of none of the windows would never be begun anew."""
    assert list(range(len(Counter))) == [int(each) for each in Counter]
    assert (0, RECENT_COUNTERS.stop) == (RECENT_COUNTERS.start, DAY_COUNTERS.start)
    assert Counter.TOTAL_EVENTS == DAY_COUNTERS.stop
    assert len(Sketch) == len(SKETCH_WORDS)
    assert (0, RECENT_SKETCHES.stop) == (RECENT_SKETCHES.start, DAY_SKETCHES.start)
    assert SKETCH_STARTS[-1] == DAY_SKETCHES.stop


def test_a_matrix_of_another_width_is_refused() -> None:
    """Columns out of step with the schema would answer with the wrong feature."""
    with pytest.raises(ValueError, match="expected"):
        Vectors(np.zeros((2, len(FEATURES) + 1)))
