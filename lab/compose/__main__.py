"""`python -m lab.compose --takes RUN [RUN...] --seed N --purpose train`: a labelled day."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lab.compose import capture, cut
from lab.compose.clock import DAY
from lab.compose.day import SECONDS, Day, plan
from lab.compose.listing import DataSet, list_set
from lab.compose.suricata import read_capture
from lab.compose.take import record
from lab.label import Label
from lab.process import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.compose.take import Recording

HELD_OUT = ("medusa", "wapiti")
"""Tools that are never trained on."""
_PURPOSES = ("train", "test")
_EXAMPLE = """\
example:
  python -m lab --out RUN --seed 20 --minutes 5 --rules et-open.rules.gz    # as root
  python -m lab.compose --takes RUN --seed 20 --purpose train --out samples/lab \\
      --rules et-open.rules.gz --sources 3000

Even seeds are for training, odd ones for testing: of the live runs, and of the days.
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    takes: Sequence[Path]
    seed: int
    purpose: str
    out: Path
    rules: Path | None
    sources: int
    keep: Path | None

    @property
    def name(self) -> str:
        """The name of the data set."""
        return f"{self.purpose}-{self.seed}"


def main() -> int:
    """Compose a day as the command line says; return the exit status."""
    order = _parse()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as ^C: Suricata goes, and the folder
    try:
        check(order)
        _compose(order)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: stopped, and cleaned up", file=sys.stderr)
        return 130
    return 0


def _parse() -> Order:
    parser = argparse.ArgumentParser(
        prog="python -m lab.compose",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--takes", type=Path, nargs="+", required=True, metavar="RUN")
    parser.add_argument("--seed", type=int, required=True, help="of the day")
    parser.add_argument("--purpose", choices=_PURPOSES, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="made if missing")
    parser.add_argument("--rules", type=Path, metavar="FILE", help="plain or .gz (none)")
    parser.add_argument("--sources", type=int, default=6000, help="benign strangers (6000)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the capture there")
    given = parser.parse_args()
    return Order(
        takes=given.takes,
        seed=given.seed,
        purpose=given.purpose,
        out=given.out,
        rules=given.rules,
        sources=given.sources,
        keep=given.keep,
    )


def check(order: Order) -> None:
    """Raise LabError where the order can't be met, before anything is read."""
    parity = _PURPOSES.index(order.purpose)
    if order.seed % 2 != parity:
        raise LabError(f"seed {order.seed} is not for {order.purpose}: even ones are for training")
    if order.sources < 100:
        raise LabError("--sources must be at least 100")
    if order.rules and not order.rules.is_file():
        raise LabError(f"no rules file {order.rules}")


def check_takes(order: Order, recordings: Sequence[Recording]) -> None:
    """Raise LabError where what was recorded is not for this purpose."""
    for recording in recordings:
        if recording.seed % 2 != order.seed % 2:
            raise LabError(f"the run of seed {recording.seed} is not for {order.purpose}")
    if order.purpose == "train":
        tools = {take.actor.tool for recording in recordings for take in recording.takes}
        if held := sorted(tools & set(HELD_OUT)):
            raise LabError(f"{', '.join(held)} must not be trained on")


def _compose(order: Order) -> None:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:24}"), BarColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory(prefix="aisl-") as folder:
        work = Path(folder)
        path = order.keep or work / "day.pcap"
        with Progress(*columns, console=console) as bar:
            recordings = [record(run) for run in bar.track(order.takes, description="live runs")]
            check_takes(order, recordings)
            day = _written(order, recordings, path, bar)
            task = bar.add_task("Suricata", total=None)
            eve = read_capture(path, work, day.home_net, order.rules)
            bar.update(task, total=1, completed=1)
            with eve.open("rb") as file:
                events = cut.cut(bar.track(file, description="events", total=None))
            size = cut.write(events, day.actors, order.out, order.name)
        held = " ".join(HELD_OUT) if order.purpose == "test" else ""
        nets = ",".join(day.home_net)
        list_set(order.out, DataSet(order.name, order.purpose, order.seed, nets, SECONDS, held))
        _tell(day, events, size, recordings)


def _written(order: Order, recordings: Sequence[Recording], path: Path, bar: Progress) -> Day:
    """Plan the day and write its capture."""
    day = plan(order.seed, order.sources, recordings)
    task = bar.add_task("packets", total=DAY)
    capture.write(day, path, lambda moment: bar.update(task, completed=moment))
    bar.update(task, completed=DAY)
    return day


def _tell(day: Day, events: list[cut.Event], size: int, recordings: Sequence[Recording]) -> None:
    """Print what the set has."""
    present = cut.addresses(events)
    labels = Counter(a.label for a in day.actors.values() if a.address in present)
    kinds = Counter(event["event_type"] for event in events)
    skipped = sum((recording.skipped for recording in recordings), Counter[str]())
    print(f"{len(events)} events, {size} bytes; {len(day.placements)} conversations")
    print("addresses:", ", ".join(f"{labels[label]} {label}" for label in Label))
    print("events:", ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    print("packets left out:", ", ".join(f"{n} {why}" for why, n in skipped.items() if n) or "none")


if __name__ == "__main__":
    sys.exit(main())
