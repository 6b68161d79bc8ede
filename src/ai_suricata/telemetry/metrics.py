"""What Prometheus is told. Names are a contract with the dashboards of those who run this.

The methods speak of batches, verdicts and blocks; what that does to which series is known here
alone, of the response in `telemetry.response`, and of the models in `telemetry.detection`. One
thread writes, another renders.
"""

from __future__ import annotations

import math
from collections import Counter as Tally
from typing import TYPE_CHECKING

from prometheus_client import Info

from ai_suricata.core.clock import SystemClock
from ai_suricata.core.verdict import Action, Level
from ai_suricata.telemetry.collector import OTHER, Labels, Ranking
from ai_suricata.telemetry.detection import DetectionMetrics
from ai_suricata.telemetry.series import PREFIX, WORDS
from ai_suricata.telemetry.window import SPAN, Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prometheus_client import Counter

    from ai_suricata.core.clock import Clock
    from ai_suricata.core.verdict import Verdict

TOP_SOURCES = 10
EVENT_TYPES = 64
LOSSES = ("truncated", "deleted", "compressed", "given_up", "trimmed", "taken", "disconnected")
DROPS = ("queue_full", "trimmed", "stopped")
"""Reasons for which a source loses lines unread."""
SEVERITIES = (1, 2, 3, 4)
"""Suricata's, 1 being the worst; a rule file can name others, which count as `other`."""

_BATCH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_FLUSH_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics(DetectionMetrics):
    """All metrics of one daemon, in a registry of its own."""

    def __init__(self, clock: Clock | None = None) -> None:
        """`clock`: wall clock, of which uptime and the rates of the last minute are told."""
        super().__init__()
        self._clock = clock or SystemClock()
        self._started = self._clock.now()
        self._rotations_seen = 0
        self._latest: float | None = None
        self._losses_seen: Tally[str] = Tally()
        self._dropped_seen: Tally[str] = Tally()
        self._model_version = "none"
        self._stored = self._shared = True
        self._reading("uptime_seconds", "Seconds since the start.", self._uptime)
        self._declare_events()
        self._declare_verdicts()
        self._declare_source()
        self._declare_parts()

    # -- what the pipeline says ------------------------------------------------------------------

    def batch(
        self,
        events_by_type: Mapping[str, int],
        severities: Mapping[int, int],
        rejected: Mapping[str, int],
        seconds: float,
    ) -> None:
        """Count one batch: its events, its alerts by severity, its rejected lines, and its time."""
        for event_type, number in events_by_type.items():
            self._events.labels(self._event_types.of(event_type)).inc(number)
        for severity, number in severities.items():
            label = str(severity) if severity in SEVERITIES else OTHER
            self._alerts_by_severity.labels(label).inc(number)
        for reason, number in rejected.items():
            self._rejected.labels(self._reasons.of(reason)).inc(number)
        alerts = sum(severities.values())
        self._alerts.inc(alerts)
        self._recent_alerts.count(alerts)
        self._processing.observe(seconds)

    def verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Count verdicts by action, level and pattern, and take their scores in."""
        for action, number in Tally(v.action for v in verdicts).items():
            self._by_action.labels(action.value).inc(number)
        for pattern, number in Tally(p for v in verdicts for p in v.patterns).items():
            self._patterns.labels(self._pattern_names.of(pattern)).inc(number)
        levels = Tally(v.level for v in verdicts)
        self._critical.inc(levels[Level.CRITICAL])
        self._high.inc(levels[Level.HIGH])
        self._recent_scores.add(v.score for v in verdicts)

    def anomaly(self, scores: Sequence[float]) -> None:
        """Take in what the anomaly model alone said, each in 0..1."""
        self._recent_anomalies.add(scores)

    def top_sources(self, rows: Sequence[tuple[str, int]]) -> None:
        """Replace the sources with the most alerts: address and number of alerts."""
        self._top.set(rows)

    def queue(self, stage: str, depth: int) -> None:
        """Say how many batches wait before a stage."""
        self._depth.labels(stage).set(depth)

    # -- what the edges say ----------------------------------------------------------------------

    def source(self, lag_bytes: int, rotations: int) -> None:
        """Say how far the source is behind, and how many rotations it has seen since the start."""
        self._lag_bytes.set(lag_bytes)
        self._rotations.inc(max(0, rotations - self._rotations_seen))
        self._rotations_seen = rotations

    def latest(self, event_time: float) -> None:
        """Say when the latest event happened, seconds since the epoch: its age is told from now."""
        self._latest = event_time

    def losses(self, occasions: Mapping[str, int], lines: Mapping[str, int]) -> None:
        """Say what the source has lost since the start, by reason: how often, and known lines."""
        self._raise(self._losses, occasions, self._losses_seen)
        self._raise(self._dropped, lines, self._dropped_seen)

    def repeated(self, count: int) -> None:
        """Count events that another file had told of."""
        self._repeated.inc(count)

    def flush(self, seconds: float, *, ok: bool) -> None:
        """Take in one flush of the state: how long it took, and whether it is stored."""
        self._flush.observe(seconds)
        self._stored = ok
        self._state_up.set(float(self._stored and self._shared))

    def state_backend(self, *, up: bool) -> None:
        """Say whether the shared backend answers; without one, the flush alone tells."""
        self._shared = up
        self._state_up.set(float(self._stored and self._shared))

    def model(self, version: str, training_rows: int) -> None:
        """Say which model serves from now on and on how many rows it was trained."""
        if version != self._model_version:
            self._trained.inc(training_rows)
        self._model_version = version
        self._model.info({"version": version})

    # -- the series ------------------------------------------------------------------------------

    def _declare_events(self) -> None:
        self._event_types = Labels(EVENT_TYPES, known=("alert", "flow"))
        self._reasons = Labels(WORDS)
        self._events = self._counter("events", "EVE events read, by type.", "event_type")
        # A source that waits from the start has said nothing yet: a rule on silence needs the zero.
        for event_type in ("alert", "flow"):
            self._events.labels(event_type)
        self._alerts = self._counter("alerts", "Alerts read.")
        self._alerts_by_severity = self._counter(
            "alerts_by_severity", "Alerts by Suricata's severity, 1 being the worst.", "severity"
        )
        for severity in SEVERITIES:
            self._alerts_by_severity.labels(str(severity))
        self._rejected = self._counter("lines_rejected", "Lines that are no event.", "reason")
        self._recent_alerts = Window(self._clock)
        self._reading("alerts_per_second", "Alerts over the last 60 s.", self._alert_rate)
        self._processing = self._histogram(
            "processing_time_seconds",
            "Time of one batch, from its lines to its verdicts.",
            _BATCH_SECONDS,
        )

    def _declare_verdicts(self) -> None:
        self._pattern_names = Labels(WORDS)
        self._by_action = self._counter("alerts_by_action", "Verdicts by action.", "action")
        for action in Action:
            self._by_action.labels(action.value)
        self._critical = self._counter("critical_threats", "Verdicts at level CRITICAL.")
        self._high = self._counter("high_threats", "Verdicts at level HIGH.")
        self._patterns = self._counter(
            "pattern_detections", "Verdicts in which a pattern was recognised.", "pattern"
        )
        self._recent_scores = Window(self._clock)
        self._recent_anomalies = Window(self._clock)
        scores, anomalies = self._recent_scores.summary, self._recent_anomalies.summary
        absent = "; absent without any"
        self._reading(
            "avg_threat_score", f"Mean score of the last 60 s{absent}.", lambda: scores().mean
        )
        self._reading(
            "avg_anomaly_score",
            f"Mean anomaly score of the last 60 s{absent}.",
            lambda: anomalies().mean,
        )
        self._reading(
            "max_anomaly_score",
            f"Greatest anomaly score of the last 60 s{absent}.",
            lambda: _finite(anomalies().greatest),
        )
        self._reading(
            "min_anomaly_score",
            f"Least anomaly score of the last 60 s{absent}.",
            lambda: _finite(anomalies().least),
        )

    def _declare_source(self) -> None:
        self._lag_bytes = self._reading("source_lag_bytes", "Bytes written and not yet read.")
        self._reading("source_lag_seconds", "Age of the latest event read.", self._age_of_latest)
        self._rotations = self._counter(
            "source_rotations", "Rotations, truncations and re-creations of followed files."
        )
        self._loss_reasons = Labels(WORDS, known=(*LOSSES, *DROPS))
        self._losses = self._counter(
            "source_losses", "Times at which lines were lost unread, or may have been.", "reason"
        )
        self._dropped = self._counter(
            "lines_dropped", "Lines lost because their sender can't be made to wait.", "reason"
        )
        for reason in LOSSES:  # a rule on the increase needs the zero
            self._losses.labels(reason)
        for reason in DROPS:
            self._dropped.labels(reason)
        self._repeated = self._counter(
            "events_repeated", "Events that another followed file had told of, not counted again."
        )
        name, meaning = f"{PREFIX}top_source_ips", "Alerts of the sources with the most of them."
        self._top = Ranking(name, meaning, "ip", TOP_SOURCES, self.registry)
        self._depth = self._gauge("queue_depth", "Batches that wait before a stage.", "stage")

    def _declare_parts(self) -> None:
        self._state_up = self._reading("state_backend_up", "Whether state is stored, and shared.")
        self._flush = self._histogram(
            "state_flush_seconds", "Time of one flush of the state.", _FLUSH_SECONDS
        )
        self._model = Info(f"{PREFIX}model", "The model that serves.", registry=self.registry)
        self._model.info({"version": self._model_version})
        self._trained = self._counter(
            "training_examples",
            "Rows on which the models that served since the start were trained.",
        )

    def _raise(self, counter: Counter, totals: Mapping[str, int], seen: Tally[str]) -> None:
        """Bring a counter up to totals that somebody else keeps."""
        for reason, total in totals.items():
            counter.labels(self._loss_reasons.of(reason)).inc(max(0, total - seen[reason]))
            seen[reason] = total

    def _age_of_latest(self) -> float | None:
        return None if self._latest is None else self._clock.now() - self._latest

    def _uptime(self) -> float:
        return max(0.0, self._clock.now() - self._started)

    def _alert_rate(self) -> float:
        """Alerts a second; in the first minute, over the time that there has been."""
        return self._recent_alerts.summary().count / min(max(self._uptime(), 1.0), SPAN)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
