"""What the reasons of verdicts cost, and whether the first-named feature moves the score.

    python benchmarks/explain_cost.py EVE [--model MODEL] [--home-net NETWORKS] [--lines N]

EVE: an eve.json, plain or gzip'd; best one of the lab that is kept for testing (samples/lab).
Printed are the time of one explanation within a wave and alone, the share of the whole analysis
(the same lines with cheap words stand beside it), and in how many verdicts at HIGH and above the
score falls when the first-named feature is put back to its usual value. Times are processor time.

Exit code: 0 where it falls in 95% of them, 1 where it does not, 2 where a file can't be used.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.analysis import Analysis
from ai_suricata.classify import artifact, ensemble
from ai_suricata.classify.ensemble import Classifier
from ai_suricata.classify.explain import Explanation, Scorer, explained
from ai_suricata.config.load import load
from ai_suricata.core.errors import ArtifactError
from ai_suricata.core.schema import INDEX
from ai_suricata.features.extract import Extractor
from ai_suricata.replay import eve_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model
    from ai_suricata.config.settings import Settings

BATCH = 1000
ALONE = 200
"""Explanations that are timed one at a time."""
GOAL = 0.95


@dataclass
class Meter:
    """Stands in for `explained`: times it, and notes what it was asked."""

    thorough: bool
    seconds: float = 0.0
    checking: float = 0.0
    """Seconds of the check, which are no part of the analysis."""
    measured: int = 0
    fell: int = 0
    samples: list[tuple[Scorer, NDArray[np.float64], NDArray[np.float64], float]] = field(
        default_factory=list
    )

    def explained(
        self,
        model: Scorer,
        matrix: NDArray[np.float64],
        patterns: NDArray[np.float64],
        scores: NDArray[np.float64],
        thorough: NDArray[np.bool_],
    ) -> list[Explanation]:
        """Explain, or with cheap words only."""
        asked = thorough if self.thorough else np.zeros_like(thorough)
        begun = time.process_time()
        found = explained(model, matrix, patterns, scores, asked)
        self.seconds += time.process_time() - begun
        begun = time.process_time()
        self._check(model, matrix, patterns, scores, np.flatnonzero(asked), found)
        self.checking += time.process_time() - begun
        return found

    def _check(  # noqa: PLR0913, PLR0917 - what `explained` is given, and what it gave
        self,
        model: Scorer,
        matrix: NDArray[np.float64],
        patterns: NDArray[np.float64],
        scores: NDArray[np.float64],
        rows: NDArray[np.int64],
        found: list[Explanation],
    ) -> None:
        """Put each first-named feature back, outside of what is timed."""
        if not len(rows):
            return
        first = [INDEX[next(iter(found[row].features))] for row in rows.tolist()]
        without = matrix[rows]
        without[np.arange(len(rows)), first] = model.usual.median[first]
        self.fell += int((scores[rows] - model.score(without) > 0).sum())
        self.measured += len(rows)
        if len(self.samples) < ALONE:
            row = int(rows[0])
            self.samples.append((model, matrix[row], patterns[:, row], float(scores[row])))

    def alone(self) -> float:
        """Return the seconds of one explanation by itself."""
        begun = time.process_time()
        for model, vector, patterns, score in self.samples:
            one = np.ones(1, np.bool_)
            explained(model, vector[None], patterns[:, None], np.array([score]), one)
        return (time.process_time() - begun) / max(len(self.samples), 1)


def main() -> int:
    """Measure, print, and return the exit code."""
    arguments = _parse()
    settings = load(None, {"HOME_NET": arguments.home_net} if arguments.home_net else {})
    try:
        path = arguments.model
        model = artifact.load(path.read_bytes()) if path is not None else artifact.default()
        batches = itertools.islice(eve_batches(arguments.eve, BATCH), arguments.lines // BATCH)
        lines = list(batches)
    except (ArtifactError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    full, cheap = Meter(thorough=True), Meter(thorough=False)
    seconds = [_analysed(settings, model, lines, meter) for meter in (full, cheap)]
    share = full.fell / max(full.measured, 1)
    each = full.seconds / max(full.measured, 1)
    print(f"verdicts at HIGH and above      {full.measured}")
    print(f"one explanation, in its wave    {each * 1e3:.2f} ms")
    print(f"one explanation, alone          {full.alone() * 1e3:.2f} ms")
    print(f"share of the analysis           {full.seconds / seconds[0]:.0%}")
    print(f"analysis, cheap words only      {seconds[1] / seconds[0]:.2f} of the time")
    print(f"score falls without the first   {share:.1%} (goal {GOAL:.0%})")
    return 0 if share >= GOAL else 1


def _analysed(settings: Settings, model: Model, batches: list[list[bytes]], meter: Meter) -> float:
    """Run the lines through the analysis; return the seconds without the meter's own checks."""
    analysis = Analysis(Extractor(settings.features), Classifier(settings.classify, model))
    names = vars(ensemble)
    genuine, names["explained"] = names["explained"], meter.explained
    try:
        begun = time.process_time()
        for lines in batches:
            analysis.lines(lines)
        return time.process_time() - begun - meter.checking
    finally:
        names["explained"] = genuine


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("eve", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--home-net", default="")
    parser.add_argument("--lines", type=int, default=40_000)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
