"""Splits: no source on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from ai_suricata.classify.rows import TrainingRows
from ai_suricata.core.schema import FEATURES
from ai_suricata.study.split import Split, by_set, by_time
from ai_suricata.study.vector import address_of, group_of


def made(count: int = 60, each: int = 3) -> TrainingRows:
    """Return rows of `count` sources, each in one of two sets; every tenth address is in both."""
    pairs = [
        (f"192.0.2.{n}", name)
        for n in range(count)
        for name in (("a", "b") if n % 10 == 0 else ("a",) if n % 2 else ("b",))
    ]
    groups = [group_of(name, address) for address, name in pairs for _ in range(each)]
    total = len(groups)
    return TrainingRows(
        matrix=np.arange(total * len(FEATURES), dtype=np.float64).reshape(total, len(FEATURES)),
        labels=np.arange(total, dtype=np.int8) % 2,
        groups=groups,
        sets=[group.split(" ")[1] for group in groups],
        times=np.arange(total, dtype=np.int64) * 1_000_000,
        weights=np.ones(total),
    )


def addresses(rows: TrainingRows) -> set[str]:
    """Return the addresses that rows are of."""
    return set(map(address_of, rows.groups))


def all_splits() -> list[Split]:
    """Return every kind of split of the same rows."""
    rows = made()
    return [by_time(rows), *by_set(rows)]


@pytest.mark.parametrize("split", all_splits(), ids=lambda split: split.name)
def test_no_split_shares_a_source(split: Split) -> None:
    """By address, in whichever data set it was seen."""
    assert set() == addresses(split.training) & addresses(split.test)
    assert addresses(split.training)
    assert addresses(split.test)


def test_a_set_is_judged_by_what_the_others_taught() -> None:
    """All of its rows, and none of its addresses elsewhere."""
    rows = made()
    found = {split.name: split for split in by_set(rows)}

    assert {"a", "b"} == set(found)
    assert rows.sets.count("a") == len(found["a"].test)
    assert {"b"} == set(found["a"].training.sets)
    assert rows.sets.count("b") - 3 * 6 == len(found["a"].training)


def test_one_set_alone_can_not_be_left_out() -> None:
    """There would be nothing to learn from."""
    rows = made()

    assert [] == list(by_set(rows.take(np.array([name == "a" for name in rows.sets]))))


def test_who_came_later_is_judged_by_who_came_first() -> None:
    """In each set, the first 70% of the sources teach."""
    rows = made(count=60)
    only = rows.take(np.array([name == "a" for name in rows.sets]))
    split = by_time(only)

    assert max(split.training.times) < min(split.test.times)
    assert pytest.approx(0.7, abs=0.04) == len(split.training) / len(only)
