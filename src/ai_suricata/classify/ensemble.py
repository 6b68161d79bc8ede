"""One score out of patterns and model, and the verdict that it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify.explain import evidence, explain
from ai_suricata.classify.patterns import NOTEWORTHY, PATTERNS, combine
from ai_suricata.classify.vectors import Vectors
from ai_suricata.core.verdict import ACTION_OF_LEVEL, Action, Level, Opinion, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ai_suricata.classify.estimator import Model
    from ai_suricata.config.settings import ClassifySettings

ANOMALY_WEIGHT = 0.32
"""What the most unusual behaviour adds where no pattern is seen: it is logged, never blocked."""
NO_MODEL = "none"
_ACTED_ON = frozenset({Action.BLOCK, Action.RATE_LIMIT})


class Classifier:
    """Turns feature vectors into verdicts. Keeps nothing between calls but the model."""

    def __init__(self, settings: ClassifySettings, model: Model | None = None) -> None:
        """`model`: None before the learning period has ended; patterns then judge alone."""
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
        patterns = np.array([pattern.score(vectors) for pattern in PATTERNS])
        proven = combine(np.array([pattern.proven(vectors) for pattern in PATTERNS]))
        anomaly = self.model.anomaly(matrix) if self.model is not None else np.zeros(len(matrix))
        scores = join(combine(patterns), anomaly)
        levels = np.searchsorted(self._bounds, scores, side="right").tolist()
        verdicts = [
            self._verdict(
                address,
                Level(level),
                (float(scores[row]), float(proven[row]), float(anomaly[row])),
                (int(times[row]), -1 if written is None else int(written[row])),
                bool(home[row]),
                patterns[:, row],
                matrix[row],
            )
            for row, (address, level) in enumerate(zip(addresses, levels, strict=True))
        ]
        return verdicts, anomaly

    def opinion(self, address: str, score: float, *, home: bool) -> Opinion:
        """Return what a stored score comes to under the present thresholds."""
        level = Level(int(np.searchsorted(self._bounds, score, side="right")))
        action, _ = self._action(level, score, home=home)
        return Opinion(address, score, level, action)

    def _verdict(  # noqa: PLR0913, PLR0917 - the columns of one row
        self,
        address: str,
        level: Level,
        scores: tuple[float, float, float],
        times: tuple[int, int],
        home: bool,  # noqa: FBT001 - a column like the others
        patterns: NDArray[np.float64],
        vector: NDArray[np.float64],
    ) -> Verdict:
        score, proven, anomaly = scores
        action, lowered = self._action(level, proven, home=home)
        order = [
            index for index in np.argsort(-patterns, kind="stable") if patterns[index] >= NOTEWORTHY
        ]
        reasons = explain(order, vector, self.model, anomaly) if level > Level.INFO else ()
        return Verdict(
            address=address,
            time=times[0],
            score=score,
            proven_score=proven,
            level=level,
            action=action,
            home=home,
            reasons=(*reasons, lowered) if lowered and reasons else reasons,
            patterns=tuple(PATTERNS[index].name for index in order),
            model_version=self.version,
            written=times[1],
            features=evidence(order, vector, self.model) if action in _ACTED_ON else {},
        )

    def _action(self, level: Level, proven: float, *, home: bool) -> tuple[Action, str]:
        """Return what the level calls for, or less, and why less."""
        action = ACTION_OF_LEVEL[level]
        if home and action in {Action.BLOCK, Action.RATE_LIMIT}:
            return Action.MONITOR, "a host of the home network is reported, not blocked"
        if action is Action.BLOCK and self.settings.spoof_guard and proven < self.settings.critical:
            return Action.RATE_LIMIT, (
                f"lowered from BLOCK to RATE_LIMIT by the spoof guard: completed handshakes alone "
                f"score {proven:.2f}, the rest could have been forged"
            )
        return action, ""


def join(patterns: NDArray[np.float64], anomaly: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join the patterns' score and the anomaly, both 0..1, into one, 0..1.

    What is unusual makes a pattern weigh more; by itself it is no reason to act.
    """
    joined: NDArray[np.float64] = 1 - (1 - patterns) * (1 - ANOMALY_WEIGHT * anomaly)
    return joined
