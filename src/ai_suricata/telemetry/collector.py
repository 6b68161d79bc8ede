"""What prometheus_client lacks: readings that may be absent, rankings, bounded labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

OTHER = "other"
"""The label of everything for which there is no label of its own."""


class Reading(Collector):
    """A gauge without a sample where nothing is known: unknown is not the same as zero."""

    def __init__(
        self,
        name: str,
        meaning: str,
        registry: CollectorRegistry,
        read: Callable[[], float | None] | None = None,
    ) -> None:
        """`read` is asked at each scrape; without it, `set` says the value."""
        self._name = name
        self._meaning = meaning
        self._value: float | None = None
        self._read = read or (lambda: self._value)
        registry.register(self)

    def set(self, value: float | None) -> None:
        """Take a value in; None takes it away again."""
        self._value = value

    def collect(self) -> Iterator[Metric]:
        """Yield the family, with one sample or none."""
        yield GaugeMetricFamily(self._name, self._meaning, value=self._read())


class Ranking(Collector):
    """The first few of a list, replaced as a whole: who drops out of it leaves no series behind."""

    def __init__(
        self, name: str, meaning: str, label: str, limit: int, registry: CollectorRegistry
    ) -> None:
        """`limit`: most series."""
        self._name = name
        self._meaning = meaning
        self._label = label
        self._limit = limit
        self._rows: tuple[tuple[str, float], ...] = ()
        registry.register(self)

    def set(self, rows: Iterable[tuple[str, float]]) -> None:
        """Replace the list by the greatest of `rows`."""
        ordered = sorted(rows, key=lambda row: row[1], reverse=True)
        self._rows = tuple(ordered[: self._limit])

    def collect(self) -> Iterator[Metric]:
        """Yield the family, one sample a row."""
        family = GaugeMetricFamily(self._name, self._meaning, labels=(self._label,))
        for word, number in self._rows:
            family.add_metric((word,), number)
        yield family


class Labels:
    """Which values a label may take: the first `limit` of them, the rest are `other`.

    A series stays for as long as the process lives, so a label that comes from data is bounded in
    number and in length.
    """

    LONGEST = 64

    def __init__(self, limit: int, known: Sequence[str] = ()) -> None:
        """`known`: values that always have their own label."""
        self._limit = limit
        self._known = set(known)

    def of(self, value: str) -> str:
        """Return the label for a value."""
        if value in self._known:
            return value
        if len(self._known) >= self._limit or len(value) > self.LONGEST:
            return OTHER
        self._known.add(value)
        return value


class WithoutCreated(Collector):
    """A registry without its `_created` samples, which nobody asked for and which double its text.

    prometheus_client can leave them out too, but only by a switch for the whole process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        """`registry`: what is shown."""
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Yield the registry's families."""
        for family in self._registry.collect():
            family.samples = [s for s in family.samples if not s.name.endswith("_created")]
            yield family
