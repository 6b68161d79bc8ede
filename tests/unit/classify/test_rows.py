"""Labelled feature vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ai_suricata.classify.rows import joined
from fakes import model as fake


def test_rows_are_taken_by_mask_and_by_place() -> None:
    """Every column alike."""
    rows = fake.labelled()
    mask = np.arange(len(rows)) >= len(rows) - 2
    places = np.array([len(rows) - 2, len(rows) - 1])

    for chosen in (rows.take(mask), rows.take(places)):
        assert 2 == len(chosen)
        assert rows.groups[-2:] == chosen.groups
        assert rows.times[-2:].tolist() == chosen.times.tolist()
        assert rows.matrix[-2:].tolist() == chosen.matrix.tolist()


def test_parts_are_joined_in_their_order() -> None:
    """No part gives no rows."""
    rows = fake.labelled()

    assert 0 == len(joined([]))
    assert [*rows.groups, *rows.groups[:1]] == (
        joined((rows, rows.take(np.array([0], dtype=np.int64)))).groups
    )


def test_campaigns_go_with_their_rows() -> None:
    """Where one part does not know of any, its rows belong to none."""
    rows = fake.labelled().take(np.arange(3))
    raid = replace(rows, campaigns=["", "a", "b"])

    assert ["b", ""] == raid.take(np.array([2, 0])).campaigns
    assert [] == rows.take(np.array([2, 0])).campaigns
    assert ["", "", "", "", "a", "b"] == joined((rows, raid)).campaigns


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"matrix": np.zeros((900, 3))}, "expected"),
        ({"groups": ["one"]}, "900 rows"),
        ({"campaigns": ["one"]}, "900 rows"),
        ({"labels": np.full(900, 2, np.int8)}, "neither 0 nor 1"),
        ({"weights": np.full(900, -1.0)}, "negative"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, object], reason: str) -> None:
    """Before a model is made of it."""
    with pytest.raises(ValueError, match=reason):
        replace(fake.labelled(), **change)  # type: ignore[arg-type]  # wrong on purpose
