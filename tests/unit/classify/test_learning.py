"""The learning period."""

from __future__ import annotations

import numpy as np
import pytest

from ai_suricata.classify.learning import LONGEST, MOST_ROWS, ROWS_PER_SOURCE, SHARE, Learning
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


def test_a_suspect_gives_no_rows_not_even_from_before() -> None:
    """What came before the model knew better is forgotten."""
    learning, rows = Learning(1000, harmless=0.5), np.ones((3, len(FEATURES)))
    learning.collect([eve.STRANGER, eve.STRANGER, eve.PEER], rows, [0.1, 0.2, 0.49])
    learning.collect([eve.STRANGER], rows[:1], [0.5])
    learning.collect([eve.STRANGER], rows[:1], [0.0])

    assert 1 == learning.rows
    assert (1, len(FEATURES)) == learning.matrix().shape


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
    with pytest.raises(ValueError, match="give events that carry addresses"):
        Learning(5).train()


def test_suspects_alone_are_nothing_to_train_on() -> None:
    """The refusal says how many there are, from which score on, and what to give instead."""
    learning, rows = Learning(1000, harmless=0.45), np.ones((2, len(FEATURES)))
    learning.collect([eve.STRANGER, eve.PEER], rows, [0.1, 0.45])
    learning.collect([eve.STRANGER, eve.STRANGER], rows, [0.9, 0.1])

    expected = (
        r"every source \(2 in all\) scored 0\.45 \(MEDIUM\) or above; give .* ordinary clients"
    )
    with pytest.raises(ValueError, match=expected):
        learning.train()


def test_a_loud_source_does_not_end_the_period_alone() -> None:
    """A twentieth of it counts; the others are waited for."""
    learning = Learning(1000)

    assert 5000 == learning.spend([eve.STRANGER] * 5000)
    assert 1000 - 1000 // SHARE == learning.remaining
    others = [f"198.51.100.{n % 200}" for n in range(2000)]
    assert 950 == learning.spend(others)
    assert 0 == learning.remaining


def test_a_network_of_few_hosts_learns_too() -> None:
    """After ten times as many events the period ends, whosever they are."""
    learning = Learning(100)

    assert 100 * LONGEST == learning.spend([eve.STRANGER] * 5000)
    assert 0 == learning.remaining


def test_a_period_that_goes_on_counts_every_event() -> None:
    """It was postponed because it was another instance's turn."""
    learning = Learning(100)
    learning.spend([eve.STRANGER] * 5000)
    learning.prolong(50)

    assert 50 == learning.spend([None] * 80)


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
