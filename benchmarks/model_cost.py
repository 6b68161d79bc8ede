"""What the model costs: time for one row and for 1,024, its artifact, memory of a process with it.

    python benchmarks/model_cost.py [MODEL] [--runs N]

Without MODEL the shipped artifact is measured. Beside it stands scikit-learn's own prediction of
the same estimators, one after the other, on the same rows. A time is the median of N calls, by
turns, and it is that of the processor: what others do on the machine does not show. Memory is that
of a process which has loaded the model and judged 1,024 rows; the table of behaviour comes on top.

Exit code: 0 where the budget holds, 1 where it does not, 2 where the artifact can't be loaded.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify import artifact
from ai_suricata.classify.vectors import scaled
from ai_suricata.core.errors import ArtifactError
from ai_suricata.core.schema import FEATURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model

MANY = 1024
MOST_MS = {1: 4.0, MANY: 12.0}
MOST_BYTES = 10_000_000
MOST_RSS = 300_000_000


def rows(count: int) -> NDArray[np.float64]:
    """Return feature vectors that end in many different leaves."""
    random = np.random.default_rng(20)
    matrix = random.poisson(2.0, (count, len(FEATURES))).astype(np.float64)
    times: NDArray[np.float64] = random.choice([0.0, 1.0, 30.0], matrix.shape, p=[0.6, 0.3, 0.1])
    return matrix * times


def plain(model: Model) -> Callable[[NDArray[np.float64]], None]:
    """Return the prediction of the same estimators as scikit-learn does it."""
    judge = model.judge
    fitted = [judge.vote.fitted] if judge is not None else []

    def predict(matrix: NDArray[np.float64]) -> None:
        shown = scaled(matrix)
        model.novelty.forest.score_samples(shown)
        for each in fitted:
            for estimator in (each.tree, each.forest, each.boosting):
                estimator.predict_proba(shown)

    return predict


def medians(
    first: Callable[[NDArray[np.float64]], object],
    second: Callable[[NDArray[np.float64]], object],
    matrix: NDArray[np.float64],
    runs: int,
) -> tuple[float, float]:
    """Return the median times in milliseconds, measured by turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for call, times in zip((first, second), taken, strict=True):
            begun = time.process_time()
            call(matrix)
            times.append((time.process_time() - begun) * 1000)
    return statistics.median(taken[0]), statistics.median(taken[1])


def resident() -> int:
    """Return the resident memory of this process in bytes (proc(5), VmRSS)."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", type=Path, help="an artifact; without it the shipped")
    parser.add_argument("--runs", type=int, default=101)
    chosen = parser.parse_args()
    # Threads that scikit-learn's boosting leaves spinning (libgomp) would count for what runs next.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        content = artifact.shipped() if chosen.model is None else chosen.model.read_bytes()
        model = artifact.load(content)
    except (OSError, ArtifactError) as error:
        print(f"model_cost: {error}", file=sys.stderr)
        return 2
    model.score(rows(MANY))
    memory = resident()
    print(f"model {model.version}: {len(FEATURES)} features")
    print(f"{'':16}{'ours':>12}{'scikit-learn':>14}{'ratio':>8}{'budget':>12}")
    within = True
    for count, most in MOST_MS.items():
        ours, theirs = medians(model.score, plain(model), rows(count), chosen.runs)
        within &= ours <= most
        name = f"{count:,} row{'s' if count > 1 else ''}"
        print(f"{name:16}{ours:9.2f} ms{theirs:11.2f} ms{theirs / ours:8.1f}{most:9.0f} ms")
    for name, size, bound in (
        ("artifact", len(content), MOST_BYTES),
        ("memory", memory, MOST_RSS),
    ):
        within &= size <= bound
        print(f"{name:16}{size / 1e6:9.1f} MB{'':22}{bound / 1e6:9.0f} MB")
    print("the budget holds" if within else "the budget does NOT hold")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
