"""Joins the stages: reading, analysing, responding, storing. Holds no domain logic.

Two queues' worth of work is bounded: batches that were read and wait, by count and by bytes, and
wishes that the firewall has not confirmed. A slow stage slows the reading.

A batch is done with when its verdicts are decided on and the decisions are in the ledger; only
then does the position move past it. After a kill, what was not done with is read again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.core.timestamp import MICROSECONDS
from ai_suricata.telemetry.health import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ai_suricata.analysis import Analysis, Decoded, Result
    from ai_suricata.core.clock import Clock
    from ai_suricata.core.position import Position
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.mirroring import Mirroring
    from ai_suricata.respond.responder import Responder
    from ai_suricata.respond.sentry import Sentry, Sighting
    from ai_suricata.sink.dead_letter import DeadLetter
    from ai_suricata.sink.record import Recorder
    from ai_suricata.source.base import Batch, Source
    from ai_suricata.state.base import BehaviourStore
    from ai_suricata.telemetry.health import Health
    from ai_suricata.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

MOST_WAITING = 8
"""Batches that were read and wait to be analysed."""
MOST_AHEAD = 3600.0
"""Seconds by which an event may be ahead of our clock."""
_BEAT = 1.0  # seconds: how often an idle pipeline shows that it lives
_LAST_LOOK = 0.25  # seconds: how long the source may take to see a new file
_TOP_SOURCES = 10
_PROVED = (LedgerState.ENFORCED,)


class Companion(Protocol):
    """What runs beside the stages, as long as they do."""

    async def run(self) -> None:
        """Run until `stop`."""
        ...

    def stop(self) -> None:
        """Finish, within a bounded time."""
        ...


class Pipeline:
    """One source, one analysis, one responder, one store."""

    def __init__(  # noqa: PLR0913, PLR0917 - one argument a stage; only the daemon calls this
        self,
        source: Source,
        analysis: Analysis,
        responder: Responder,
        store: BehaviourStore,
        flush_interval: float,
        clock: Clock,
        most_bytes: int,
        metrics: Metrics,
        health: Health,
        heartbeat: Callable[[], None] = lambda: None,
        listener: Callable[[Sequence[Verdict]], None] = lambda _verdicts: None,
        recorder: Recorder | None = None,
        mirroring: Mirroring | None = None,
        dead_letter: DeadLetter | None = None,
        aside: Position | None = None,
        companions: Sequence[Companion] = (),
        sentry: Sentry | None = None,
        seen: Callable[[Sequence[Sighting]], None] = lambda _sightings: None,
    ) -> None:
        """`heartbeat` is called while work goes on; `listener` is handed every verdict.

        `most_bytes`: of lines that were read and wait to be analysed, past one batch. `recorder` is
        handed the alerts, `dead_letter` samples of rejected lines; `mirroring`: where behaviour is
        shared; `aside`: places of other sources, which are kept for when they are
        back; `companions` run as long as the pipeline does; `seen` is handed what `sentry` sees.
        """
        self.source = source
        self.analysis = analysis
        self.responder = responder
        self.store = store
        self.flush_interval = flush_interval
        self.clock = clock
        self.metrics = metrics
        self.health = health
        self._position = source.position
        self.recorder = recorder
        self.mirroring = mirroring
        self.dead_letter = dead_letter
        self._aside = aside or {}
        self.companions = list(companions)
        self._sentry = sentry
        self._seen = seen
        self._heartbeat = heartbeat
        self._listener = listener
        self._waiting: asyncio.Queue[Batch | None] = asyncio.Queue(MOST_WAITING)
        self._most_bytes = most_bytes
        self._held = 0  # bytes of the lines that wait or are being analysed
        self._room = asyncio.Event()
        self._unfinished = 0
        self._owed: int | None = None  # bytes to read before stopping; None: not asked to stop
        self._quiet = 0  # turns without a batch
        self._changed = True  # the place of a first start must be known to the next one
        self._stored = analysis.extractor.table.clock  # up to which event the store has all
        self._flushed = clock.now()

    async def run(self) -> None:
        """Work until `stop`, then drain, store, and return. Whatever fails in a stage is raised."""
        await self.flush()
        async with asyncio.TaskGroup() as group:
            enforcing = group.create_task(self.responder.run(), name="enforce")
            for companion in self.companions:
                group.create_task(companion.run(), name=type(companion).__name__.lower())
            group.create_task(self._read(), name="read")
            await group.create_task(self._work(), name="analyse")
            await self.flush()
            if self.mirroring is not None:
                await self.mirroring.finish({**self._aside, **self._position})
            self.responder.stop()
            await enforcing
            for companion in self.companions:
                companion.stop()
        if self.dead_letter is not None:
            self.dead_letter.close()

    def stop(self) -> None:
        """Read what has been written by now, then stop; what was read is worked through."""
        # A file that has just been made or rotated counts only once the source has seen it.
        asyncio.get_running_loop().call_later(_LAST_LOOK, self._measure)

    def _measure(self) -> None:
        self._owed = self.source.lag().bytes
        self._stop_when_read()

    def stop_reading(self) -> None:
        """Stop reading at once; what was read is worked through."""
        self.source.stop()

    def lag(self) -> int:
        """Return the bytes that are not worked through; a batch in a queue counts as one."""
        return self.source.lag().bytes + self._unfinished

    def overview(self) -> dict[str, Any]:
        """Return the figures of the moment, as JSON types."""
        table = self.analysis.extractor.table
        return {
            "time": self.clock.now(),
            "events": table.clock,
            "sources": len(table),
            "lag_bytes": self.lag(),
            "top_sources": dict(table.top(_TOP_SOURCES)),
            "blocks": self.responder.ledger.count(Table.BLOCK, _PROVED),
            "rate_limits": self.responder.ledger.count(Table.LIMIT, _PROVED),
            "status": self.health.status.value,
        }

    async def _read(self) -> None:
        async for batch in self.source.batches():
            self._unfinished += 1
            await self._hold(batch.bytes)
            await self._waiting.put(batch)
            self.metrics.queue("analyse", self._waiting.qsize())
            if self._owed is not None:
                self._owed -= sum(len(line) + 1 for line in batch.lines)
                self._stop_when_read()
        await self._waiting.put(None)

    async def _hold(self, size: int) -> None:
        """Wait until that many bytes more may be in memory; a single batch always may."""
        while self._held and self._held + size > self._most_bytes:
            self._room.clear()
            await self._room.wait()
        self._held += size

    def _stop_when_read(self) -> None:
        if self._owed is not None and self._owed <= 0:
            self.source.stop()

    async def _work(self) -> None:
        while True:
            self._heartbeat()
            try:
                async with asyncio.timeout(min(_BEAT, self.flush_interval)):
                    batch = await self._waiting.get()
            except TimeoutError:
                await self._idle()
                continue
            if batch is None:
                return
            await self._process(batch)
            if self.mirroring is not None and self.mirroring.behind:
                await self._share()
            if self.clock.now() - self._flushed >= self.flush_interval:
                await self.flush()

    async def _process(self, batch: Batch) -> None:
        self._quiet = 0
        started = self.clock.now()
        latest = int((started + MOST_AHEAD) * MICROSECONDS)
        decoded = self.analysis.decode(batch.lines, latest, batch.origins)
        if self.mirroring is not None:
            await self.mirroring.meet(decoded.parties)
        result = self.analysis.observe(decoded)
        result.rejected.update(batch.rejected)
        await self.responder.respond(result.verdicts)
        self._look_out(decoded)
        if self.recorder is not None:
            self.recorder.take(self.analysis.alerts(decoded, result))
        if self.dead_letter is not None:
            self.dead_letter.take([*batch.samples, *decoded.samples])
        self._position = batch.position
        self._changed = True
        self.metrics.repeated(decoded.repeated)
        self._tell(result, self.clock.now() - started)
        self._listener(result.verdicts)
        self._unfinished -= 1
        self._held -= batch.bytes
        self._room.set()
        # The analysis does not wait for anything; let the other tasks have their turn.
        await asyncio.sleep(0)

    def _look_out(self, decoded: Decoded) -> None:
        """See whether somebody is answered who is blocked."""
        if self._sentry is not None:
            sightings = self._sentry.watch(decoded.events, self.clock.now())
            if sightings:
                self._seen(sightings)

    async def _idle(self) -> None:
        self._quiet += 1
        if self._owed is not None and self._quiet > 1:
            self.source.stop()  # what is owed is a line without an end, and nobody ends it
        self._tell_source()
        self._follow_place()
        if self._changed and self.clock.now() - self._flushed >= self.flush_interval:
            await self.flush()
        elif not self._changed:
            await self._share()  # what the mirror was not ready for at the last flush

    def _follow_place(self) -> None:
        """Let what the source has learned without a line be stored too.

        That is a rotated file that is finished, or where a stream stands that was silent so far.
        """
        if not self._unfinished and self.source.position != self._position:
            self._position = self.source.position
            self._changed = True

    async def flush(self) -> None:
        """Store behaviour and position as one. A store that fails is told, and tried again.

        While decisions wait for the ledger, the position stays: after a kill they are made again.
        """
        if not self._changed or self.responder.unsaved:
            return
        started = self.clock.now()
        extractor = self.analysis.extractor
        self.metrics.top_sources(extractor.table.top(_TOP_SOURCES))
        changes = extractor.changes({**self._aside, **self._position}, self._stored)
        self._flushed = started
        try:
            await self.store.save(changes)
        except StateError as error:
            self.metrics.flush(self.clock.now() - started, ok=False)
            self.health.set("state", Status.DEGRADED, str(error))
            return
        extractor.stored(changes)
        self.source.stored(changes.position)
        self._stored, self._changed = changes.clock, False
        self.metrics.flush(self.clock.now() - started, ok=True)
        self.health.set("state", Status.OK, "stored")
        await self._share()

    async def _share(self) -> None:
        if self.mirroring is not None:
            self._changed |= await self.mirroring.share({**self._aside, **self._position})

    def _tell(self, result: Result, seconds: float) -> None:
        metrics = self.metrics
        metrics.batch(result.events, result.severities, result.rejected, seconds)
        metrics.verdicts(result.verdicts)
        metrics.anomaly(result.anomalies)
        metrics.queue("analyse", self._waiting.qsize())
        if result.latest >= 0:
            metrics.latest(result.latest / MICROSECONDS)
        self._tell_source()

    def _tell_source(self) -> None:
        self.metrics.source(self.source.lag().bytes, self.source.rotations)
        losses = self.source.losses
        self.metrics.losses(losses.occasions, losses.lines)
        lack = self.source.waiting_for
        self.health.set("source", Status.DEGRADED if lack else Status.OK, lack or "reading")
