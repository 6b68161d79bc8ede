"""Labelled rows of a small, made-up network, and a model of them; both cheap."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify.rows import TrainingRows
from ai_suricata.classify.train import fit
from ai_suricata.core.schema import FEATURES, INDEX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model

SOURCES = 300
ROWS_EACH = 3


def vectors(count: int, seed: int = 1) -> NDArray[np.float64]:
    """Return vectors of ordinary clients: small counts everywhere."""
    return np.random.default_rng(seed).poisson(1.5, (count, len(FEATURES))).astype(np.float64)


def guesses(matrix: NDArray[np.float64], seed: int = 2) -> NDArray[np.float64]:
    """Return the same vectors with as many logins as one who guesses passwords makes."""
    random, changed = np.random.default_rng(seed), matrix.copy()
    for name in ("login_attempts", "day_login_attempts", "proven_flows"):
        changed[:, INDEX[name]] += random.poisson(30, len(matrix))
    return changed


def labelled(seed: int = 1) -> TrainingRows:
    """Return rows of clients and of those who guess passwords, one source in four."""
    count = SOURCES * ROWS_EACH
    matrix = vectors(count, seed)
    labels = (np.arange(count) // ROWS_EACH % 4 == 0).astype(np.int8)
    matrix[labels == 1] = guesses(matrix[labels == 1], seed)
    return TrainingRows(
        matrix=matrix,
        labels=labels,
        groups=[f"source {index // ROWS_EACH}" for index in range(count)],
        sets=["made up"] * count,
        times=np.arange(1, count + 1, dtype=np.int64) * 1_000_000,
        weights=np.ones(count),
    )


@lru_cache(maxsize=1)
def trained() -> Model:
    """Return a model of `labelled`; a second or two, once a process."""
    return fit(labelled())
