"""From events to the feature vectors of the sources that are due to be scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.timestamp import parse_timestamp
from ai_suricata.features.attribute import Attribution
from ai_suricata.features.derive import Reading, derive, read, vectors
from ai_suricata.features.gap import space
from ai_suricata.features.gather import gather
from ai_suricata.features.home import HomeNetwork
from ai_suricata.features.memory import Memory
from ai_suricata.features.schedule import waves
from ai_suricata.features.table import Table, summaries
from ai_suricata.features.twin import Twins
from ai_suricata.state.base import Changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ai_suricata.config.settings import FeatureSettings
    from ai_suricata.core.address import Network
    from ai_suricata.core.event import Event
    from ai_suricata.core.position import Position
    from ai_suricata.features.home import Party
    from ai_suricata.state.base import Snapshot

    Parties = tuple[Party, Party]
    """Whose behaviour an event counts for, and the other side."""

_RESOLVERS, _TWINS = "resolvers", "twins"


@dataclass(frozen=True, slots=True)
class Points:
    """Sources at the moments at which they are due to be scored, in the order of the events."""

    addresses: list[str]
    home: NDArray[np.bool_]
    times: NDArray[np.int64]
    """Event time of the event that made the source due, microseconds."""
    written: NDArray[np.int64]
    """When that event's record was written, microseconds."""
    matrix: NDArray[np.float64]
    """(points, len(FEATURES)), in the order of `core.schema`."""

    def __len__(self) -> int:
        return len(self.addresses)


class Extractor:
    """Keeps the table of behaviour, and hands out feature vectors."""

    def __init__(self, settings: FeatureSettings, own: Iterable[Network] = ()) -> None:
        """`own`: addresses of this machine, which are at home too."""
        self.home = HomeNetwork((*settings.home_net, *own))
        self.attribution = Attribution(self.home)
        self.twins = Twins(self.home)
        self.memory = Memory()
        self.table = Table(settings.max_sources)

    def attribute(self, events: Iterable[Event]) -> list[Parties | None]:
        """Return for each event its owner and the other side, or None where it has none."""
        return [self.attribution.parties(event) for event in events]

    def unknown(self, parties: Iterable[Parties | None]) -> list[str]:
        """Return the owners of whom the table knows nothing, each once; the others stay."""
        owners = dict.fromkeys(pair[0].address for pair in parties if pair is not None)
        self.table.warm(owners)
        return [address for address in owners if not self.table.holds(address)]

    def observe(
        self, events: Sequence[Event], parties: Sequence[Parties | None] | None = None
    ) -> Points:
        """Count the events for their owners; return the points at which owners are due.

        `parties`: as `attribute` returned them for these events, where that was asked before.
        """
        parts: list[Points] = []
        counted: list[tuple[Event, int, Parties]] = []
        for event, pair in zip(events, parties or self.attribute(events), strict=True):
            if pair is None:
                continue
            owner = pair[0]
            row = self.table.find(owner.address, home=owner.home)
            if row is None:
                # What waits must be counted before rows go: it may be what keeps a row warm.
                parts.append(self._count(counted))
                counted = []
                self.table.evict()
                row = self.table.find(owner.address, home=owner.home)
            counted.append((event, row, pair))  # type: ignore[arg-type]  # evict made room
        parts.append(self._count(counted))
        return _joined(parts)

    def changes(
        self, position: Position, since: int, *, facts: bool = False, most: int | None = None
    ) -> Changes:
        """Return what has changed since the clock stood at `since`; `facts`: and what it says.

        `most`: of more rows, the first are returned; the clock of the changes tells how far.
        """
        rows, clock = self.table.changes(since, most)
        return Changes(
            position=position,
            clock=clock,
            rows=rows,
            gone=tuple(self.table.gone),
            notes={
                _RESOLVERS: tuple(self.attribution.export()),
                _TWINS: self.twins.export(),
                **self.memory.export(),
            },
            facts=summaries(rows) if facts else (),
        )

    def stored(self, changes: Changes) -> None:
        """Take note that the changes are durable: what has gone need not be told again."""
        del self.table.gone[: len(changes.gone)]

    def restore(self, snapshot: Snapshot) -> None:
        """Take over stored state; the same events then come to the same verdicts as without."""
        self.table.restore(snapshot.rows, snapshot.clock)
        self.attribution.restore(snapshot.notes.get(_RESOLVERS, ()))
        self.twins.restore(snapshot.notes.get(_TWINS, ()))
        self.memory.restore(snapshot.notes)

    def _count(self, counted: list[tuple[Event, int, Parties]]) -> Points:
        """Apply events wave by wave, and take the vectors of those who are due after each."""
        if not counted:
            return _NO_POINTS
        rows = np.array([row for _, row, _ in counted], dtype=np.int64)
        times = np.array([event.time for event, _, _ in counted], dtype=np.int64)
        events, parties = [event for event, _, _ in counted], [pair for _, _, pair in counted]
        evidence = gather(events, parties, self.memory)
        space(self.table.columns, rows, times, evidence)
        due: list[int] = []
        readings: list[Reading] = []
        found = [
            (np.array(wave.chosen, dtype=np.int64), wave.scored)
            for wave in waves(self.table, rows, times)
        ]
        marks = evidence.marks_of([chosen for chosen, _ in found])
        for (chosen, scored), marked in zip(found, marks, strict=True):
            self.table.apply(rows, times, chosen, evidence, marked)
            due.extend(scored)
            readings.append(read(self.table.columns, rows[np.array(scored, dtype=np.int64)]))
        self.table.clock += len(counted)
        order = np.argsort(np.array(due, dtype=np.int64), kind="stable")
        ordered = np.array(due, dtype=np.int64)[order]
        return Points(
            addresses=[self.table.addresses[row] for row in rows[ordered].tolist()],
            home=self.table.columns.home[rows[ordered]],
            times=times[ordered],
            written=np.array([_written(counted[i][0]) for i in ordered.tolist()], np.int64),
            matrix=vectors(readings)[order],
        )


def _written(event: Event) -> int:
    """Return the time of the record, which for most events is that of the event."""
    if event.event_type != "flow":
        return event.time
    try:
        return parse_timestamp(event.timestamp)
    except ValueError:  # the flow's own times were right
        return event.time


def _joined(parts: list[Points]) -> Points:
    if len(parts) == 1:
        return parts[0]
    return Points(
        addresses=[address for part in parts for address in part.addresses],
        home=np.concatenate([part.home for part in parts]),
        times=np.concatenate([part.times for part in parts]),
        written=np.concatenate([part.written for part in parts]),
        matrix=np.concatenate([part.matrix for part in parts]),
    )


_NO_POINTS = Points(
    addresses=[],
    home=np.zeros(0, np.bool_),
    times=np.zeros(0, np.int64),
    written=np.zeros(0, np.int64),
    matrix=derive(Table(1).columns, np.zeros(0, np.int64)),
)
