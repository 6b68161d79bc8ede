"""What Prometheus is told of the models: how far what comes in has drifted, and the shadow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.telemetry.collector import Ranking
from ai_suricata.telemetry.response import ResponseMetrics
from ai_suricata.telemetry.series import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

DISAGREEMENTS = ("block_added", "block_missed", "level_higher", "level_lower")
"""How a shadow model can differ from the one that serves."""
TOP_DRIFTS = 10
"""Features of which the drift is told; besides them that of the score, and of all together."""
_ALWAYS = 2


class DetectionMetrics(ResponseMetrics):
    """The series of drift and shadow, on top of those of the response."""

    def __init__(self) -> None:
        super().__init__()
        name = f"{PREFIX}feature_drift"
        meaning = (
            "Population stability index of the last 24 hours against the rows that the model was "
            "made from, for the features that drifted most, the score, and overall; above 0.25 "
            "much has changed. Absent with too few rows."
        )
        self._drift = Ranking(name, meaning, "feature", TOP_DRIFTS + _ALWAYS, self.registry)
        self._shadow_rows = self._counter("shadow_rows", "Rows that the shadow model has scored.")
        self._shadow = self._counter(
            "shadow_disagreements", "Rows on which the shadow model came to another level.", "kind"
        )
        for kind in DISAGREEMENTS:
            self._shadow.labels(kind)

    def drift(self, always: Mapping[str, float], features: Mapping[str, float]) -> None:
        """Say how far each feature has drifted; `always`: two that are told in any case."""
        ordered = sorted(features.items(), key=lambda one: (-one[1], one[0]))
        self._drift.set([*list(always.items())[:_ALWAYS], *ordered[:TOP_DRIFTS]])

    def shadow(self, rows: int, disagreements: Mapping[str, int]) -> None:
        """Count rows that the shadow model has scored, and those on which it disagrees, by kind."""
        self._shadow_rows.inc(rows)
        for kind in DISAGREEMENTS:
            self._shadow.labels(kind).inc(disagreements.get(kind, 0))
