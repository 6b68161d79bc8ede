"""From recordings and operators' labels to rows for training."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.schema import FEATURE_NAMES, INDEX, SCHEMA_VERSION
from ai_suricata.state.label import Kind
from ai_suricata.state.label import Label as OperatorLabel
from ai_suricata.study.vector import address_of, group_of, operator_rows, rows_of
from fakes import eve
from unit.study import recording

if TYPE_CHECKING:
    from pathlib import Path


def test_each_source_gives_at_most_16_rows_with_its_label(tmp_path: Path) -> None:
    """The allowed and the unlabelled give none; the forged did nothing."""
    rows = rows_of(recording.data_set(tmp_path), eve.settings())
    counts = Counter(map(address_of, rows.groups))
    labels = dict(zip(map(address_of, rows.groups), rows.labels.tolist(), strict=True))

    assert {
        recording.GUESSER: 1,
        recording.SCANNER: 1,
        recording.CLIENT: 0,
        recording.FORGED: 0,
    } == labels
    assert 6 == counts[recording.CLIENT]
    assert 8 <= counts[recording.SCANNER] <= 16
    assert {"one"} == set(rows.sets)
    assert {1.0} == set(rows.weights.tolist())


def test_the_last_row_of_a_source_is_its_last_look(tmp_path: Path) -> None:
    """Six connections of the client, the last of them a hundred seconds after the first."""
    rows = rows_of(recording.data_set(tmp_path), eve.settings())
    mine = [i for i, group in enumerate(rows.groups) if address_of(group) == recording.CLIENT]

    assert [1, 2, 3, 4, 5, 6] == rows.matrix[mine, INDEX["flows"]].tolist()
    assert (eve.START + 100) * 10**6 == rows.times[mine[-1]]


@pytest.mark.parametrize("size", ["1", "7", "1000"])
def test_how_lines_are_batched_does_not_show(tmp_path: Path, size: str) -> None:
    """To the digit."""
    data = recording.data_set(tmp_path)
    plain, cut = rows_of(data, eve.settings()), rows_of(data, eve.settings(BATCH_SIZE=size))

    assert plain.groups == cut.groups
    assert (plain.matrix == cut.matrix).all()


def told(kind: Kind, features: dict[str, float] | None, schema: int) -> OperatorLabel:
    """Return what an operator said."""
    return OperatorLabel(1.5, recording.GUESSER, kind, "", schema, features, "none")


def test_operators_labels_become_rows() -> None:
    """A block is an attack, an unblock is none; the features are those of that moment."""
    features = dict.fromkeys(FEATURE_NAMES, 0.0) | {"flows": 7.0}
    rows, unusable = operator_rows(
        told(kind, features, SCHEMA_VERSION) for kind in (Kind.ATTACK, Kind.NORMAL)
    )

    assert ([1, 0], 0) == (rows.labels.tolist(), unusable)
    assert 7.0 == rows.matrix[0, INDEX["flows"]]
    assert ([group_of("operator", recording.GUESSER)] * 2, 1_500_000) == (
        rows.groups,
        rows.times[0],
    )


def test_a_label_of_another_schema_or_without_features_is_counted_and_left_out() -> None:
    """It would be misread otherwise."""
    features = dict.fromkeys(FEATURE_NAMES, 0.0)
    del features["flows"]
    rows, unusable = operator_rows(
        [
            told(Kind.ATTACK, None, SCHEMA_VERSION),
            told(Kind.ATTACK, dict.fromkeys(FEATURE_NAMES, 0.0), SCHEMA_VERSION - 1),
            told(Kind.ATTACK, features, SCHEMA_VERSION),
        ]
    )

    assert (0, 3) == (len(rows), unusable)
