"""Writes, rotates and destroys a log file at random while a reader follows it and is killed.

`make rotation-test`, or `PYTHONPATH=.:tests python benchmarks/rotation.py [--steps N] [--seed N]`.
Exit code 0 where no line is lost, doubled or out of order, each loss that could not be avoided was
reported, and every kind of step took place; else 1 with the first few differences. README.md in
this folder says how it is done.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import rotation_reader
from benchmarks.killing import MissedError, reach
from benchmarks.rotation_journal import Journal
from benchmarks.rotation_outcome import Outcome, verify
from benchmarks.rotation_reader import READY
from benchmarks.rotation_writer import KINDS, Writer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 60.0
"""Seconds within which the reader must have started, ended, or read all that there is."""
BETWEEN_ENDS = (5, 150)
"""Steps from one end of the reader to the next."""
KILLED = 0.75
"""Part of the ends that are a SIGKILL; the others are a SIGTERM."""
MOST_AWAY = 40
"""Steps for which the reader is away, at most; half of the times it is back at once."""
PAUSE = 0.006
"""Seconds between two steps, at most; in half of them there is no pause."""


class Reader:
    """The reader as a process."""

    def __init__(self, eve: Path, state: Path, log: Path) -> None:
        """`eve`: what it follows; `state`: where it stores; `log`: what it says goes here."""
        self.log = log
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._command = [sys.executable, rotation_reader.__file__, str(eve), str(state)]
        self._process: subprocess.Popen[bytes] | None = None
        self._said = 0

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not ended since. MissedError where it fell over."""
        if self._process is None:
            return False
        if self._process.poll() is not None:
            end = self.log.read_text(errors="replace")[-1500:]
            raise MissedError(f"the reader ended by itself ({self._process.returncode}): {end}")
        return True

    def start(self) -> None:
        """Start it; it does not read yet."""
        self._said = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        """Wait until it reads."""
        reach(lambda: self.is_running and self._has_said(READY), "the reader reads", PATIENCE)

    def end(self, number: int) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(PATIENCE)

    def _has_said(self, text: bytes) -> bool:
        with self.log.open("rb") as log:
            log.seek(self._said)
            return text in log.read()


class Ordeal:
    """The steps, and between them the ends of the reader."""

    def __init__(self, folder: Path, steps: int, seed: int) -> None:
        """`folder`: empty, for all files; `seed`: of all choices."""
        logs, state = folder / "log", folder / "state"
        logs.mkdir()
        state.mkdir()
        self.outcome = Outcome()
        self.journal = Journal(state)
        self.reader = Reader(logs / "eve.json", state, folder / "reader.log")
        self.writer = Writer(logs / "eve.json", self.journal, lambda: self.reader.is_running)
        self._seed = seed
        self._plan = plan(steps, random.Random(seed))
        self._end_at = self._back_at = 0
        self._rotations = 0

    def run(self) -> Iterator[int]:
        """Do the steps; yield the number of each."""
        self._start(random.Random(self._seed))
        for number, kind in enumerate(self._kinds()):
            chance = random.Random(f"{self._seed} {number}")  # whatever the earlier steps met
            if self.reader.is_running and number >= self._end_at:
                self._end(chance, number)
            if not self.reader.is_running and number >= self._back_at:
                self._start(chance)
                self._end_at = number + chance.randint(*BETWEEN_ENDS)
            self.writer.step(kind, chance)
            time.sleep(max(0.0, chance.uniform(-PAUSE, PAUSE)))
            yield number

    def _kinds(self) -> Iterator[str]:
        """Yield the planned steps, and some more where a kind could not be done yet."""
        yield from self._plan
        for _ in self._plan:
            if not self.writer.owed:
                return
            yield self.writer.owed.pop(0)

    def settle(self) -> None:
        """Let the reader read all that there is, and show that a restart finds nothing more."""
        if not self.reader.is_running:
            self._start(random.Random(self._seed))
        self.writer.log.finish()
        try:
            reach(self.writer.is_caught_up, "all is read", PATIENCE)
        except MissedError as error:
            self.outcome.differ(str(error))  # which lines lack, the comparison says
        self._stop()
        self.reader.start()
        self.reader.wait()
        self._stop()
        self.journal.read()

    def _start(self, chance: random.Random) -> None:
        missed = self.writer.log.rotations - self._rotations
        self.outcome.most_missed = max(self.outcome.most_missed, missed)
        self.outcome.starts += 1
        self.reader.start()
        if chance.random() < KILLED or self.outcome.starts == 1:
            self.reader.wait()

    def _end(self, chance: random.Random, number: int) -> None:
        """End the reader at a random moment; sometimes it comes back only after a while."""
        time.sleep(chance.uniform(0, PAUSE))
        if chance.random() < KILLED:
            self.reader.end(signal.SIGKILL)
            self.outcome.kills += 1
        else:
            self._stop()
        self._rotations = self.writer.log.rotations
        self._back_at = number + max(0, chance.randint(-MOST_AWAY, MOST_AWAY))

    def _stop(self) -> None:
        """End the reader as systemd does; it must end well, once it reads."""
        self.reader.wait()
        code = self.reader.end(signal.SIGTERM)
        self.outcome.stops += 1
        if code:
            self.outcome.differ(f"exit code after SIGTERM: expected 0, found {code}")


def main() -> int:
    """Run, print the tables and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=10_000, help="of the writer, at least 100")
    parser.add_argument("--seed", type=int, default=1, help="of the writer's choices")
    arguments = parser.parse_args()
    if arguments.steps < 100:  # noqa: PLR2004 - as the help says
        parser.error("--steps: too few for every kind of step")
    folder = Path(tempfile.mkdtemp(prefix="ai-suricata-rotation-"))
    ordeal = Ordeal(folder, arguments.steps, arguments.seed)
    outcome = ordeal.outcome
    started = time.monotonic()
    try:
        watch(ordeal, arguments.steps)
        ordeal.settle()
    except MissedError as error:
        outcome.differ(f"broken off: {error}")
    finally:
        ordeal.reader.end(signal.SIGKILL)
    outcome.seconds = time.monotonic() - started
    ordeal.journal.read()
    verify(ordeal.writer, ordeal.journal, outcome)
    for kind in KINDS.keys() - ordeal.writer.steps.keys():
        outcome.differ(f"no step was: {kind}")
    report(ordeal, arguments.seed)
    if outcome.is_proved:
        shutil.rmtree(folder)
    else:
        print(f"what it left is in {folder}")
    return 0 if outcome.is_proved else 1


def plan(steps: int, chance: random.Random) -> list[str]:
    """Return the kind of each step: first each kind a few times, then as often as they weigh."""
    first = [kind for kind in KINDS for _ in range(3)]
    chance.shuffle(first)
    weights = [weight for weight, _ in KINDS.values()]
    return first + chance.choices([*KINDS], weights, k=max(0, steps - len(first)))


def watch(ordeal: Ordeal, steps: int) -> None:
    """Do the steps, and show on a terminal how far it is."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("rotation", total=steps, said="")
        for number in ordeal.run():
            outcome, writer = ordeal.outcome, ordeal.writer
            said = f"{number + 1:,} steps, {writer.log.rotations} rotations, {outcome.kills} kills"
            progress.update(task, completed=number + 1, said=said)


def report(ordeal: Ordeal, seed: int) -> None:
    """Print what was done and what came of it; plain text in a pipe."""
    console = Console(width=None if sys.stdout.isatty() else 100)
    writer, journal, outcome = ordeal.writer, ordeal.journal, ordeal.outcome
    steps = Table("step", title=f"{writer.steps.total():,} steps, seed {seed}")
    steps.add_column("times", justify="right")
    for kind in KINDS:
        steps.add_row(kind, f"{writer.steps[kind]:,}")
    found = Table("", title="What the reader made of them")
    found.add_column("", justify="right")
    for name, value in (
        ("rotations", writer.log.rotations),
        ("rotations seen", journal.rotations),
        ("SIGKILLs of the reader", outcome.kills),
        ("SIGTERMs", outcome.stops),
        ("starts", outcome.starts),
        ("most rotations while it was away", outcome.most_missed),
        ("lines written", writer.log.written),
        ("lines read", outcome.read),
        ("destroyed unread and reported", outcome.unread),
        ("losses reported", len(journal.losses)),
        ("losses that may be reported", writer.reportable),
        ("lost", outcome.lost),
        ("doubled", outcome.doubled),
        ("out of order", outcome.disordered),
        ("lines a second", int(outcome.read / max(outcome.seconds, 1e-9))),
    ):
        found.add_row(name, f"{value:,}")
    console.print(steps, found)
    for difference in outcome.differences:
        console.print(difference, markup=False)


if __name__ == "__main__":
    sys.exit(main())
