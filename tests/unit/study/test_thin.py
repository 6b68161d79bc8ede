"""A bounded, even choice out of a stream."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ai_suricata.study.thin import Thin


def kept(count: int, most: int = 16) -> list[int]:
    """Return what is kept of 0, 1, 2, ..."""
    thin: Thin[int] = Thin(most)
    for number in range(count):
        thin.add(number)
    return thin.items()


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16])
def test_few_are_all_kept(count: int) -> None:
    """In their order."""
    assert list(range(count)) == kept(count)


@pytest.mark.parametrize("count", [17, 100, 1000, 12_345])
def test_of_many_an_even_choice_is_kept_and_always_the_last(count: int) -> None:
    """At most 16, from the first on, with the same step between all but the last."""
    found = kept(count)
    steps = {after - before for before, after in pairwise(found[:-1])}

    assert 8 <= len(found) <= 16
    assert (0, count - 1) == (found[0], found[-1])
    assert 1 == len(steps)
