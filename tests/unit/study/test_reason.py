"""Whether a reason names a feature and its value."""

from __future__ import annotations

import pytest

from ai_suricata.classify.patterns import PATTERNS
from ai_suricata.core.schema import FEATURES
from ai_suricata.study.reason import names_a_feature


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_the_words_of_a_pattern_name_their_features(pattern: object) -> None:
    """With the numbers in them."""
    words = pattern.words  # type: ignore[attr-defined]  # a parameter of pytest's has no type

    assert names_a_feature([words.format(**{feature.name: 12.0 for feature in FEATURES})])


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_the_meaning_of_a_feature_with_a_number_names_it(feature: object) -> None:
    """In the form in which explanations are written."""
    meaning = feature.meaning  # type: ignore[attr-defined]  # as above

    assert names_a_feature([f"raised most by {meaning}: 1,234.5 seconds, usually up to 3"])


@pytest.mark.parametrize(
    "reason",
    ["", "bad behaviour", "it is on a list", "score 0.93", "lowered to RATE_LIMIT by the guard"],
)
def test_words_alone_and_numbers_alone_name_none(reason: str) -> None:
    """A score is no reason."""
    assert not names_a_feature([reason])
