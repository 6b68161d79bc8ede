"""The learning period."""

from __future__ import annotations

import numpy as np
import pytest

from ai_suricata.classify.learning import MOST_ROWS, ROWS_PER_SOURCE, Learning
from ai_suricata.core.schema import FEATURES
from fakes import eve


def test_no_source_gives_more_than_sixteen_rows() -> None:
    """A scanner in the learning period must not become what is usual."""
    learning = Learning(1000)
    for _ in range(5):
        learning.collect([eve.STRANGER] * 10 + [eve.PEER], np.ones((11, len(FEATURES))))

    assert ROWS_PER_SOURCE == 16
    assert 16 + 5 == learning.rows
    assert (21, len(FEATURES)) == learning.matrix().shape


def test_rows_are_copies_of_the_moment() -> None:
    """The matrix of a batch may be used again."""
    learning, matrix = Learning(10), np.ones((1, len(FEATURES)))
    learning.collect([eve.STRANGER], matrix)
    matrix[:] = 7

    assert {1.0} == set(learning.matrix().ravel().tolist())


def test_the_number_of_rows_is_bounded() -> None:
    """Memory does not grow with the length of the period."""
    learning = Learning(10**9)
    addresses = [str(number) for number in range(MOST_ROWS + 50)]
    learning.collect(addresses, np.ones((len(addresses), len(FEATURES))))

    assert MOST_ROWS == learning.rows


def test_nothing_collected_is_nothing_to_train_on() -> None:
    """With the right shape, and a refusal."""
    assert (0, len(FEATURES)) == Learning(5).matrix().shape
    with pytest.raises(ValueError, match="no feature vectors"):
        Learning(5).train()


@pytest.mark.parametrize("size", [1, 7, 99, 100, 101, 1000])
def test_learning_ends_after_exactly_so_many_events_however_they_are_cut(size: int) -> None:
    """The 100th event is the last that is learned from; those without an address count too."""
    records = [
        eve.other("stats") if n % 5 == 0 else eve.flow(f"203.0.113.{n}", at=n) for n in range(150)
    ]
    lines = [eve.line(record) for record in records]
    found = eve.analysis(eve.settings(TRAINING_EVENTS="100"), learn=True)
    versions = [
        verdict.model_version
        for start in range(0, 150, size)
        for verdict in found.lines(lines[start : start + size]).verdicts
    ]

    assert ["none"] * 80 == versions[:80]
    assert 40 == len(versions[80:])
    assert 1 == len(set(versions[80:]))
    assert versions[-1].startswith("forest-")
    assert found.learning is None
    assert found.classifier.model is not None
    assert 80 == found.classifier.model.rows
