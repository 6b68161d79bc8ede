"""A second model that judges the same rows and does nothing: how it would differ from the first.

Nothing is done on its verdicts. What is counted is by how many rows the two disagree, and how.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.verdict import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model
    from ai_suricata.config.settings import ClassifySettings
    from ai_suricata.core.verdict import Verdict


class Kind(StrEnum):
    """How the two disagree on a row."""

    BLOCK_ADDED = "block_added"
    """The shadow says CRITICAL, the model that serves does not."""
    BLOCK_MISSED = "block_missed"
    """The model that serves says CRITICAL, the shadow does not."""
    HIGHER = "level_higher"
    """Another difference of levels: the shadow's is the greater one."""
    LOWER = "level_lower"


class Shadow:
    """Scores what the serving model has scored, and counts."""

    def __init__(self, model: Model, version: str, settings: ClassifySettings) -> None:
        """Begin to count; `settings`: the thresholds, the same for both models."""
        self.version = version
        self.rows = 0
        """Rows that both have scored."""
        self.disagreements: Counter[Kind] = Counter()
        self._model = model
        self.reload(settings)

    def reload(self, settings: ClassifySettings) -> None:
        """Take other thresholds."""
        self._bounds = (settings.low, settings.medium, settings.high, settings.critical)

    def compare(self, matrix: NDArray[np.float64], verdicts: Sequence[Verdict]) -> Counter[Kind]:
        """Score the rows (rows, features), and return how the levels differ from the verdicts'."""
        home = np.array([verdict.home for verdict in verdicts], dtype=np.bool_)
        scores = self._model.score(matrix, home)
        levels = np.searchsorted(self._bounds, scores, side="right").tolist()
        found: Counter[Kind] = Counter()
        for verdict, level in zip(verdicts, levels, strict=True):
            kind = difference(verdict.level, Level(level))
            if kind is not None:
                found[kind] += 1
        self.rows += len(verdicts)
        self.disagreements.update(found)
        return found


def difference(serving: Level, shadow: Level) -> Kind | None:
    """Return how the shadow's level differs, or None where it does not."""
    if serving is shadow:
        return None
    if shadow is Level.CRITICAL:
        return Kind.BLOCK_ADDED
    if serving is Level.CRITICAL:
        return Kind.BLOCK_MISSED
    return Kind.HIGHER if shadow > serving else Kind.LOWER
