"""What is new on this network: an isolation forest (Liu, Ting and Zhou, 2008).

Its raw score never spans 0 to 1 (in practice it ends near 0.75), so a fixed threshold above that
would never fire. Here 0 is the median of the rows that it was trained on, and 1 is beyond what
all but the oddest half percent of them reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.schema import FEATURE_NAMES, SCHEMA_DIGEST

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.ensemble import IsolationForest

TREES = 100
ROWS_PER_TREE = 256
SEED = 20
_ODD = 0.995
_LEAST_SPAN = 0.05  # in raw score: rows that are all alike would otherwise make everything odd


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual on this network, feature by feature."""

    median: NDArray[np.float64]
    high: NDArray[np.float64]
    """95th percentile."""


@dataclass(frozen=True, slots=True)
class Model:
    """A trained forest, with all that serving it needs."""

    forest: IsolationForest
    middle: float
    """Raw score that counts as 0."""
    top: float
    """Raw score that counts as 1."""
    usual: Usual
    rows: int
    """Rows that it was trained on."""
    version: str

    def anomaly(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 0..1 for each row of feature vectors; 0 is ordinary."""
        if not len(matrix):
            return np.zeros(0)
        raw = -self.forest.score_samples(scaled(matrix))
        # Rounded, since the sum over the trees may end in another last digit for another batch.
        scores: NDArray[np.float64] = np.clip((raw - self.middle) / (self.top - self.middle), 0, 1)
        return np.round(scores, 9)


def scaled(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale, here and nowhere else: in training as in serving. Counts differ by magnitudes."""
    return np.log1p(matrix)


def fit(matrix: NDArray[np.float64]) -> Model:
    """Train on feature vectors (rows, features). The same rows give the same model.

    Raises ValueError where there is no row.
    """
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - a second to import, not for --help

    if not len(matrix):
        raise ValueError("no feature vectors to learn from; give events that carry addresses")
    forest = IsolationForest(
        n_estimators=TREES, max_samples=min(ROWS_PER_TREE, len(matrix)), random_state=SEED
    ).fit(scaled(matrix))
    raw = -forest.score_samples(scaled(matrix))
    middle = float(np.median(raw))
    top = max(float(np.quantile(raw, _ODD)), middle + _LEAST_SPAN)
    usual = Usual(np.median(matrix, axis=0), np.quantile(matrix, 0.95, axis=0))
    return Model(forest, middle, top, usual, len(matrix), version_of(matrix))


def version_of(matrix: NDArray[np.float64]) -> str:
    """Name a model after what it was made from: rows, schema and parameters."""
    digest = blake2b(digest_size=5)
    digest.update(f"{SCHEMA_DIGEST} {TREES} {ROWS_PER_TREE} {SEED}".encode())
    digest.update(np.ascontiguousarray(matrix, dtype="<f8").tobytes())
    return f"forest-{digest.hexdigest()}"


def oddest(model: Model, vector: NDArray[np.float64]) -> tuple[str, float, float]:
    """Return the feature that lies farthest above what is usual: (name, value, usual high)."""
    above = np.log1p(vector) - np.log1p(model.usual.high)
    index = int(np.argmax(above))
    return FEATURE_NAMES[index], float(vector[index]), float(model.usual.high[index])
