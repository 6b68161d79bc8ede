"""From lines to verdicts, without waiting for anything: what live and replay have in common."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TYPE_CHECKING

import structlog

from ai_suricata.classify import artifact
from ai_suricata.classify.model import unlabelled
from ai_suricata.core.errors import ArtifactError
from ai_suricata.core.event import Event, decode
from ai_suricata.core.verdict import Opinion
from ai_suricata.features.twin import spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ai_suricata.classify.ensemble import Classifier
    from ai_suricata.classify.learning import Learning
    from ai_suricata.classify.model import Model
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.features.extract import Extractor, Parties

    Observer = Callable[
        [
            Sequence[str],
            NDArray[np.bool_],
            NDArray[np.int64],
            NDArray[np.float64],
            Sequence[Verdict],
        ],
        None,
    ]
    """Is told of each row that was judged: addresses, home, times, feature vectors, verdicts."""

log = structlog.get_logger(__name__)


MOST_SAMPLES = 3
"""Rejected lines of each reason that are handed on from a batch."""
POSTPONED = 500
"""Events after which training is tried again, where another instance had the turn."""


@dataclass(slots=True)
class Result:
    """What came of one batch of lines."""

    verdicts: list[Verdict] = field(default_factory=list)
    """In the order of the events that made their sources due."""
    anomalies: list[float] = field(default_factory=list)
    """The anomaly score of each verdict's source; empty where no model serves."""
    events: Counter[str] = field(default_factory=Counter)
    """By event type."""
    severities: Counter[int] = field(default_factory=Counter)
    """Alerts by severity."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Lines that are no events, by reason."""
    samples: list[tuple[str, bytes]] = field(default_factory=list)
    """Some of them: reason and line."""
    latest: int = -1
    """Latest event time, microseconds; -1 where there was no event."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The events of one batch."""

    events: list[Event]
    parties: list[Parties | None]
    """For each event its owner and the other side, or None where it counts for nobody."""
    rejected: Counter[str]
    """Lines that are no events, by reason."""
    repeated: int = 0
    """Events that another of several files had told of: they are not among `events`."""
    samples: list[tuple[str, bytes]] = field(default_factory=list)
    """Of the rejected lines the first few of each reason: reason and line."""


class Analysis:
    """Decodes, counts, learns and classifies: the same lines, the same verdicts, however cut."""

    def __init__(
        self,
        extractor: Extractor,
        classifier: Classifier,
        learning: Learning | None = None,
        trained: Callable[[Model], None] = lambda _model: None,
    ) -> None:
        """`learning`: None where the model is of this network already.

        `trained` is told of a new one, when the learning period ends.
        """
        self.extractor = extractor
        self.classifier = classifier
        self.learning = learning
        self._trained = [trained]
        self._may_train: Callable[[], bool] = lambda: True
        self.observers: list[Observer] = []
        """Are told of each row that was judged, after its verdict, wave by wave."""

    def lines(self, lines: Iterable[bytes]) -> Result:
        """Return what came of the lines; one that is no event is counted."""
        return self.observe(self.decode(lines))

    def decode(
        self,
        lines: Iterable[bytes],
        latest: int | None = None,
        origins: Iterable[tuple[str, int]] = (),
    ) -> Decoded:
        """Return the events of the lines, and whose behaviour each counts for.

        `latest`: the latest event time that can be, in microseconds; later ones are rejected. A
        clock that was ahead for a moment would otherwise hold the windows open until it is that
        late. `origins`: whose the lines are, where they are of several (see `Batch.origins`); what
        one has told of is not counted again when another does.
        """
        events: list[Event] = []
        rejected, samples = Counter[str](), list[tuple[str, bytes]]()

        def reject(reason: str, line: bytes) -> None:
            rejected[reason] += 1
            if rejected[reason] <= MOST_SAMPLES:
                samples.append((reason, line))

        repeated = 0
        for line, origin in zip(lines, chain(spread(origins), repeat("")), strict=False):
            event = decode(line)
            if not isinstance(event, Event):
                reject(event, line)
            elif latest is not None and event.time > latest:
                reject("future", line)
            elif origin and self.extractor.twins.is_repeated(event, origin):
                repeated += 1
            else:
                events.append(event)
        return Decoded(events, self.extractor.attribute(events), rejected, repeated, samples)

    def observe(self, decoded: Decoded) -> Result:
        """Count the events, and classify the sources that are due."""
        events = decoded.events
        result = Result(rejected=decoded.rejected, samples=decoded.samples)
        self._learn_and_classify(events, decoded.parties, result)
        result.events.update(event.event_type for event in events)
        result.severities.update(e.alert.severity for e in events if e.alert is not None)
        result.latest = max((event.time for event in events), default=-1)
        return result

    def _learn_and_classify(
        self, events: Sequence[Event], parties: Sequence[Parties | None], result: Result
    ) -> None:
        """Classify; cut where learning ends, so that it always ends at the same event."""
        learning = self.learning
        if learning is None:
            return self._classify(events, parties, result)
        cut = learning.spend([None if pair is None else pair[0].address for pair in parties])
        self._classify(events[:cut], parties[:cut], result)
        if learning.remaining > 0:
            return None
        if not self._may_train():
            learning.prolong(POSTPONED)
            return self._learn_and_classify(events[cut:], parties[cut:], result)
        self._train(learning)
        return self._classify(events[cut:], parties[cut:], result)

    def _classify(
        self, events: Sequence[Event], parties: Sequence[Parties | None], result: Result
    ) -> None:
        if not events:
            return
        points = self.extractor.observe(events, parties)
        if not len(points):
            return
        verdicts, anomalies = self.classifier.classify(
            points.addresses, points.home, points.times, points.matrix, points.written
        )
        if self.learning is not None:
            scores = (verdict.score for verdict in verdicts)
            self.learning.collect(points.addresses, points.matrix, scores)
        self.extractor.table.note(verdicts)
        result.verdicts.extend(verdicts)
        if self.classifier.model is not None:
            result.anomalies.extend(anomalies.tolist())
        for observer in self.observers:
            observer(points.addresses, points.home, points.times, points.matrix, verdicts)

    def alerts(self, decoded: Decoded, result: Result) -> list[tuple[Event, Opinion]]:
        """Return the alerts of a batch, each with what is thought of its owner after it."""
        verdicts = {verdict.address: verdict for verdict in result.verdicts}
        found: list[tuple[Event, Opinion]] = []
        for event, pair in zip(decoded.events, decoded.parties, strict=True):
            if event.alert is None or pair is None:
                continue
            address = pair[0].address
            verdict = verdicts.get(address)
            if verdict is None:
                score = self.extractor.table.score_of(address)
                opinion = self.classifier.opinion(address, score, home=pair[0].home)
            else:
                opinion = Opinion(
                    address, verdict.score, verdict.level, verdict.action, verdict.reasons
                )
            found.append((event, opinion))
        return found

    def coordinate(self, may_train: Callable[[], bool], trained: Callable[[Model], None]) -> None:
        """Ask `may_train` at the end of the learning period (a no postpones it); tell `trained`."""
        self._may_train = may_train
        self._trained.append(trained)

    def serve(self, model: Model) -> None:
        """Let a model judge from now on that another instance has trained; learning ends."""
        self.learning = None
        self.classifier.model = model

    def _train(self, learning: Learning) -> None:
        self.learning = None
        if learning.rows == 0:
            log.warning("nothing to learn from: no harmless event had an address")
            return
        serving = self.classifier.model
        if learning.thin and serving is not None:
            log.warning("too few sources to learn from; the model stays", model=serving.version)
            return
        model = localised(serving, learning)
        self.classifier.model = model
        for tell in self._trained:
            tell(model)


def localised(model: Model | None, learning: Learning) -> Model:
    """Return a model with the forest of what was collected; without one, of that alone.

    Raises ValueError where nothing was collected.
    """
    novelty, matrix = learning.train(), learning.matrix()
    if model is None:
        return unlabelled(novelty, matrix)
    return model.localised(novelty, matrix)


def shipped() -> Model | None:
    """Return the model that ships with the program, or None, with a word on why it can't serve."""
    try:
        return artifact.default()
    except ArtifactError as error:
        log.error("the shipped model can't serve; patterns judge alone", problem=str(error))
        return None
