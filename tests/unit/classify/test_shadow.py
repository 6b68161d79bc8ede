"""The shadow model: what it would have said, counted and nothing more."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from ai_suricata.classify.shadow import Kind, Shadow, difference
from ai_suricata.core.schema import FEATURES
from ai_suricata.core.verdict import Level
from fakes import eve
from fakes.verdict import verdict


class Fixed:
    """A model that scores each row as its first feature says."""

    def score(self, matrix: np.ndarray, home: np.ndarray) -> np.ndarray:
        """Return the first column, for strangers."""
        assert not home.any()
        return matrix[:, 0]


def matrix_of(*scores: float) -> np.ndarray:
    """Return vectors that the shadow scores so."""
    matrix = np.zeros((len(scores), len(FEATURES)))
    matrix[:, 0] = scores
    return matrix


@pytest.mark.parametrize(("serving", "shadow"), list(product(Level, Level)))
def test_every_pair_of_levels_has_its_kind(serving: Level, shadow: Level) -> None:
    """A block more or less outweighs a difference of levels."""
    expected = {
        serving is shadow: None,
        serving > shadow: Kind.LOWER,
        serving < shadow: Kind.HIGHER,
    }[True]
    if serving is not shadow and Level.CRITICAL in {serving, shadow}:
        expected = Kind.BLOCK_MISSED if serving is Level.CRITICAL else Kind.BLOCK_ADDED

    assert expected == difference(serving, shadow)


def test_differences_are_counted_by_the_operators_thresholds() -> None:
    """Row by row, a score on a threshold belonging to the higher level."""
    shadow = Shadow(Fixed(), "v", eve.settings().classify)  # type: ignore[arg-type] # nothing else is asked
    levels = [Level.INFO, Level.CRITICAL, Level.HIGH, Level.MEDIUM]
    found = shadow.compare(matrix_of(0.85, 0.849, 0.5, 0.5), [verdict(level) for level in levels])

    assert {Kind.BLOCK_ADDED: 1, Kind.BLOCK_MISSED: 1, Kind.LOWER: 1} == dict(found)
    assert 4 == shadow.rows


def test_counts_add_up_and_other_thresholds_hold_from_then_on() -> None:
    """As after SIGHUP."""
    shadow = Shadow(Fixed(), "v", eve.settings().classify)  # type: ignore[arg-type] # nothing else is asked
    for critical in ("0.85", "0.95"):
        shadow.reload(eve.settings(CRITICAL_THRESHOLD=critical).classify)
        shadow.compare(matrix_of(0.9), [verdict(Level.HIGH)])

    assert {Kind.BLOCK_ADDED: 1} == dict(shadow.disagreements)
    assert 2 == shadow.rows
