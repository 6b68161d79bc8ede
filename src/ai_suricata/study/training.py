"""Training: rows out of recordings, a model out of rows, and what the model is worth elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ai_suricata.classify.rows import ATTACK, joined
from ai_suricata.study.dataset import portions
from ai_suricata.study.progress import part, silent
from ai_suricata.study.split import by_set, by_time
from ai_suricata.study.statistic import Interval, area_under_roc, wilson
from ai_suricata.study.vector import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model
    from ai_suricata.classify.rows import TrainingRows
    from ai_suricata.config.settings import ClassifySettings, Settings
    from ai_suricata.study.dataset import DataSet
    from ai_suricata.study.progress import Progress
    from ai_suricata.study.split import Split


class Validation(NamedTuple):
    """What a model is worth on rows that it was not made of."""

    name: str
    """What was judged."""
    attackers: Interval
    """Share of the attackers at HIGH or above, each by its worst row."""
    clients: Interval
    """Share of the others at MEDIUM or above."""
    area: float
    """Area under the ROC curve over the sources; NaN where one kind is missing."""
    sources: int
    problem: str = ""
    """Why nothing could be measured."""


def gather(
    sets: Sequence[DataSet], settings: Settings, progress: Progress = silent
) -> TrainingRows:
    """Return the rows of all recordings, in their order. Raises OSError."""
    parts = [
        rows_of(data, settings, part(progress, first, last)) for data, first, last in portions(sets)
    ]
    return joined(parts)


def fit(rows: TrainingRows, progress: Progress = silent) -> Model:
    """Return a model of the rows, the same for the same rows.

    Raises ValueError where they hold too few attackers or too few others.
    """
    from ai_suricata.classify.train import fit as fit_model  # noqa: PLC0415 - loads scikit-learn

    return fit_model(rows, lambda share: progress("fitting", share))


def cross_validate(
    rows: TrainingRows, thresholds: ClassifySettings, progress: Progress = silent
) -> list[Validation]:
    """Return what models are worth that were made of all data sets but one, for each of these.

    And what one is worth on later sources, that was made of those that came first.
    """
    splits = [*by_set(rows), by_time(rows)] if len(rows) else []
    return [
        _validate(split, thresholds, part(progress, index / len(splits), (index + 1) / len(splits)))
        for index, split in enumerate(splits)
    ]


def worst_of(rows: TrainingRows, scores: NDArray[np.float64]) -> dict[str, tuple[float, bool]]:
    """Return the highest score of each group, and whether it attacks."""
    found: dict[str, tuple[float, bool]] = {}
    for group, score, label in zip(rows.groups, scores.tolist(), rows.labels.tolist(), strict=True):
        found[group] = max(found.get(group, (score, False)), (score, False))[0], label == ATTACK
    return found


def _validate(split: Split, thresholds: ClassifySettings, progress: Progress) -> Validation:
    nothing = wilson(0, 0)
    try:
        model = fit(split.training, lambda _what, share: progress(f"left out: {split.name}", share))
    except ValueError as error:
        return Validation(split.name, nothing, nothing, float("nan"), 0, str(error))
    worst = worst_of(split.test, model.score(split.test.matrix))
    attackers = [score for score, attacks in worst.values() if attacks]
    others = [score for score, attacks in worst.values() if not attacks]
    return Validation(
        split.name,
        wilson(sum(score >= thresholds.high for score in attackers), len(attackers)),
        wilson(sum(score >= thresholds.medium for score in others), len(others)),
        area_under_roc(
            np.array([score for score, _ in worst.values()]),
            np.array([attacks for _, attacks in worst.values()], dtype=np.bool_),
        ),
        len(worst),
    )
