"""The stages, joined: bounded, drained, and the position behind what is decided."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from ai_suricata import pipeline
from ai_suricata.analysis import Analysis
from ai_suricata.classify.ensemble import Classifier
from ai_suricata.config.load import load
from ai_suricata.core.decision import Table
from ai_suricata.core.errors import StateError
from ai_suricata.core.position import FilePosition, Position, files_of
from ai_suricata.features.extract import Extractor
from ai_suricata.pipeline import MOST_WAITING, Pipeline
from ai_suricata.respond import responder
from ai_suricata.sink.dead_letter import DeadLetter
from ai_suricata.source.base import Batch, Lag, Losses
from ai_suricata.telemetry.health import Health, Status
from ai_suricata.telemetry.metrics import Metrics
from fakes import eve
from fakes.eve import STRANGER
from fakes.response import NOW, ResponsePath, lines_of, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from ai_suricata.core.verdict import Verdict
    from ai_suricata.state.base import Changes, Snapshot


def position(offset: int) -> Position:
    """Return a place in a file."""
    return {"/eve.json": (FilePosition(1, 1, "", 0, offset),)}


class FakeSource:
    """A source that is fed by the test; each batch is one line of ten bytes with its end."""

    def __init__(self) -> None:
        self.feed: asyncio.Queue[Batch | None] = asyncio.Queue()
        self.position = position(0)
        self.end = 0
        self.rotations = 0
        self.waiting_for: str | None = None
        self.handed = 0
        self.waiting_bytes = 0
        self.stopped = False
        self.losses = Losses()
        self.acknowledged: list[Position] = []

    def stored(self, position: Position) -> None:
        """Keep what was acknowledged."""
        self.acknowledged.append(position)

    def put(self, *lines: bytes) -> None:
        """Let one batch wait."""
        size = sum(len(line) + 1 for line in lines)
        self.waiting_bytes += size
        self.end += size
        self.feed.put_nowait(Batch(list(lines), position(self.end), {}))

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield what the test fed."""
        while not self.stopped:
            batch = await self.feed.get()
            if batch is None:
                return
            self.handed += 1
            self.waiting_bytes -= sum(len(line) + 1 for line in batch.lines)
            self.position = batch.position
            yield batch

    def stop(self) -> None:
        """End after the batch that is being handed out."""
        self.stopped = True
        self.feed.put_nowait(None)

    def lag(self) -> Lag:
        """Return what waits."""
        return Lag(self.waiting_bytes, 1)


class FakeStore:
    """Keeps snapshots, and can fail or hang."""

    def __init__(self) -> None:
        self.saved: list[Changes] = []
        self.fails = False

    async def load(self) -> Snapshot | None:
        """Return nothing: it is never restarted."""
        return None

    async def close(self) -> None:
        """Nothing is under way."""

    async def save(self, changes: Changes) -> None:
        """Keep it."""
        await asyncio.sleep(0)
        if self.fails:
            raise StateError("the disk is full; make room")
        self.saved.append(changes)

    def offsets(self) -> list[int]:
        """Return the place of each snapshot."""
        return [files_of(s.position, "/eve.json")[0].offset for s in self.saved]


def apart() -> ResponsePath:
    """Return a response in which many neighbours do not become one network."""
    path = ResponsePath()
    path.restart(PROMOTE_IPV4="0")
    return path


@dataclass
class Line:
    """A pipeline with nothing real at its ends."""

    response: ResponsePath = field(default_factory=apart)
    source: FakeSource = field(default_factory=FakeSource)
    store: FakeStore = field(default_factory=FakeStore)
    most_bytes: int = 1 << 20
    beats: int = 0
    verdicts: list[Verdict] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Join the stages."""
        settings = load(environment={})
        self.metrics = Metrics(self.response.clock)
        self.health = Health(self.response.clock)
        self.analysis = Analysis(Extractor(settings.features, ()), Classifier(settings.classify))
        self.pipeline = Pipeline(
            source=self.source,
            analysis=self.analysis,
            responder=self.response.responder,
            store=self.store,
            flush_interval=5.0,
            most_bytes=self.most_bytes,
            clock=self.response.clock,
            metrics=self.metrics,
            health=self.health,
            heartbeat=self._beat,
            listener=self._listen,
        )

    def events(self) -> int:
        """Return how many events are counted in the behaviour."""
        table = self.analysis.extractor.table
        return sum(table.summary(row).events for row in table.row_of.values())

    def part(self, name: str) -> str:
        """Return how a part of the daemon does."""
        return str(self.health.snapshot()["parts"].get(name, {}).get("status"))

    def _beat(self) -> None:
        self.beats += 1

    def _listen(self, verdicts: Sequence[Verdict]) -> None:
        self.verdicts.extend(verdicts)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an idle pipeline look around after milliseconds."""
    monkeypatch.setattr(pipeline, "_BEAT", 0.01)
    monkeypatch.setattr(pipeline, "_LAST_LOOK", 0.01)


@pytest.fixture
def line() -> Line:
    """Return a pipeline."""
    return Line()


@asynccontextmanager
async def running(line: Line) -> AsyncIterator[asyncio.Task[None]]:
    """Let the pipeline run; stop it and wait for its end."""
    task = asyncio.create_task(line.pipeline.run())
    try:
        yield task
    finally:
        line.pipeline.stop()
        async with asyncio.timeout(10):
            await asyncio.gather(task, return_exceptions=True)
    await task


def attack(number: int = 0) -> list[bytes]:
    """Return lines for which their source is blocked: a password guesser's."""
    return [eve.line(eve.login(f"203.0.113.{number + 1}", at=at)) for at in range(200)]


async def test_what_comes_in_is_counted_told_and_stored(line: Line) -> None:
    """Behaviour and position as one."""
    async with running(line):
        line.source.put(*(eve.line(eve.flow()) for _ in range(3)))
        await until(lambda: 3 == line.events())

    assert line.source.position == line.store.saved[-1].position
    assert b'suricata_ai_events_total{event_type="flow"} 3.0' in line.metrics.render()
    assert 0 == line.pipeline.lag()


async def test_the_place_of_a_first_start_is_stored_before_anything_is_read(line: Line) -> None:
    """The next start must not jump to a later end of the file."""
    async with running(line):
        await until(lambda: line.store.saved)

    assert [0] == line.store.offsets()


async def test_a_slow_stage_stops_the_reading(line: Line) -> None:
    """What was read and waits is bounded; the rest stays in the file."""
    line.response.disk.writing = asyncio.Event()
    line.source.put(*attack())
    for _ in range(50):
        line.source.put(eve.line(eve.flow()))
    async with running(line):
        await until(lambda: line.source.handed > MOST_WAITING)
        for _ in range(50):
            await asyncio.sleep(0)
        assert line.source.handed <= MOST_WAITING + 2
        assert line.pipeline.lag() > line.source.lag().bytes

        line.response.disk.writing.set()
        await until(lambda: 0 == line.pipeline.lag())
    assert 51 == line.source.handed


async def test_lines_that_wait_are_bounded_by_bytes_too() -> None:
    """A few batches of long lines fill the memory as well as many batches."""
    record = eve.http(STRANGER, url="/" + "x" * 10_000)
    line = Line(most_bytes=35_000)
    line.response.disk.writing = asyncio.Event()
    line.source.put(*attack())
    for _ in range(20):
        line.source.put(eve.line(record))
    async with running(line):
        await until(line.response.ledger._writing.locked)
        for _ in range(50):
            await asyncio.sleep(0)
        assert line.source.handed <= 3

        line.response.disk.writing.set()
        await until(lambda: 0 == line.pipeline.lag())
    assert 21 == line.source.handed


async def test_a_firewall_that_is_behind_holds_up_the_reading(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has not confirmed is bounded, and so is what was read; then it goes on."""
    monkeypatch.setattr(responder, "MOST_PENDING", 2)
    monkeypatch.setattr(responder, "LONGEST_WAIT", 3600.0)
    answer = line.response.firewall.hanging["add"] = asyncio.Event()
    for number in range(40):
        line.source.put(*attack(number))
    async with running(line):
        await until(lambda: line.response.responder._pending > 2)
        await until(lambda: line.source.handed > MOST_WAITING)
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert 3 * 200 == line.events()
        assert line.source.handed <= 3 + MOST_WAITING + 2
        answer.set()
        await until(lambda: 0 == line.pipeline.lag())
    assert 40 == line.source.handed
    assert 40 == len(line.response.firewall._tables[Table.BLOCK])


async def test_the_heart_beats_while_a_firewall_is_waited_for(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading slows to a trickle and does not end: systemd must not take it for dead."""
    monkeypatch.setattr(responder, "MOST_PENDING", 2)
    monkeypatch.setattr(responder, "LONGEST_WAIT", 0.05)
    answer = line.response.firewall.hanging["add"] = asyncio.Event()
    for number in range(20):
        line.source.put(*attack(number))
    async with running(line):
        await until(lambda: line.response.responder._pending > 2)
        beats = line.beats
        await until(lambda: line.beats > beats + 2)
        answer.set()


async def test_a_firewall_that_is_away_does_not_slow_the_reading(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Detection goes on, and what it wishes is in the ledger."""
    monkeypatch.setattr(responder, "MOST_PENDING", 2)
    monkeypatch.setattr(responder, "LONGEST_WAIT", 3600.0)
    line.response.firewall.faults[""] = "unreachable"
    async with running(line):
        await until(lambda: line.response.record.problems)
        for number in range(40):
            line.source.put(*attack(number))
        await until(lambda: 0 == line.pipeline.lag())
    assert 40 == len(line.response.ledger.pending(Table.BLOCK))


async def test_the_source_is_told_what_has_been_stored(line: Line) -> None:
    """What it kept until then may go; nothing is acknowledged that a kill would undo."""
    line.store.fails = True
    async with running(line):
        line.source.put(eve.line(eve.flow()))
        await until(lambda: "degraded" == line.part("state"))
        assert [] == line.source.acknowledged
        line.store.fails = False
        line.response.clock.advance(5)
        await until(lambda: line.source.acknowledged)
    assert line.store.saved[-1].position == line.source.acknowledged[-1]


async def test_the_age_of_the_latest_event_grows_while_nothing_comes(line: Line) -> None:
    """It is what tells that a source has fallen silent: it must not vanish with the last batch."""
    async with running(line):
        line.source.put(eve.line(eve.alert(at=NOW - eve.START)))
        await until(lambda: 1 == line.events())
        line.response.clock.advance(100)
        beats = line.beats
        await until(lambda: line.beats > beats + 2)

        assert b"suricata_ai_source_lag_seconds 100.0" in line.metrics.render()


async def test_what_the_source_has_lost_is_told(line: Line) -> None:
    """Each reason is a series, which rises with what the source says."""
    async with running(line):
        line.source.losses.occasions["truncated"] = 2
        line.source.losses.lines["queue_full"] = 7
        beats = line.beats
        await until(lambda: line.beats > beats + 2)
    told = line.metrics.render()
    assert b'suricata_ai_source_losses_total{reason="truncated"} 2.0' in told
    assert b'suricata_ai_lines_dropped_total{reason="queue_full"} 7.0' in told


async def test_the_position_moves_only_behind_durable_decisions(line: Line) -> None:
    """Killed while the ledger writes, the daemon reads the batch again."""
    line.response.disk.writing = asyncio.Event()
    async with running(line):
        await until(lambda: line.store.saved)
        line.source.put(*attack())
        await until(line.response.ledger._writing.locked)
        assert [0] == line.store.offsets()

        line.response.disk.writing.set()
    assert [0, files_of(line.source.position, "/eve.json")[0].offset] == line.store.offsets()
    assert line.response.disk.lines


async def test_while_decisions_cannot_be_saved_the_position_stays(line: Line) -> None:
    """The work goes on, and after a kill the decisions are made again."""
    line.response.disk.full = True
    async with running(line):
        line.source.put(*attack())
        await until(lambda: line.response.responder.unsaved)
        line.response.clock.advance(6)
        line.source.put(eve.line(eve.flow()))
        await until(lambda: 0 == line.pipeline.lag())
        assert [0] == line.store.offsets()

        line.response.disk.full = False
        line.source.put(eve.line(eve.flow()))
        await until(lambda: not line.response.responder.unsaved)
    assert line.source.position == line.store.saved[-1].position


async def test_state_is_stored_by_its_interval_under_load(line: Line) -> None:
    """Not with every batch, and not only when it is quiet."""
    async with running(line):
        for _ in range(12):
            line.source.put(eve.line(eve.flow()))
            await until(lambda: 0 == line.pipeline.lag())
            line.response.clock.advance(1)
        stored = line.store.offsets()
    size = len(eve.line(eve.flow())) + 1

    assert [0, 6 * size, 11 * size] == stored


async def test_a_place_that_moves_without_lines_is_stored_too(line: Line) -> None:
    """A rotated file that is finished, or a silent stream whose end is found."""
    async with running(line):
        await until(lambda: line.store.saved)
        line.source.position = position(77)
        await until(lambda: line.pipeline._changed)
        line.response.clock.advance(5)
        await until(lambda: [0, 77] == line.store.offsets())


async def test_state_is_stored_when_it_is_quiet(line: Line) -> None:
    """The last batch does not wait for the next one; without changes nothing is written."""
    async with running(line):
        line.source.put(eve.line(eve.flow()))
        await until(lambda: 0 == line.pipeline.lag())
        assert [0] == line.store.offsets()
        line.response.clock.advance(5)
        await until(lambda: 2 == len(line.store.saved))

        line.response.clock.advance(5)
        beats = line.beats
        await until(lambda: line.beats > beats + 3)
        assert 2 == len(line.store.saved)


async def test_a_store_that_fails_degrades_and_the_work_goes_on(line: Line) -> None:
    """It is told, and the next interval tries again."""
    line.store.fails = True
    async with running(line):
        line.source.put(*attack())
        await until(lambda: line.verdicts)
        await until(lambda: "degraded" == line.part("state"))
        assert b"suricata_ai_state_backend_up 0.0" in line.metrics.render()
        assert Status.DEGRADED == line.health.status
        assert line.response.disk.lines

        line.store.fails = False
        line.response.clock.advance(5)
        await until(lambda: "ok" == line.part("state"))
        assert b"suricata_ai_state_backend_up 1.0" in line.metrics.render()
    assert line.source.position == line.store.saved[-1].position


async def test_a_stop_reads_what_was_written_before_it(line: Line) -> None:
    """And works through it, stores it, and sends the last wishes."""
    task = asyncio.create_task(line.pipeline.run())
    await until(lambda: line.store.saved)
    for number in range(20):
        line.source.put(*attack(number))
    line.pipeline.stop()
    line.pipeline._measure()
    line.source.put(eve.line(eve.flow()))
    async with asyncio.timeout(20):
        await task

    assert 20 == line.source.handed
    assert 20 * 200 == line.events()
    size = sum(len(text) + 1 for number in range(20) for text in attack(number))
    assert size == line.store.offsets()[-1]
    assert line.response.firewall.counts["add"] >= 20


async def test_a_stop_does_not_wait_for_the_end_of_a_line(line: Line) -> None:
    """Half a line that nobody finishes stays in the file."""
    task = asyncio.create_task(line.pipeline.run())
    await until(lambda: line.store.saved)
    line.source.waiting_bytes = 7
    line.pipeline.stop()
    async with asyncio.timeout(5):
        await task

    assert line.source.stopped


async def test_a_stop_of_the_reading_leaves_the_rest_in_the_file(line: Line) -> None:
    """For a backlog that would take too long."""
    line.response.disk.writing = asyncio.Event()
    line.source.put(*attack())
    for _ in range(50):
        line.source.put(eve.line(eve.flow()))
    task = asyncio.create_task(line.pipeline.run())
    await until(line.response.ledger._writing.locked)
    line.pipeline.stop()
    line.pipeline.stop_reading()
    line.response.disk.writing.set()
    async with asyncio.timeout(10):
        await task

    assert line.source.handed <= MOST_WAITING + 2
    assert line.source.handed - 1 + 200 == line.events()
    assert line.store.offsets()[-1] < line.source.end


@pytest.mark.parametrize("stage", ["read", "analyse", "respond", "enforce", "listen"])
async def test_a_stage_that_raises_ends_the_run_with_its_error(
    line: Line, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """A programming error is not survived in silence, whichever task it is in."""

    def broken(*_args: object, **_names: object) -> None:
        raise ZeroDivisionError

    target, name = {
        "read": (line.source, "batches"),
        "analyse": (line.analysis, "observe"),
        "respond": (line.response.responder, "respond"),
        "enforce": (line.response.enforcer, "work"),
        "listen": (line.pipeline, "_listener"),
    }[stage]
    monkeypatch.setattr(target, name, broken)
    line.source.put(eve.line(eve.flow()))

    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(10):
            await line.pipeline.run()
    assert raised.group_contains(ZeroDivisionError)


async def test_the_heart_beats_while_work_goes_on_and_while_it_is_quiet(line: Line) -> None:
    """Fed by the pipeline's own turns."""
    async with running(line):
        await until(lambda: line.beats >= 3)
        line.source.put(eve.line(eve.flow()))
        beats = line.beats
        await until(lambda: line.beats > beats + 2)


async def test_the_heart_stops_when_a_stage_hangs(line: Line) -> None:
    """So that systemd starts the daemon again; one beat before the batch is the last."""
    async with running(line):
        await until(lambda: line.beats)
        line.response.disk.writing = asyncio.Event()
        line.source.put(*attack())
        await until(line.response.ledger._writing.locked)
        beats = line.beats
        async with asyncio.timeout(5):
            await asyncio.wait_for(asyncio.shield(asyncio.sleep(0.1)), 1)  # ten beats' time
        assert beats == line.beats
        line.response.disk.writing.set()
        await until(lambda: line.beats > beats)


async def test_a_firewall_that_hangs_does_not_stop_the_heart(line: Line) -> None:
    """Deciding goes on."""
    answer = line.response.firewall.hanging["add"] = asyncio.Event()
    async with running(line):
        line.source.put(*attack())
        await until(lambda: "add" in line.response.firewall.calls)
        beats = line.beats
        await until(lambda: line.beats > beats + 2)
        answer.set()


async def test_what_the_source_lacks_is_told(line: Line) -> None:
    """In words, until it is there."""
    line.source.waiting_for = "/eve.json does not exist yet"
    async with running(line):
        await until(lambda: "degraded" == line.part("source"))
        line.source.waiting_for = None
        await until(lambda: "ok" == line.part("source"))


async def test_lines_that_are_no_events_are_sampled(line: Line, tmp_path: Path) -> None:
    """Those that the source refused, and those that the analysis did, each with its reason."""
    path = tmp_path / "rejected.jsonl"
    line.pipeline.dead_letter = DeadLetter(path, 100_000, line.response.clock)
    async with running(line):
        line.source.put(b"{broken", eve.line(eve.flow()))
        samples = [("too_long", b"x" * 100)]
        line.source.feed.put_nowait(Batch([], line.source.position, {"too_long": 1}, samples))
        await until(lambda: 1 == line.events())
        await until(lambda: path.exists() and 2 == len(lines_of(path)))

    found = {letter["reason"]: letter["line"] for letter in lines_of(path)}
    assert {"not_json": "{broken", "too_long": "x" * 100} == found
    assert b'suricata_ai_lines_rejected_total{reason="too_long"} 1.0' in line.metrics.render()


async def test_lines_that_are_no_events_are_counted_and_passed_over(line: Line) -> None:
    """They move the position like others."""
    async with running(line):
        line.source.put(b"{broken", b"[]", eve.line(eve.flow()))
        await until(lambda: 1 == line.events())

    shown = line.metrics.render()
    assert b'suricata_ai_lines_rejected_total{reason="not_json"} 1.0' in shown
    assert b'suricata_ai_lines_rejected_total{reason="wrong_shape"} 1.0' in shown
    assert line.source.position == line.store.saved[-1].position
