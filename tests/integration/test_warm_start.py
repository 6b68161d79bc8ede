"""A restart forgets nobody, and no single source decides what is learnt to be usual."""

from __future__ import annotations

import asyncio
import gzip
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ai_suricata.core.schema import FEATURE_NAMES
from ai_suricata.core.verdict import Level
from ai_suricata.features.table import LAYOUT
from ai_suricata.state.memory import MemoryState
from fakes import eve
from fakes.process import guesses, running, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_suricata.analysis import Analysis
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.state.base import Snapshot
    from fakes.eve import Record
    from fakes.process import DaemonProcess

    Known = dict[str, tuple[float, int, list[int]]]
    Decided = dict[tuple[str, str], str]

SAMPLE = Path(__file__).parents[2] / "samples" / "lab.json.gz"
BATCH = 400
GUESSER, SCANNER = "203.0.113.1", "203.0.113.2"
LOUD = "203.0.113.66"
CLIENTS = 120
SETTINGS = {"FLUSH_INTERVAL": "0.1", "AUTO_BLOCK": "true", "DRY_RUN": "true"}
PERIOD = 1200
"""Events of the learning period: what the clients do without anybody else."""


# -- restarts -------------------------------------------------------------------------------------


def restarted(analysis: Analysis, folder: Path) -> Analysis:
    """Return an analysis that knows what the other one had stored on disk, and nothing else."""

    async def on_disk() -> Snapshot | None:
        store = MemoryState(folder, "dry_run", LAYOUT).behaviour
        await store.load()  # as at every start: it finds where the log goes on
        await store.save(analysis.extractor.changes({}, since=0))
        await store.close()
        return await MemoryState(folder, "dry_run", LAYOUT).behaviour.load()

    snapshot = asyncio.run(on_disk())
    assert snapshot is not None
    fresh = eve.analysis(model=analysis.classifier.model)
    fresh.extractor.restore(snapshot)
    return fresh


def verdicts_of(
    lines: Sequence[bytes], folder: Path | None, restarts: Iterable[int]
) -> list[Verdict]:
    """Return all verdicts; restarted before those lines, out of `folder` or out of nothing."""
    analysis = eve.analysis()
    found: list[Verdict] = []
    borders = sorted({*range(0, len(lines), BATCH), *restarts})
    for start, end in zip(borders, [*borders[1:], len(lines)], strict=True):
        if start in restarts:
            analysis = eve.analysis() if folder is None else restarted(analysis, folder)
        found += analysis.lines(lines[start:end]).verdicts
    return found


def test_restarts_show_in_no_verdict(tmp_path: Path) -> None:
    """Every field of every verdict of the sample is that of a run without a restart."""
    lines = gzip.decompress(SAMPLE.read_bytes()).splitlines()
    restarts = frozenset(int(len(lines) * share) for share in (0.1, 0.35, 0.5, 0.8))
    expected = verdicts_of(lines, tmp_path, ())

    assert expected == verdicts_of(lines, tmp_path, restarts)
    assert expected != verdicts_of(lines, None, restarts), "the sample does not show a loss"


def known(daemon: DaemonProcess) -> Known:
    """Return what a stopped daemon has stored of each address: score, patterns, counters."""
    snapshot = asyncio.run(MemoryState(daemon.state, "dry_run", LAYOUT).behaviour.load())
    assert snapshot is not None
    columns = snapshot.rows.columns
    return {
        address: (
            float(columns["score"][row]),
            int(columns["patterns"][row]),
            columns["counters"][row].tolist(),
        )
        for row, address in enumerate(snapshot.rows.addresses)
    }


def scan(scanner: str) -> list[bytes]:
    """Return what a port scan leaves in a second, of just now."""
    now = time.time() - eve.START
    return [
        eve.line(eve.refused(scanner, at=now - 3 + port / 300, port=port)) for port in range(200)
    ]


def stored(
    folder: Path, parts: Sequence[Sequence[bytes]], *, killed: bool
) -> tuple[Known, Decided]:
    """Return what a daemon knows and has decided that was given the parts one after the other.

    `killed`: after each part but the last, and started again; else it is one daemon throughout.
    The parts are the same for both: what a batch holds decides whether a source is limited on its
    way to a block.
    """
    folder.mkdir()
    (folder / "eve.json").touch()
    total = 0
    for lives in [[part] for part in parts] if killed else [parts]:
        with running(folder, variables=SETTINGS) as daemon:
            for part in lives:
                total += len(part)
                daemon.write(part)
                wait_for(partial(has_stored, daemon, total), "a flush")
            if total == sum(map(len, parts)):
                assert 0 == daemon.terminate()
    return known(daemon), daemon.ledger()


def has_stored(daemon: DaemonProcess, events: int) -> bool:
    """Whether the daemon has so many events on disk."""
    return any(daemon.state.glob("behaviour.*.log")) and events == sum(
        seen for seen, _ in daemon.counted().values()
    )


def test_a_daemon_that_was_killed_judges_as_one_that_was_not(tmp_path: Path) -> None:
    """Half of an attack before the kill, half after it: same counters, scores and blocks."""
    lines = [line for pair in zip(guesses(GUESSER), scan(SCANNER), strict=True) for line in pair]
    parts = [lines[:21], lines[21:200], lines[200:]]
    expected = stored(tmp_path / "whole", parts, killed=False)

    assert expected == stored(tmp_path / "killed", parts, killed=True)
    assert {GUESSER, SCANNER} == set(expected[0])
    assert (GUESSER, "block") in expected[1]


# -- what is learnt -------------------------------------------------------------------------------


def visits() -> list[Record]:
    """Return a quiet hour: each client opens pages, looks up names, and misses a page at times."""
    found = []
    for number in range(PERIOD):
        client, at = f"198.51.100.{number % CLIENTS}", number * 3.0
        if number % 5 == 0:
            status = 404 if number % 35 == 0 else 200
            found.append(eve.http(client, at=at, url=f"/{number % 7}", status=status))
        else:
            sent, received = (6 + number % 9, 700 + number % 301), (7, 3000 + 11 * number % 5003)
            found.append(eve.flow(client, at=at, sent=sent, received=received))
    return found


def noise(kind: str, count: int, at: float, step: float) -> list[Record]:
    """Return what one loud source does: so many events, `step` seconds apart."""
    if kind == "scan":
        return [eve.refused(LOUD, at=at + n * step, port=1 + n % 60_000) for n in range(count)]
    if kind == "guesses":
        return [eve.login(LOUD, at=at + n * step) for n in range(count)]
    return [eve.http(LOUD, at=at + n * step, url=f"/{n}", status=404) for n in range(count)]


def in_order(*parts: Sequence[Record]) -> list[bytes]:
    """Return the records of all parts as lines, by the time at which they happened."""
    joined = [record for part in parts for record in part]
    return [eve.line(one) for one in sorted(joined, key=_moment)]


def _moment(record: Record) -> str:
    flow = record.get("flow")
    return str(flow["start"]) if flow else str(record["timestamp"])


def learnt(lines: Sequence[bytes], period: int) -> Analysis:
    """Return an analysis whose learning period of so many events began with these lines."""
    analysis = eve.analysis(eve.settings(TRAINING_EVENTS=str(period)), learn=True)
    for start in range(0, len(lines), BATCH):
        analysis.lines(lines[start : start + BATCH])
    return analysis


def widened(quiet: Analysis, loud: Analysis) -> list[str]:
    """Return the features of which a quarter more counts as usual after the loud source."""
    assert quiet.classifier.model is not None
    assert loud.classifier.model is not None
    before, after = quiet.classifier.model.usual.high, loud.classifier.model.usual.high
    wider = after > 1.25 * before + 1e-9
    return [name for name, more in zip(FEATURE_NAMES, wider.tolist(), strict=True) if more]


def attack(kind: str, at: float = 7200.0) -> list[bytes]:
    """Return what the same kind of source does an hour after the learning period."""
    return [eve.line(record | {"src_ip": "203.0.113.99"}) for record in noise(kind, 120, at, 1.0)]


KINDS = ("scan", "guesses", "requests")


@pytest.mark.parametrize("kind", KINDS)
def test_a_loud_source_does_not_make_its_own_doing_usual(kind: str) -> None:
    """An attacker who comes later is as odd, and judged as badly, as if nobody had been loud."""
    quiet = learnt(in_order(visits()), PERIOD)
    loud = learnt(in_order(visits(), noise(kind, 6 * PERIOD, 0.0, 0.5)), PERIOD)
    clean, poisoned = quiet.lines(attack(kind)), loud.lines(attack(kind))

    assert (None, None) == (quiet.learning, loud.learning)
    worst = [max(found.verdicts, key=lambda verdict: verdict.score) for found in (clean, poisoned)]
    assert worst[0].level == worst[1].level
    assert Level.HIGH <= worst[1].level
    assert np.mean(poisoned.anomalies) >= 0.8 * np.mean(clean.anomalies)
    assert [] == widened(quiet, loud)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loud_source_does_not_end_the_learning_period_alone(kind: str) -> None:
    """Else everybody who comes after it would be odd: nobody else was learnt from."""
    first = noise(kind, 2 * PERIOD, -300.0, 0.1)
    found = learnt(in_order(first, visits(), [eve.flow("198.51.100.1", at=4000.0)]), PERIOD)
    later = [
        eve.line(eve.flow(f"192.0.2.{n}", at=7200.0 + n, sent=(8, 800), received=(7, 4000)))
        for n in range(1, 40)
    ]
    result = found.lines(later)

    assert found.learning is None
    assert float(np.median(result.anomalies)) <= 0.25
