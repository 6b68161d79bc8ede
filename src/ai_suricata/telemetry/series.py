"""Where series are declared: under one prefix, in a registry of the object's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ai_suricata.telemetry.collector import Reading, WithoutCreated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PREFIX = "suricata_ai_"
WORDS = 64
"""Most values of a label whose values are words of the project: reasons, patterns, outcomes."""


class Series:
    """A registry, and the ways to put a series into it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._exposed = WithoutCreated(self.registry)

    def render(self) -> bytes:
        """Return all of it in Prometheus' text format (prometheus.io, "Exposition formats")."""
        return generate_latest(self._exposed)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, meaning, labels, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, buckets: Sequence[float], *labels: str
    ) -> Histogram:
        return Histogram(PREFIX + name, meaning, labels, buckets=buckets, registry=self.registry)

    def _reading(
        self, name: str, meaning: str, read: Callable[[], float | None] | None = None
    ) -> Reading:
        return Reading(PREFIX + name, meaning, self.registry, read)
