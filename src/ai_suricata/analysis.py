"""From lines to verdicts, without waiting for anything: what live and replay have in common."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.event import Event, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ai_suricata.classify.ensemble import Classifier
    from ai_suricata.classify.estimator import Model
    from ai_suricata.classify.learning import Learning
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.features.extract import Extractor

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Result:
    """What came of one batch of lines."""

    verdicts: list[Verdict] = field(default_factory=list)
    """In the order of the events that made their sources due."""
    anomalies: list[float] = field(default_factory=list)
    """The anomaly score of each verdict's source; empty before the learning period has ended."""
    events: Counter[str] = field(default_factory=Counter)
    """By event type."""
    severities: Counter[int] = field(default_factory=Counter)
    """Alerts by severity."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Lines that are no events, by reason."""
    latest: int = -1
    """Latest event time, microseconds; -1 where there was no event."""


class Analysis:
    """Decodes, counts, learns and classifies: the same lines, the same verdicts, however cut."""

    def __init__(
        self,
        extractor: Extractor,
        classifier: Classifier,
        learning: Learning | None = None,
        trained: Callable[[Model], None] = lambda _model: None,
    ) -> None:
        """`learning`: None where a model is there already; `trained` is told of a new one."""
        self.extractor = extractor
        self.classifier = classifier
        self.learning = learning
        self._trained = trained

    def lines(self, lines: Iterable[bytes]) -> Result:
        """Return what came of the lines; one that is no event is counted."""
        result = Result()
        events: list[Event] = []
        for line in lines:
            event = decode(line)
            if isinstance(event, Event):
                events.append(event)
            else:
                result.rejected[event] += 1
        self._observe(events, result)
        result.events.update(event.event_type for event in events)
        result.severities.update(e.alert.severity for e in events if e.alert is not None)
        result.latest = max((event.time for event in events), default=-1)
        return result

    def _observe(self, events: Sequence[Event], result: Result) -> None:
        """Classify; cut where learning ends, so that it always ends at the same event."""
        learning = self.learning
        if learning is None:
            return self._classify(events, result)
        learned = events[: learning.remaining]
        self._classify(learned, result)
        learning.remaining -= len(learned)
        if learning.remaining > 0:
            return None
        self._train(learning)
        return self._classify(events[len(learned) :], result)

    def _classify(self, events: Sequence[Event], result: Result) -> None:
        if not events:
            return
        points = self.extractor.observe(events)
        if self.learning is not None:
            self.learning.collect(points.addresses, points.matrix)
        if len(points):
            verdicts, anomalies = self.classifier.classify(
                points.addresses, points.home, points.times, points.matrix
            )
            result.verdicts.extend(verdicts)
            if self.classifier.model is not None:
                result.anomalies.extend(anomalies.tolist())

    def _train(self, learning: Learning) -> None:
        self.learning = None
        if learning.rows == 0:
            log.warning("nothing to learn from: no event had an address; patterns judge alone")
            return
        model = learning.train()
        self.classifier.model = model
        self._trained(model)
