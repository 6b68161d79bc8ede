"""What is new on a network: an isolation forest (Liu, Ting and Zhou, 2008).

Its raw score never spans 0 to 1 (in practice it ends near 0.75), so a fixed threshold above that
would never fire. Here 0 is the median of the rows that it was trained on, and 1 is beyond what
all but the oddest half percent of them reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify.tree import Trees, isolation, unsuccessful_search
from ai_suricata.classify.vectors import SCALING, scaled
from ai_suricata.core.schema import SCHEMA_DIGEST

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.ensemble import IsolationForest

TREES = 60
ROWS_PER_TREE = 256
SEED = 20
ODDEST = 0.02
"""Share of the rows that is taken for no part of what is usual."""
_ODD = 0.995
_LEAST_SPAN = 0.05  # in raw score: rows that are all alike would otherwise make everything odd
_FEW = 50  # rows of which one in fifty is none


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual, feature by feature: percentiles of rows of sources that do no harm."""

    low: NDArray[np.float64]
    """5th percentile."""
    median: NDArray[np.float64]
    high: NDArray[np.float64]
    """95th percentile."""


@dataclass(frozen=True, slots=True)
class Novelty:
    """A trained forest, with all that asking it needs."""

    forest: IsolationForest
    walk: Trees
    """The same forest, to be walked quickly."""
    middle: float
    """Raw score that counts as 0."""
    top: float
    """Raw score that counts as 1."""
    usual: Usual
    rows: int
    """Rows that it was trained on."""
    version: str

    def anomaly(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return 0..1 for each scaled row; 0 is ordinary."""
        if not len(rows):
            return np.zeros(0)
        scores: NDArray[np.float64] = np.clip(
            (_raw(self.forest, self.walk, rows) - self.middle) / (self.top - self.middle), 0, 1
        )
        return np.round(scores, 9)


def fit(matrix: NDArray[np.float64]) -> Novelty:
    """Train on feature vectors (rows, features). The same rows give the same forest.

    The oddest two in a hundred are left out: whoever attacks while others are learnt from is among
    them. Raises ValueError where there is no row.
    """
    if not len(matrix):
        raise ValueError("no feature vectors to learn from; give events that carry addresses")
    kept = matrix[_ordinary(scaled(matrix))]
    rows = scaled(kept)
    forest = _grown(rows)
    raw = _raw(forest, isolation(forest), rows)
    middle = float(np.median(raw))
    top = max(float(np.quantile(raw, _ODD)), middle + _LEAST_SPAN)
    return restored(forest, middle, top, usual_of(kept), len(kept), version_of(kept))


def restored(  # noqa: PLR0913, PLR0917 - the fields of an artifact
    forest: IsolationForest, middle: float, top: float, usual: Usual, rows: int, version: str
) -> Novelty:
    """Return what was fitted once."""
    return Novelty(forest, isolation(forest), middle, top, usual, rows, version)


def usual_of(matrix: NDArray[np.float64]) -> Usual:
    """Return what is usual among the rows of a matrix, which has one at least."""
    low, median, high = np.quantile(matrix, (0.05, 0.5, 0.95), axis=0)
    return Usual(low, median, high)


def version_of(matrix: NDArray[np.float64]) -> str:
    """Name a forest after what it was made from: rows, schema, scaling and parameters."""
    digest = blake2b(digest_size=5)
    digest.update(f"{SCHEMA_DIGEST} {SCALING} {TREES} {ROWS_PER_TREE} {SEED}".encode())
    digest.update(np.ascontiguousarray(matrix, dtype="<f8").tobytes())
    return f"forest-{digest.hexdigest()}"


def _grown(rows: NDArray[np.float32]) -> IsolationForest:
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - a second to import, not for --help

    return IsolationForest(
        n_estimators=TREES, max_samples=min(ROWS_PER_TREE, len(rows)), random_state=SEED
    ).fit(rows)


def _raw(forest: IsolationForest, walk: Trees, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the negative of scikit-learn's `score_samples`."""
    whole = float(unsuccessful_search(np.array([forest.max_samples_]))[0])
    raw: NDArray[np.float64] = np.exp2(-walk.mean(rows) / whole) if whole else np.ones(len(rows))
    return raw


def _ordinary(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which rows are not among the oddest."""
    if len(rows) < _FEW:
        return np.ones(len(rows), np.bool_)
    forest = _grown(rows)
    raw = _raw(forest, isolation(forest), rows)
    ordinary: NDArray[np.bool_] = raw <= np.quantile(raw, 1.0 - ODDEST)
    return ordinary
