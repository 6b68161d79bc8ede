"""Feeds the analysis with damaged lines, and counts: none may raise, each must be accounted for.

`make fuzz`, or `PYTHONPATH=.:tests python benchmarks/fuzz.py [--lines N] [--seed N]`. Exit code 0
where nothing raised, every line is an event or a rejection, and every feature vector is sound; else
1, with the lines that raised. README.md in this folder says how it is done.
"""

from __future__ import annotations

import argparse
import gzip
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.fuzz_mutation import Mutator
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from ai_suricata.analysis import Analysis
from ai_suricata.classify import artifact
from ai_suricata.classify.ensemble import Classifier
from ai_suricata.config.settings import ClassifySettings, FeatureSettings
from ai_suricata.core.clock import SystemClock
from ai_suricata.core.timestamp import parse_timestamp
from ai_suricata.features.extract import Extractor
from ai_suricata.features.table import Table as BehaviourTable
from ai_suricata.sink.dead_letter import DeadLetter
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ai_suricata.core.event import Event
    from ai_suricata.features.extract import Parties, Points

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "lab.json.gz"
SAMPLED = 2000
"""Lines of the sample that are damaged, at even distances."""
BATCHES = (1, 30, 1000, 1000, 1000, 4000)
OF_TWO_FILES = 5
"""One batch in so many is said to come half from one file, half from another."""
SOURCES = 1000
"""Rows of the table: few enough that rows go all the time."""
LATEST = parse_timestamp("2100-01-01T00:00:00Z")
DEAD_LETTERS = 100_000
SHOWN = 5
SHOWN_BYTES = 2000


class SoundExtractor(Extractor):
    """Counts the feature vectors that no behaviour can have."""

    unsound = 0

    def observe(
        self, events: Sequence[Event], parties: Sequence[Parties | None] | None = None
    ) -> Points:
        """Return the points, after a look at each number: finite, and not below zero."""
        points = super().observe(events, parties)
        wrong = ~np.isfinite(points.matrix) | (points.matrix < 0)
        self.unsound += int(wrong.any(axis=1).sum())
        return points


@dataclass(frozen=True, slots=True)
class Raised:
    """Something that was raised."""

    traceback: str
    line: bytes
    """Which did it; or the first one of a batch of which no line does it alone."""
    alone: bool


@dataclass(slots=True)
class Outcome:
    """What came of all lines."""

    lines: int = 0
    events: int = 0
    repeated: int = 0
    """Events that another file had told of: undamaged lines, of which many are the same."""
    rejected: Counter[str] = field(default_factory=Counter)
    raised: list[Raised] = field(default_factory=list)
    unsound: int = 0
    """Feature vectors with a number that is none, or below zero; each time that they are made."""
    wrong_scores: int = 0
    seconds: float = 0.0

    @property
    def unaccounted(self) -> int:
        """Lines that are neither an event nor rejected, nor did they raise."""
        alone = sum(raised.alone for raised in self.raised)
        return self.lines - self.events - self.repeated - self.rejected.total() - alone

    @property
    def is_good(self) -> bool:
        """Whether all is as it should be."""
        wrong = (self.unaccounted, self.unsound, self.wrong_scores, len(self.raised))
        return self.lines > 0 and not any(wrong)


class Harness:
    """Puts batches through a whole analysis, and finds out which line has raised."""

    def __init__(self, folder: Path) -> None:
        """`folder`: for the dead letters."""
        self.outcome = Outcome()
        self._letters = DeadLetter(folder / "rejected.jsonl", DEAD_LETTERS, SystemClock())
        self._extractor, self._analysis = fresh()
        self._batches = 0

    def feed(self, batch: list[bytes]) -> None:
        """Analyse a batch, and count what came of it."""
        self.outcome.lines += len(batch)
        try:
            self._analyse(batch)
        except Exception:  # noqa: BLE001 - whatever a line can raise is what is looked for
            self._isolate(batch, traceback.format_exc())

    def _analyse(self, batch: list[bytes]) -> None:
        self._batches += 1
        half = len(batch) // 2 if self._batches % OF_TWO_FILES == 0 else 0
        origins = [("/eve.igb0.json", half), ("/eve.igb1.json", len(batch) - half)]
        decoded = self._analysis.decode(batch, LATEST, origins if half else ())
        outcome = self.outcome
        try:
            result = self._analysis.observe(decoded)
        finally:  # the model raises where a number is none
            outcome.unsound += self._extractor.unsound
            self._extractor.unsound = 0
        self._analysis.alerts(decoded, result)
        self._letters.take(result.samples, "fuzz")
        outcome.events += result.events.total()
        outcome.repeated += decoded.repeated
        outcome.rejected.update(result.rejected)
        outcome.wrong_scores += sum(not 0 <= verdict.score <= 1 for verdict in result.verdicts)

    def _isolate(self, batch: list[bytes], told: str) -> None:
        """Analyse each line by itself, to find the one that raised what was `told`."""
        raised = self.outcome.raised
        before = len(raised)
        for line in batch:
            self._extractor, self._analysis = fresh()
            try:
                self._analyse([line])
            except Exception:  # noqa: BLE001 - as in `feed`
                raised.append(Raised(traceback.format_exc(), line, alone=True))
        if len(raised) == before:
            raised.append(Raised(told, batch[0], alone=False))


def fresh() -> tuple[SoundExtractor, Analysis]:
    """Return an analysis with the shipped model that has seen nothing, and its extractor."""
    extractor = SoundExtractor(FeatureSettings())
    extractor.table = BehaviourTable(SOURCES)
    return extractor, Analysis(extractor, Classifier(ClassifySettings(), artifact.default()))


def sound_lines() -> list[bytes]:
    """Return what is damaged: the sample, the records of the tests, what was recorded as odd."""
    sample = gzip.decompress(SAMPLE.read_bytes()).splitlines()
    told = eve.alert(eve.SERVER, eve.PEER, category=eve.TROJAN, direction="to_server")
    told["alert"] |= {"source": {"ip": eve.PEER}, "target": {"ip": eve.SERVER}}
    records = [
        *(eve.flow(), eve.silent(proto="UDP"), eve.refused(), eve.login(), eve.http(status=404)),
        *(eve.alert(opener=eve.STRANGER, app_proto="http"), told),
        *(eve.dns(), eve.dns(kind="answer", rcode="NXDOMAIN"), eve.ftp(), eve.other("anomaly")),
    ]
    odd = [
        line.strip()
        for path in sorted(eve.DATA.glob("odd/oddities.json.gz"))
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]
    spread = sample[:: max(1, len(sample) // SAMPLED)]
    return [*spread, *(eve.line(record) for record in records * 20), *odd * 5]


def batches(mutator: Mutator, rng: random.Random, lines: int) -> Iterator[list[bytes]]:
    """Yield damaged lines in batches of any size, `lines` of them in all."""
    while lines > 0:
        size = min(lines, rng.choice(BATCHES))
        yield [mutator.line() for _ in range(size)]
        lines -= size


def fuzz(lines: int, seed: int) -> Outcome:
    """Feed so many lines; the bar goes to stderr."""
    rng = random.Random(seed)
    mutator = Mutator(sound_lines(), rng)
    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn())
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="ai-suricata-fuzz-") as folder,
        Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("lines", total=lines)
        harness = Harness(Path(folder))
        for batch in batches(mutator, rng, lines):
            harness.feed(batch)
            progress.advance(task, len(batch))
    harness.outcome.seconds = time.perf_counter() - started
    return harness.outcome


def report(outcome: Outcome, seed: int) -> int:
    """Print the table, and the first lines that raised; return the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(title="Damaged lines through the whole analysis")
    table.add_column("")
    table.add_column("", justify="right")
    rows = {
        "lines": outcome.lines,
        "events": outcome.events,
        "events, told of twice": outcome.repeated,
        **{f"rejected: {reason}": number for reason, number in sorted(outcome.rejected.items())},
        "raised": len(outcome.raised),
        "unaccounted": outcome.unaccounted,
        "unsound vectors": outcome.unsound,
        "scores outside of 0 to 1": outcome.wrong_scores,
        "lines/s": round(outcome.lines / outcome.seconds),
    }
    for name, number in rows.items():
        table.add_row(name, f"{number:,}")
    table.add_row("seed", str(seed))
    console.print(table)
    for raised in outcome.raised[:SHOWN]:
        what = "the line" if raised.alone else "a batch that begins with"
        console.print(raised.traceback, what, repr(raised.line[:SHOWN_BYTES]), markup=False)
    return 0 if outcome.is_good else 1


def main() -> int:
    """Fuzz, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lines", type=int, default=1_000_000, help="damaged lines to feed")
    parser.add_argument("--seed", type=int, default=1, help="of the damage: the same lines again")
    arguments = parser.parse_args()
    return report(fuzz(arguments.lines, arguments.seed), arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
