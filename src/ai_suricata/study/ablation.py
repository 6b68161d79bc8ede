"""What carries the result: each group of features, and each part of the model, taken away.

Two ways. *Put back*: the model that serves is asked with the features at their usual values (the
median of what does no harm). *Refitted*: a plain forest learns without them, so that what the
others can make up for shows. Both are judged by source, on recordings that taught nothing.

The groups hold the features that could give a data set's label away rather than an attack: whom
one asks and at which port, when and how fast, and what signatures say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ai_suricata.classify.rows import ATTACK
from ai_suricata.core.schema import FEATURES
from ai_suricata.study.progress import silent
from ai_suricata.study.statistic import area_under_roc, average_precision
from ai_suricata.study.training import worst_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model
    from ai_suricata.classify.rows import TrainingRows
    from ai_suricata.core.schema import Feature
    from ai_suricata.study.progress import Progress

    Scorer = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_TREES, _LEAF, _SEED = 60, 5, 6
_MOST_TRAINING = 12_000
_TIMES = frozenset({"seconds", "1/second"})
_WORDS_OF_TIME = ("rate", "gap", "beat", "hours", "age", "duration")


class Worth(NamedTuple):
    """How well sources are told apart."""

    area: float
    """Area under the ROC curve; NaN where all are attackers, or none is."""
    precision: float
    """Average precision."""


class Loss(NamedTuple):
    """What is left without something."""

    without: str
    features: int
    """How many were taken away; 0 where it was a part of the model."""
    served: Worth
    """Of the model that serves, with their usual values."""
    refitted: Worth | None
    """Of a plain forest that never saw them."""


def groups() -> dict[str, NDArray[np.int64]]:
    """Return the columns of each group of features, by what it is called in the report."""
    rules: dict[str, Callable[[Feature], bool]] = {
        "ports and classes of ports": _is_port,
        "whom it asks: hosts, offered or not": _is_direction,
        "timing, first seen": _is_time,
        "alerts and signatures": lambda feature: "alert" in feature.name or _signs(feature),
        "what a forged packet could have made": lambda feature: feature.forgeable,
    }
    return {
        name: np.array([i for i, feature in enumerate(FEATURES) if rule(feature)], dtype=np.int64)
        for name, rule in rules.items()
    }


def ablate(
    model: Model,
    training: TrainingRows,
    tests: Mapping[str, TrainingRows],
    progress: Progress = silent,
) -> dict[str, list[Loss]]:
    """Return what is left without each group of features and each part; the first: with all.

    `tests`: rows of each population, by its name; the losses come by the same names.
    """
    usual, chosen = model.usual.median, _some(training)
    cases = {"nothing (all features)": np.zeros(0, dtype=np.int64), **groups()}
    found: dict[str, list[Loss]] = {name: [] for name in tests}
    for index, (name, columns) in enumerate(cases.items()):
        progress(f"without {name}", index / (len(cases) + 1))
        forest = _refitted(chosen, columns)
        for population, rows in tests.items():
            put_back = rows.matrix.copy()
            put_back[:, columns] = usual[columns]
            served = worth(rows, model.score(put_back))
            refitted = worth(rows, forest(rows.matrix)) if forest is not None else None
            found[population].append(Loss(name, len(columns), served, refitted))
    progress("without parts of the model", len(cases) / (len(cases) + 1))
    return {name: [*losses, *_without_parts(model, tests[name])] for name, losses in found.items()}


def worth(rows: TrainingRows, scores: NDArray[np.float64]) -> Worth:
    """Return how well scores of rows tell the sources apart, each by its highest."""
    worst = list(worst_of(rows, scores).values())
    highest = np.array([score for score, _ in worst])
    truth = np.array([attacks for _, attacks in worst], dtype=np.bool_)
    return Worth(area_under_roc(highest, truth), average_precision(highest, truth))


def _without_parts(model: Model, tests: TrainingRows) -> list[Loss]:
    """Return what is left where a part of the model says nothing."""
    parts = model.parts(tests.matrix)
    silenced = {
        "the patterns": replace(parts, patterns=np.zeros_like(parts.patterns)),
        "the vote": replace(parts, vote=np.zeros_like(parts.vote)),
        "the anomaly": replace(parts, anomaly=np.zeros_like(parts.anomaly)),
    }
    return [
        Loss(name, 0, worth(tests, model.joined(left)), None) for name, left in silenced.items()
    ]


def _refitted(training: TrainingRows, columns: NDArray[np.int64]) -> Scorer | None:
    """Return what a forest says that learnt without some columns; None without labelled rows."""
    if len(set(training.labels.tolist())) < 2:  # noqa: PLR2004 - attacks and normal
        return None
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - a second to import

    kept = np.setdiff1d(np.arange(len(FEATURES)), columns)
    forest = RandomForestClassifier(_TREES, min_samples_leaf=_LEAF, random_state=_SEED)
    forest.fit(training.matrix[:, kept], training.labels == ATTACK)

    def score(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        likely: NDArray[np.float64] = forest.predict_proba(matrix[:, kept])[:, 1]
        return likely

    return score


def _some(rows: TrainingRows) -> TrainingRows:
    """Return at most so many rows, evenly: the comparison is what counts, not the last digit."""
    step = -(-len(rows) // _MOST_TRAINING) or 1
    return rows.take(np.arange(0, len(rows), step))


def _signs(feature: Feature) -> bool:
    return "signature" in feature.name


def _is_port(feature: Feature) -> bool:
    return "port" in feature.name or feature.name == "well_known_ratio" or _asks(feature)


def _asks(feature: Feature) -> bool:
    """Whether it says at which class of ports a source has failed."""
    return feature.unit == "yes/no"


def _is_direction(feature: Feature) -> bool:
    return "destination" in feature.name or "unoffered" in feature.name


def _is_time(feature: Feature) -> bool:
    words: Sequence[str] = feature.name.split("_")
    return feature.unit in _TIMES or any(word in words for word in _WORDS_OF_TIME)
