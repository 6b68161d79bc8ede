"""The first-named feature moves the score: measured on traffic that no model was trained on."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ai_suricata.classify import artifact
from ai_suricata.core.errors import ArtifactError
from ai_suricata.core.schema import INDEX
from ai_suricata.core.verdict import Level, Verdict
from ai_suricata.replay import eve_batches
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LAB = Path(__file__).resolve().parents[3] / "samples/lab"
LINES = 30_000
"""Of one test set: some thousand verdicts at HIGH and above, in a few seconds."""


def first_test_set() -> dict[str, str]:
    """Return the first set of the lab that is kept for testing."""
    with (LAB / "sets.csv").open(encoding="utf-8") as file:
        return next(row for row in csv.DictReader(file) if row["purpose"] == "test")


def test_put_back_to_its_usual_value_the_first_named_feature_lowers_the_score() -> None:
    """In at least 95% of the verdicts at HIGH and above; above INFO every one has a reason."""
    try:
        model = artifact.default()
    except ArtifactError as error:
        pytest.skip(str(error))
    chosen = first_test_set()
    analysis = eve.analysis(eve.settings(HOME_NET=chosen["home_net"]), model=model)
    found: list[Verdict] = []
    vectors: list[np.ndarray] = []
    homes: list[np.ndarray] = []

    def observe(
        _addresses: Sequence[str],
        home: NDArray[np.bool_],
        _times: NDArray[np.int64],
        matrix: NDArray[np.float64],
        verdicts: Sequence[Verdict],
    ) -> None:
        found.extend(verdicts)
        vectors.append(matrix.copy())
        homes.append(home.copy())

    analysis.observers.append(observe)
    batches = eve_batches(LAB / f"{chosen['name']}.json.gz", 1000)
    for lines in itertools.islice(batches, LINES // 1000):
        analysis.lines(lines)
    matrix, home = np.concatenate(vectors), np.concatenate(homes)
    told = [verdict for verdict in found if verdict.level > Level.INFO]
    acted = [
        row for row, verdict in enumerate(found) if verdict.level >= Level.HIGH and verdict.features
    ]
    first = [INDEX[next(iter(found[row].features))] for row in acted]
    put_back = matrix[acted]
    put_back[np.arange(len(acted)), first] = model.usual.median[first]
    falls = np.array([found[row].score for row in acted]) - model.score(put_back, home[acted])

    assert len(acted) > 500
    assert (falls > 0).mean() >= 0.95
    assert all(any(digit in verdict.reasons[0] for digit in "0123456789") for verdict in told)
