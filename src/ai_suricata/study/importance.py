"""What each feature is worth, and what it costs."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ai_suricata.classify.rows import ATTACK
from ai_suricata.core.behaviour import Counter, Sketch
from ai_suricata.core.schema import FEATURES
from ai_suricata.features.derive import derive
from ai_suricata.features.sketch import count_distinct
from ai_suricata.features.table import Table
from ai_suricata.study.progress import silent
from ai_suricata.study.statistic import average_precision

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model
    from ai_suricata.classify.rows import TrainingRows
    from ai_suricata.study.progress import Progress

MOST_ROWS = 2000
_SEED, _SHUFFLES = 6, 3
_ROWS, _ROUNDS = 1024, 5
_DISTINCT = "distinct"


class Importance(NamedTuple):
    """How much worse attackers are told from the rest where one feature says nothing."""

    name: str
    loss: float
    """Of average precision over rows, the mean of three shuffles of the feature."""
    spread: float
    """Between the least and the greatest loss of these."""


class Cost(NamedTuple):
    """What a kind of feature costs an address and a scored row."""

    kind: str
    features: int
    bytes_each: int
    """Kept for an address, for each feature of the kind."""
    microseconds_each: float
    """To work one feature out for one row, in batches of 1,024."""


def importance(model: Model, rows: TrainingRows, progress: Progress = silent) -> list[Importance]:
    """Return the permutation importance (Breiman, 2001) of each feature, the greatest first.

    Over at most 2,000 rows: one of two kinds in each half, so that attackers do not get lost.
    """
    chosen = _some(rows)
    truth = chosen.labels == ATTACK
    if not truth.any() or truth.all():
        return []
    whole = average_precision(model.score(chosen.matrix), truth)
    draw = np.random.default_rng(_SEED)
    found: list[Importance] = []
    for index, feature in enumerate(FEATURES):
        progress(f"importance of {feature.name}", index / len(FEATURES))
        losses = []
        for _ in range(_SHUFFLES):
            shuffled = chosen.matrix.copy()
            shuffled[:, index] = draw.permutation(shuffled[:, index])
            losses.append(whole - average_precision(model.score(shuffled), truth))
        spread = max(losses) - min(losses)
        found.append(Importance(feature.name, sum(losses) / _SHUFFLES, spread))
    return sorted(found, key=lambda one: (-one.loss, one.name))


def costs() -> list[Cost]:
    """Return what features cost: those that count distinct values, and all the others."""
    table = Table(_ROWS)
    rows = np.zeros(_ROWS, dtype=np.int64)
    sketches = table.columns.sketches[rows]
    all_of_them = _fastest(lambda: derive(table.columns, rows))
    distinct = _fastest(lambda: count_distinct(sketches))
    one_sketch = distinct / len(Sketch)
    sketched = sum(feature.unit == _DISTINCT for feature in FEATURES)
    plain = len(FEATURES) - sketched
    counter = table.columns.counters.dtype.itemsize
    rest = max(all_of_them - distinct, 0.0) / plain
    return [
        Cost(
            "distinct values (a sketch)",
            sketched,
            sketches.nbytes // _ROWS // len(Sketch),
            one_sketch / _ROWS * 1e6,
        ),
        Cost("counts and ratios", plain, counter * len(Counter) // plain, rest / _ROWS * 1e6),
    ]


def _some(rows: TrainingRows) -> TrainingRows:
    """Return up to half of `MOST_ROWS` of each label, evenly spread."""
    halves: list[NDArray[np.int64]] = []
    for label in sorted(set(rows.labels.tolist())):
        places = np.flatnonzero(rows.labels == label)
        count = min(len(places), MOST_ROWS // 2)
        halves.append(places[np.linspace(0, len(places) - 1, count).astype(np.int64)])
    if not halves:
        return rows
    return rows.take(np.sort(np.concatenate(halves)))


def _fastest(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of a few rounds: the others were disturbed."""
    times = []
    for _ in range(_ROUNDS):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)
