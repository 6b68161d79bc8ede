"""From labelled recordings, and from what operators have said, to rows for training.

The recording goes through the extractor that serves live, with fresh state; each source gives at
most 16 of the vectors at which it would have been scored, spread over its life, and the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ai_suricata.classify.rows import ATTACK, NORMAL, TrainingRows, joined
from ai_suricata.core.event import Event, decode
from ai_suricata.core.schema import FEATURE_NAMES, SCHEMA_VERSION
from ai_suricata.core.timestamp import MICROSECONDS
from ai_suricata.features.extract import Extractor
from ai_suricata.replay import eve_batches
from ai_suricata.state.label import Kind
from ai_suricata.study.label import Truth
from ai_suricata.study.progress import by_bytes, silent
from ai_suricata.study.thin import Thin

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ai_suricata.config.settings import Settings
    from ai_suricata.state.label import Label as OperatorLabel
    from ai_suricata.study.dataset import DataSet
    from ai_suricata.study.progress import Progress

OPERATOR = "operator"
"""Name of the data set that operators' labels make."""
_LABEL_OF = {Truth.MALICIOUS: ATTACK, Truth.BENIGN: NORMAL, Truth.SPOOFED: NORMAL}
"""Who was forged did nothing: what anybody can forge must accuse nobody who may be a client."""
_LABEL_OF_KIND = {Kind.ATTACK: ATTACK, Kind.NORMAL: NORMAL}


class Vector(NamedTuple):
    """One source at one moment at which it was scored."""

    time: int
    """Event time in microseconds."""
    values: NDArray[np.float64]
    """Shape (features,), in the order of `core.schema`."""
    score: float


class Gathering:
    """The vectors of a recording's malicious, benign and forged sources, at most 16 of each.

    Who was compromised, doubtful or allowed to scan teaches nothing; who was forged is normal.
    """

    def __init__(self, data: DataSet) -> None:
        """Keep nothing yet; the labels of `data` count."""
        self._data = data
        self._found: dict[str, Thin[Vector]] = {}

    def add(
        self,
        addresses: Sequence[str],
        times: NDArray[np.int64],
        matrix: NDArray[np.float64],
        scores: Sequence[float] = (),
    ) -> None:
        """Take scored points, in the order of the events; `scores`: what was said of them."""
        for index, address in enumerate(addresses):
            if _teaches(self._data, address):
                # A copy: a slice would keep the whole batch in memory.
                vector = matrix[index].copy()
                score = scores[index] if scores else 0.0
                kept = self._found.setdefault(address, Thin())
                kept.add(Vector(int(times[index]), vector, score))

    def scores_of(self, address: str) -> tuple[float, ...]:
        """Return what was said of the kept points of an address."""
        kept = self._found.get(address)
        return tuple(vector.score for vector in kept.items()) if kept is not None else ()

    def rows(self) -> TrainingRows:
        """Return what is kept, source by source."""
        name = self._data.name
        chosen = [(address, one) for address, kept in self._found.items() for one in kept.items()]
        return _rows(
            matrix=[one.values for _, one in chosen],
            labels=[_LABEL_OF[self._data.labels[address].truth] for address, _ in chosen],
            groups=[group_of(name, address) for address, _ in chosen],
            names=[name] * len(chosen),
            times=[one.time for _, one in chosen],
            campaigns=[self._data.labels[address].campaign for address, _ in chosen],
        )


def rows_of(data: DataSet, settings: Settings, progress: Progress = silent) -> TrainingRows:
    """Return the rows of a recording. Raises OSError where the file can't be read."""
    gathering = Gathering(data)
    extractor = Extractor(data.settings(settings).features)
    tell = by_bytes(progress, f"rows of {data.name}", data.path)
    for lines in eve_batches(data.path, settings.source.batch_size, tell):
        events = [event for event in map(decode, lines) if isinstance(event, Event)]
        points = extractor.observe(events)
        gathering.add(points.addresses, points.times, points.matrix)
    return gathering.rows()


def operator_rows(labels: Iterable[OperatorLabel]) -> tuple[TrainingRows, int]:
    """Return the rows that operators' labels make, and how many labels make none.

    A label without features, or with those of another schema, can't be used.
    """
    given = list(labels)
    usable = [
        (label, [features[name] for name in FEATURE_NAMES])
        for label in given
        if (features := label.features) is not None
        and label.schema == SCHEMA_VERSION
        and set(features) >= set(FEATURE_NAMES)
    ]
    made = _rows(
        matrix=[np.array(vector) for _, vector in usable],
        labels=[_LABEL_OF_KIND[label.label] for label, _ in usable],
        groups=[group_of(OPERATOR, label.address) for label, _ in usable],
        names=[OPERATOR] * len(usable),
        times=[int(label.time * MICROSECONDS) for label, _ in usable],
        campaigns=[""] * len(usable),
    )
    return made, len(given) - len(usable)


def group_of(name: str, address: str) -> str:
    """Return the group of a source: its address and the data set, which `address_of` undoes."""
    return f"{address} {name}"


def address_of(group: str) -> str:
    """Return the address of a group."""
    return group.partition(" ")[0]


def _teaches(data: DataSet, address: str) -> bool:
    label = data.labels.get(address)
    return label is not None and label.truth in _LABEL_OF and not label.allowed


def _rows(  # noqa: PLR0913, PLR0917 - the columns of the rows
    matrix: Sequence[NDArray[np.float64]],
    labels: Sequence[int],
    groups: list[str],
    names: list[str],
    times: Sequence[int],
    campaigns: list[str],
) -> TrainingRows:
    if not labels:
        return joined([])
    return TrainingRows(
        matrix=np.stack(matrix),
        labels=np.array(labels, dtype=np.int8),
        groups=groups,
        sets=names,
        times=np.array(times, dtype=np.int64),
        weights=np.ones(len(labels)),
        campaigns=campaigns,
    )
