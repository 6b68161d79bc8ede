"""All of the data sets: live runs, then a day out of each, unattended.

`python -m lab.compose.series --runs DIR --out samples/lab --rules FILE`: as root. A run that is
there already is used again; each step is a process of its own, so that its memory goes with it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lab.process import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Part(NamedTuple):
    """One data set of the series."""

    seed: int
    purpose: str
    sources: int
    runs: tuple[int, ...]
    """Seeds of the live runs whose takes it uses."""


SERIES = (
    Part(20, "train", 2800, (20,)),
    Part(22, "train", 2800, (22,)),
    Part(24, "train", 3000, (20, 22)),
    Part(26, "train", 3000, (20, 22)),
    Part(29, "test", 5050, (29,)),
    Part(31, "test", 5050, (31,)),
)
"""Seeds for training and for testing are apart, even and odd, and so are their runs."""
_LIMIT = 3_600.0  # seconds of one step: minutes of live traffic, or a day to be read


def commands(
    runs: Path, out: Path, rules: Path | None, minutes: float
) -> Iterator[tuple[str, list[str]]]:
    """Yield what is done, in words, and the command that does it; runs that are there are kept."""
    loaded = [] if rules is None else ["--rules", str(rules)]
    for seed in dict.fromkeys(seed for part in SERIES for seed in part.runs):
        if not (runs / str(seed) / "run.json").exists():
            live = ["lab", "--out", str(runs / str(seed)), "--seed", str(seed)]
            words = [*live, "--minutes", f"{minutes:g}", *loaded]
            yield f"live run {seed}", [sys.executable, "-m", *words]
    for part in SERIES:
        takes = [str(runs / str(seed)) for seed in part.runs]
        day = ["lab.compose", "--takes", *takes, "--seed", str(part.seed)]
        rest = ["--purpose", part.purpose, "--out", str(out), "--sources", str(part.sources)]
        yield f"{part.purpose}-{part.seed}", [sys.executable, "-m", *day, *rest, *loaded]


def main() -> int:
    """Make the series as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.compose.series", description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR", help="of the live runs")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="of the sets")
    parser.add_argument("--rules", type=Path, metavar="FILE", help="plain or .gz (none)")
    parser.add_argument("--minutes", type=float, default=5.0, help="of each live run (5)")
    given = parser.parse_args()
    began = time.monotonic()
    try:
        for what, words in commands(given.runs, given.out, given.rules, given.minutes):
            print(f"[{time.monotonic() - began:6.1f} s] {what}", flush=True)
            _run(what, words)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


def _run(what: str, words: list[str]) -> None:
    """Run one step to its end, its output beside ours; raises LabError where it fails."""
    try:
        status = subprocess.run(words, timeout=_LIMIT, check=False).returncode
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{what} did not end in {_LIMIT:g} s") from error
    if status != 0:
        raise LabError(f"{what} ended with {status}")


if __name__ == "__main__":
    sys.exit(main())
