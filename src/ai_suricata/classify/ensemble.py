"""From scores to verdicts: levels, what they call for, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify.estimator import Usual
from ai_suricata.classify.explain import Explanation, explained, recognised
from ai_suricata.classify.model import Parts, pattern_scores, proven
from ai_suricata.classify.patterns import PATTERNS, combine
from ai_suricata.classify.vectors import Vectors
from ai_suricata.core.schema import FEATURES
from ai_suricata.core.verdict import ACTION_OF_LEVEL, Action, Level, Opinion, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model
    from ai_suricata.config.settings import ClassifySettings

NO_MODEL = "none"
_ACTED_ON = frozenset({Action.BLOCK, Action.RATE_LIMIT})
_UNEXPLAINED = Explanation((), {})
_NOTHING = Usual(*np.zeros((3, len(FEATURES))))
"""What is usual where nobody knows."""


class Classifier:
    """Turns feature vectors into verdicts. Keeps nothing between calls but the model."""

    def __init__(self, settings: ClassifySettings, model: Model | None = None) -> None:
        """`model`: None where no artifact can be served; patterns then judge alone."""
        self.settings = settings
        self.model = model
        self._bounds = (settings.low, settings.medium, settings.high, settings.critical)

    @property
    def version(self) -> str:
        """Version of the model that takes part, or `none`."""
        return self.model.version if self.model is not None else NO_MODEL

    def classify(
        self,
        addresses: Sequence[str],
        home: NDArray[np.bool_],
        times: NDArray[np.int64],
        matrix: NDArray[np.float64],
        written: NDArray[np.int64] | None = None,
    ) -> tuple[list[Verdict], NDArray[np.float64]]:
        """Return a verdict a row, and the anomaly scores (0 everywhere without a model).

        `times`, `written`: of the events that made the sources due, and of their records.
        """
        vectors = Vectors(matrix)
        parts = self._parts(matrix)
        scores = self._joined(parts, home)
        levels = np.searchsorted(self._bounds, scores, side="right")
        withstood = self._proven(vectors, scores, (levels == Level.CRITICAL) & ~home)
        told = self._explained(matrix, parts, scores, levels, home)
        verdicts = [
            self._verdict(
                address,
                Level(level),
                (float(scores[row]), float(withstood[row])),
                (int(times[row]), -1 if written is None else int(written[row])),
                bool(home[row]),
                parts.patterns[:, row],
                told.get(row, _UNEXPLAINED),
            )
            for row, (address, level) in enumerate(zip(addresses, levels.tolist(), strict=True))
        ]
        return verdicts, parts.anomaly

    def opinion(self, address: str, score: float, *, home: bool) -> Opinion:
        """Return what a stored score comes to under the present thresholds."""
        level = Level(int(np.searchsorted(self._bounds, score, side="right")))
        action, _ = self._action(level, score, home=home)
        return Opinion(address, score, level, action)

    def _parts(self, matrix: NDArray[np.float64]) -> Parts:
        if self.model is not None:
            return self.model.parts(matrix)
        nothing = np.zeros(len(matrix))
        return Parts(pattern_scores(matrix), nothing, nothing, nothing)

    def _joined(self, parts: Parts, home: NDArray[np.bool_]) -> NDArray[np.float64]:
        if self.model is None:
            return combine(parts.patterns)
        return self.model.joined(parts, home)

    def _proven(
        self, vectors: Vectors, scores: NDArray[np.float64], decisive: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return the scores of what no forged packet could have made, at most those of all.

        Without what was learnt from labels the patterns' own proven scores are taken, for all rows.
        Else the model is only asked about the decisive rows, which would be blocked: the others'
        proven scores decide nothing, and are those of the patterns.
        """
        patterns = combine(np.array([pattern.proven(vectors) for pattern in PATTERNS]))
        if self.model is None or self.model.judge is None:
            return patterns
        found = np.minimum(patterns, scores)
        asked = np.flatnonzero(decisive)
        if len(asked):
            again = self.model.score(proven(vectors.matrix[asked]))
            found[asked] = np.minimum(again, scores[asked])
        return found

    def _explained(
        self,
        matrix: NDArray[np.float64],
        parts: Parts,
        scores: NDArray[np.float64],
        levels: NDArray[np.int64],
        home: NDArray[np.bool_],
    ) -> dict[int, Explanation]:
        """Return what is told of each row above INFO; of those that are acted on, in full."""
        found: dict[int, Explanation] = {}
        for mine in (False, True):
            rows = np.flatnonzero((levels > Level.INFO) & (home == mine))
            if not len(rows):
                continue
            scorer = _Scorer(self.model, home=mine)
            patterns, thorough = parts.patterns[:, rows], levels[rows] >= Level.HIGH
            told = explained(scorer, matrix[rows], patterns, scores[rows], thorough)
            found.update(zip(rows.tolist(), told, strict=True))
        return found

    def _verdict(  # noqa: PLR0913, PLR0917 - the columns of one row
        self,
        address: str,
        level: Level,
        scores: tuple[float, float],
        times: tuple[int, int],
        home: bool,  # noqa: FBT001 - a column like the others
        patterns: NDArray[np.float64],
        told: Explanation,
    ) -> Verdict:
        score, withstood = scores
        action, lowered = self._action(level, withstood, home=home)
        return Verdict(
            address=address,
            time=times[0],
            score=score,
            proven_score=withstood,
            level=level,
            action=action,
            home=home,
            reasons=(*told.reasons, lowered) if lowered and told.reasons else told.reasons,
            patterns=tuple(PATTERNS[index].name for index in recognised(patterns)),
            model_version=self.version,
            written=times[1],
            features=told.features if action in _ACTED_ON else {},
        )

    def _action(self, level: Level, proven_score: float, *, home: bool) -> tuple[Action, str]:
        """Return what the level calls for, or less, and why less."""
        action = ACTION_OF_LEVEL[level]
        if home and action in {Action.BLOCK, Action.RATE_LIMIT}:
            return Action.MONITOR, "a host of the home network is reported, not blocked"
        guarded = self.settings.spoof_guard and proven_score < self.settings.critical
        if action is Action.BLOCK and guarded:
            return Action.RATE_LIMIT, (
                f"lowered from BLOCK to RATE_LIMIT by the spoof guard: completed handshakes alone "
                f"score {proven_score:.2f}, the rest could have been forged"
            )
        return action, ""


class _Scorer:
    """As much of a model as an explanation asks for: the score of strangers, or of home hosts."""

    def __init__(self, model: Model | None, *, home: bool) -> None:
        self._model = model
        self._home = home
        self.usual = model.usual if model is not None else _NOTHING

    def score(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 0..1 for each row of feature vectors."""
        if self._model is None:
            return combine(pattern_scores(matrix))
        return self._model.score(matrix, np.full(len(matrix), self._home))
