"""Lines a second from line to verdict, beside a loop that only parses each line.

`python benchmarks/throughput.py [--lines N] FILE...` reads eve.json files, plain or gzip'd, and
prints for each the median of five runs, taken in turn, so that a noisy machine slows both alike.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import time
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from ai_suricata.analysis import Analysis
from ai_suricata.classify import artifact
from ai_suricata.classify.ensemble import Classifier
from ai_suricata.classify.learning import Learning
from ai_suricata.config.settings import ClassifySettings, FeatureSettings
from ai_suricata.features.extract import Extractor

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 5
BATCH = 1000


def main() -> None:
    """Print one row a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--lines", type=int, default=50_000, help="the file's lines, repeated")
    arguments = parser.parse_args()
    print(f"{'file':32} {'bytes/line':>10} {'orjson.loads':>13} {'ai-suricata':>13} {'ratio':>6}")
    for path in arguments.files:
        lines = list(islice(cycle(read(path)), arguments.lines))
        parsed, analysed = zip(
            *((rate(parse, lines), rate(analyse, lines)) for _ in range(RUNS)), strict=True
        )
        base, ours = statistics.median(parsed), statistics.median(analysed)
        size = sum(map(len, lines)) / len(lines)
        print(f"{path.name:32} {size:10.0f} {base:11,.0f}/s {ours:11,.0f}/s {ours / base:6.2f}")


def read(path: Path) -> list[bytes]:
    """Return the lines of a file."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return content.splitlines()


def rate(work: Callable[[list[bytes]], None], lines: list[bytes]) -> float:
    """Return lines a second."""
    started = time.perf_counter()
    work(lines)
    return len(lines) / (time.perf_counter() - started)


def parse(lines: list[bytes]) -> None:
    """Only parse: the baseline."""
    for line in lines:
        orjson.loads(line)


def analyse(lines: list[bytes]) -> None:
    """Parse, count, learn and classify, as the daemon does."""
    settings = ClassifySettings()
    analysis = Analysis(
        Extractor(FeatureSettings()),
        Classifier(settings, artifact.default()),
        Learning(settings.training_events),
    )
    for start in range(0, len(lines), BATCH):
        analysis.lines(lines[start : start + BATCH])


if __name__ == "__main__":
    main()
