"""The feature schema is what a model can rely on."""

from __future__ import annotations

import numpy as np
import pytest

from ai_suricata.classify.vectors import Vectors
from ai_suricata.core.schema import FEATURE_NAMES, FEATURES, INDEX


def test_the_schema_holds_at_least_25_features_each_with_a_unit_and_a_meaning() -> None:
    """Names are unique, and nothing is left unsaid."""
    assert len(FEATURES) >= 25
    assert len(FEATURES) == len(set(FEATURE_NAMES))
    assert all(feature.unit and feature.meaning for feature in FEATURES)
    assert list(range(len(FEATURES))) == [INDEX[name] for name in FEATURE_NAMES]


def test_a_matrix_of_another_width_is_refused() -> None:
    """Columns out of step with the schema would answer with the wrong feature."""
    with pytest.raises(ValueError, match="expected"):
        Vectors(np.zeros((2, len(FEATURES) + 1)))
