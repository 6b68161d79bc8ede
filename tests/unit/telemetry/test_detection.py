"""What is told of the models: drift, bounded, and the shadow."""

from __future__ import annotations

from ai_suricata.classify.shadow import Kind
from ai_suricata.telemetry.detection import DISAGREEMENTS, TOP_DRIFTS
from ai_suricata.telemetry.metrics import Metrics
from unit.telemetry.scrape import label_values, value


def test_of_all_features_those_that_drifted_most_are_told() -> None:
    """Besides the two that are told in any case, however small they are."""
    metrics = Metrics()
    features = {f"f{number:02d}": number / 10 for number in range(40)}
    metrics.drift({"overall": 0.01, "score": 0.02}, features)
    expected = {"overall", "score", *(f"f{number}" for number in range(40 - TOP_DRIFTS, 40))}

    assert expected == label_values(metrics, "feature_drift", "feature")
    assert (0.01, 3.9) == (
        value(metrics, "feature_drift", feature="overall"),
        value(metrics, "feature_drift", feature="f39"),
    )


def test_what_no_longer_drifts_most_leaves_no_series() -> None:
    """The list is replaced as a whole."""
    metrics = Metrics()
    metrics.drift({"overall": 0.5}, {"flows": 0.9})
    metrics.drift({}, {})

    assert set() == label_values(metrics, "feature_drift", "feature")


def test_disagreements_are_counted_by_kind_from_zero() -> None:
    """A rule on the increase needs the zero."""
    metrics = Metrics()
    assert {0.0} == {value(metrics, "shadow_disagreements_total", kind=k) for k in DISAGREEMENTS}
    metrics.shadow(5, {"block_added": 2})
    metrics.shadow(5, {"block_added": 1, "level_lower": 1})

    assert (3.0, 1.0, 0.0, 10.0) == (
        value(metrics, "shadow_disagreements_total", kind="block_added"),
        value(metrics, "shadow_disagreements_total", kind="level_lower"),
        value(metrics, "shadow_disagreements_total", kind="level_higher"),
        value(metrics, "shadow_rows_total"),
    )


def test_the_kinds_are_those_of_the_shadow() -> None:
    """One list in two layers."""
    assert DISAGREEMENTS == tuple(kind.value for kind in Kind)
