"""The reasons of a verdict, in words, each with the value that moved the score."""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING

from ai_suricata.classify.estimator import oddest
from ai_suricata.classify.patterns import PATTERNS
from ai_suricata.core.schema import FEATURES, INDEX

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ai_suricata.classify.estimator import Model

_SPOKEN_OF = [
    [name for _, name, _, _ in Formatter().parse(pattern.words) if name] for pattern in PATTERNS
]
"""The features that each pattern's words name."""
_WORTH_SAYING = 0.5
_THOUSAND = 1000
_UNSPOKEN = {"count", "distinct", "ratio"}
"""Units that a number alone already says."""


def explain(
    patterns: Sequence[int], vector: NDArray[np.float64], model: Model | None, anomaly: float
) -> tuple[str, ...]:
    """Return the reasons, the strongest first.

    `patterns`: indices into PATTERNS of those that were recognised, the strongest first.
    """
    values = dict(zip(INDEX, vector.tolist(), strict=True))
    reasons = [PATTERNS[index].words.format(**values) for index in patterns]
    if model is not None and (anomaly >= _WORTH_SAYING or not reasons):
        reasons.append(_unusual(model, vector, anomaly))
    if not reasons:
        reasons.append(_faint(values))
    return tuple(reasons)


def evidence(
    patterns: Sequence[int], vector: NDArray[np.float64], model: Model | None
) -> dict[str, float]:
    """Return the values of the features that the reasons speak of, by name."""
    names = [name for index in patterns for name in _SPOKEN_OF[index]]
    if model is not None:
        names.append(oddest(model, vector)[0])
    return {name: float(vector[INDEX[name]]) for name in names}


def _unusual(model: Model, vector: NDArray[np.float64], anomaly: float) -> str:
    name, value, usual = oddest(model, vector)
    feature = FEATURES[INDEX[name]]
    unit = "" if feature.unit in _UNSPOKEN else f" {feature.unit}"
    return (
        f"unusual on this network (anomaly {anomaly:.2f}): {feature.meaning}: "
        f"{_number(value)}{unit}, usually up to {_number(usual)}"
    )


def _number(value: float) -> str:
    """Write a number as people do: thousands with commas, small ones to three places."""
    return f"{value:,.0f}" if value >= _THOUSAND else f"{value:.3f}".rstrip("0").rstrip(".")


def _faint(values: dict[str, float]) -> str:
    """Say what there is where several faint traces add up and none is a pattern by itself."""
    return (
        f"several faint traces: {values['failed_ports']:.0f} failed ports, "
        f"{values['attack_alerts']:.0f} attack alerts, {values['http_errors']:.0f} HTTP errors"
    )
