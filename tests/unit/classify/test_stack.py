"""One score that means what it says."""

from __future__ import annotations

import numpy as np
import pytest

from ai_suricata.classify.stack import Stack, evidence, expit, fit, full_pattern, vote_odds
from ai_suricata.core.verdict import PATTERN_NAMES

COUNT = 4000
KINDS = len(PATTERN_NAMES)
Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


def made(truth_of: float, seed: int = 3) -> tuple[Parts, np.ndarray]:
    """Return parts whose vote is wrong by a factor in log odds, and labels."""
    random = np.random.default_rng(seed)
    odds = random.normal(-1, 2, COUNT)
    labels = (random.random(COUNT) < expit(odds)).astype(np.int8)
    patterns = np.zeros((KINDS, COUNT))
    return (patterns, expit(odds * truth_of), random.random(COUNT)), labels


@pytest.fixture(scope="module")
def stack() -> Stack:
    """Return a stack over a vote that is twice as sure as it may be."""
    parts, labels = made(2.0)
    return fit(parts, labels, np.ones(COUNT))


def test_a_score_means_what_it_says(stack: Stack) -> None:
    """On rows that it was not fitted on: of those at 0.85, 85 in a hundred are attacks."""
    parts, labels = made(2.0, seed=4)
    scores = stack.score(*parts)
    for low in np.arange(0, 1, 0.2).tolist():
        inside = (scores >= low) & (scores < low + 0.2)
        assert labels[inside].mean() == pytest.approx(scores[inside].mean(), abs=0.06)


def test_a_vote_that_is_too_sure_is_believed_less(stack: Stack) -> None:
    """It says 99%, and is right in 91 of a hundred."""
    vote = np.array([0.99])
    score = stack.score(np.zeros((KINDS, 1)), vote, np.zeros(1))[0]

    assert 0.85 < score < 0.95


def test_the_curve_rises_everywhere(stack: Stack) -> None:
    """No two sums have one score: every change of a feature shows."""
    odds = np.linspace(-20, 20, 2001)

    assert np.diff(stack.curve(odds)).min() > 0
    assert np.diff(stack.places).min() > 0


def test_only_absence_speaks_for_a_source(stack: Stack) -> None:
    """No weight is below 0."""
    assert min(stack.vote, stack.anomaly, stack.certain, stack.patterns.min()) >= 0


def test_a_full_pattern_outweighs_a_vote_that_is_all_against_it(stack: Stack) -> None:
    """An attack that no training ever held has to be blocked too: each pattern alone can."""
    assert full_pattern(stack) >= 0.9
    for kind in range(KINDS):
        patterns = np.zeros((KINDS, 1))
        patterns[kind] = 1
        assert stack.score(patterns, np.zeros(1), np.zeros(1))[0] > 0.85


def test_a_pattern_in_the_middle_does_not_outweigh_it(stack: Stack) -> None:
    """What is only likely leaves room for what was learnt."""
    score = stack.score(np.full((KINDS, 1), 0.5), np.zeros(1), np.zeros(1))[0]

    assert score < 0.3


def test_a_pattern_that_says_block_is_at_least_high(stack: Stack) -> None:
    """Whatever the vote says: patterns are code that people can read and hold to."""
    patterns = np.zeros((KINDS, 1))
    patterns[1] = 0.85

    assert stack.score(patterns, np.zeros(1), np.zeros(1))[0] > 0.6


def test_what_is_odd_alone_is_not_acted_on(stack: Stack) -> None:
    """However odd, where neither vote nor pattern says a word."""
    assert stack.score(np.zeros((KINDS, 1)), np.array([0.02]), np.ones(1))[0] < 0.3


def test_evidence_and_odds_are_bounded() -> None:
    """Four learners that agree can err together."""
    ends = np.array([0.0, 1.0])

    assert [0.0, 1.0] == evidence(ends).tolist()
    assert [-1, 1] == np.sign(vote_odds(ends)).tolist()
    assert np.isfinite(vote_odds(ends)).all()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_score_does_not_depend_on_the_batch(stack: Stack, size: int) -> None:
    """To the digit."""
    patterns, vote, anomaly = made(1.0, seed=6)[0]
    parts = [
        stack.score(patterns[:, i : i + size], vote[i : i + size], anomaly[i : i + size])
        for i in range(0, 2000, size)
    ]

    assert (
        stack.score(patterns, vote, anomaly)[: len(np.concatenate(parts))].tolist()
        == np.concatenate(parts).tolist()
    )
