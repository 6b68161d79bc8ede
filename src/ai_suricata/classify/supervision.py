"""What is watched of the models while they serve: drift, and the shadow beside them.

Nothing here moves a verdict. All moments are event time, so that a replay sees what was seen live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import structlog

from ai_suricata.classify.drift import LITTLE, MUCH, OVERALL, Drift
from ai_suricata.classify.shadow import Kind, Shadow
from ai_suricata.core.timestamp import MICROSECONDS
from ai_suricata.telemetry.health import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.telemetry.health import Health
    from ai_suricata.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

_LOOK = 300 * MICROSECONDS
"""Event time between two looks at the drift."""
_TELL = 3600 * MICROSECONDS
"""Event time between two sentences on the shadow in /health."""
_NAMED = 3
"""Features that a warning names."""


class Supervision:
    """Handed every row that was scored, with its verdict."""

    def __init__(
        self,
        serving: Callable[[], Model | None],
        metrics: Metrics,
        health: Health,
        shadow: Shadow | None = None,
    ) -> None:
        """Watch nothing yet; `serving` says which model serves now.

        `shadow`: None where none is scored beside it.
        """
        self._serving = serving
        self._metrics = metrics
        self._health = health
        self.shadow = shadow
        self._model: Model | None = None
        self._drift: Drift | None = None
        self._next_look = self._next_word = 0
        self._warned = False
        if shadow is not None:
            self._health.set("shadow model", Status.OK, f"{shadow.version} is scored beside")

    def observe(
        self,
        addresses: Sequence[str],
        _home: NDArray[np.bool_],
        times: NDArray[np.int64],
        matrix: NDArray[np.float64],
        verdicts: Sequence[Verdict],
    ) -> None:
        """Take in one wave: `times` (rows,), microseconds, `matrix` (rows, features)."""
        latest = int(times.max())
        scores = np.array([verdict.score for verdict in verdicts])
        self._follow()
        if self._drift is not None:
            self._drift.take(addresses, times, matrix, scores)
            if latest >= self._next_look:
                self._next_look = latest + _LOOK
                self._look(self._drift)
        if self.shadow is not None:
            found = self.shadow.compare(matrix, verdicts)
            self._metrics.shadow(len(verdicts), {kind.value: n for kind, n in found.items()})
            if latest >= self._next_word:
                self._next_word = latest + _TELL
                self._health.set("shadow model", Status.OK, told(self.shadow))

    def _follow(self) -> None:
        """Begin anew where another model serves.

        Only one that knows this network has something to drift from: what is usual in the
        laboratory that the shipped one was trained in is no measure here.
        """
        model = self._serving()
        if model is self._model:
            return
        self._model = model
        known = model is not None and model.local and model.reference is not None
        self._drift = Drift(model.reference) if known and model and model.reference else None
        self._metrics.drift({}, {})

    def _look(self, drift: Drift) -> None:
        index = drift.index()
        if not index:
            return
        always = {name: index.pop(name) for name in (OVERALL, "score")}
        self._metrics.drift(always, index)
        worst = max(always.values())
        if worst > MUCH and not self._warned:
            self._warned = True
            most = sorted(index.items(), key=lambda one: (-one[1], one[0]))[:_NAMED]
            log.warning(
                "what comes in is no longer what the model was made from: see docs/detection.md",
                overall=round(always[OVERALL], 3),
                score=round(always["score"], 3),
                features={name: round(value, 3) for name, value in most},
            )
        elif worst < LITTLE:
            self._warned = False


def told(shadow: Shadow) -> str:
    """Return in a sentence how far a shadow model has differed."""
    found = shadow.disagreements
    return (
        f"{shadow.version} is scored beside: of {shadow.rows} verdicts "
        f"{found.total()} came to another level; it would block {found[Kind.BLOCK_ADDED]} more and "
        f"{found[Kind.BLOCK_MISSED]} fewer"
    )
