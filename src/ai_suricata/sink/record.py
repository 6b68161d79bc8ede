"""Keeps the newest alerts, each with what is thought of its source, in the alert store."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.cancellation import heed
from ai_suricata.core.errors import StateError
from ai_suricata.core.event import Alert
from ai_suricata.state.shared import StoredAlert

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_suricata.core.event import Event
    from ai_suricata.core.verdict import Opinion
    from ai_suricata.state.shared import AlertStore, TopSources

log = structlog.get_logger(__name__)

_PAUSE = 1.0  # seconds between two writes: a batch costs little more than one alert
_MOST_COUNTED = 10_000
_WRITES_A_COUNT = 5  # the most active sources are counted less often: that costs one step each


class Recorder:
    """Collects alerts and writes them behind. While the store is away, the newest are kept."""

    def __init__(self, store: AlertStore, top: TopSources, instance: str, most: int) -> None:
        """`instance`: begins each alert's id; `most`: alerts that wait, and that are stored."""
        self._store = store
        self._top = top
        self._instance = instance
        self._waiting: deque[StoredAlert] = deque(maxlen=max(most, 1))
        self._counted: Counter[str] = Counter()
        self._number = 0
        self._writes = 0
        self._stopping = asyncio.Event()
        self._failing = False

    def take(self, alerts: Iterable[tuple[Event, Opinion]]) -> None:
        """Keep alerts, each with what is thought of the address that it counts for."""
        for event, opinion in alerts:
            self._number += 1
            self._counted[opinion.address] += 1
            self._waiting.append(self._stored(event, opinion))

    async def run(self) -> None:
        """Write what has come, once a second, until `stop`."""
        last = False
        while not last:
            try:
                async with asyncio.timeout(_PAUSE):
                    await self._stopping.wait()
            except TimeoutError:
                pass
            # Read before the write: what comes while that is under way needs another one.
            last = self._stopping.is_set()
            await self._write(last=last)
            heed()

    def stop(self) -> None:
        """End `run` after a last write."""
        self._stopping.set()

    async def _write(self, *, last: bool = False) -> None:
        batch = list(self._waiting)
        self._waiting.clear()
        self._writes += 1
        due = last or self._writes % _WRITES_A_COUNT == 0
        counted, self._counted = (self._counted, Counter()) if due else (Counter(), self._counted)
        try:
            if batch:
                await self._store.add(batch)
                batch = []  # stored: it is not put back where only the count fails
            if counted:
                await self._top.count(counted)
        except StateError as error:
            self._put_back(batch, counted, str(error))
        else:
            self._failing = False

    def _put_back(self, batch: list[StoredAlert], counted: Counter[str], problem: str) -> None:
        """Wait for the next time; of what came meanwhile and before, the newest are kept."""
        self._waiting = deque([*batch, *self._waiting], maxlen=self._waiting.maxlen)
        # A flood of forged sources must not fill the memory while the store is away.
        self._counted = Counter(dict((self._counted + counted).most_common(_MOST_COUNTED)))
        if not self._failing:
            log.warning("alerts can't be stored; the newest wait", problem=problem)
        self._failing = True

    def _stored(self, event: Event, opinion: Opinion) -> StoredAlert:
        alert = event.alert or Alert()
        return StoredAlert(
            id=f"{self._instance}-{event.time}-{self._number}",
            time=event.time,
            source_ip=opinion.address,
            signature_id=alert.signature_id,
            signature=alert.signature,
            category=alert.category,
            severity=alert.severity,
            src_ip=event.src_ip or "",
            src_port=event.src_port,
            dest_ip=event.dest_ip or "",
            dest_port=event.dest_port,
            proto=event.proto or "",
            score=round(opinion.score, 6),
            level=opinion.level.name,
            action=opinion.action.value,
            reasons=opinion.reasons,
        )
