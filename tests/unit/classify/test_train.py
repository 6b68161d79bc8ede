"""From labelled rows to a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ai_suricata.classify import train
from ai_suricata.classify.artifact import digest
from ai_suricata.classify.rows import TrainingRows
from ai_suricata.core.schema import FEATURES, INDEX
from fakes import model as fake


def test_the_same_rows_give_the_same_model() -> None:
    """The same digest, over all arrays and parameters."""
    again = train.fit(fake.labelled())

    assert digest(fake.trained()) == digest(again)
    assert fake.trained().version == again.version


def test_other_rows_give_another_version_and_another_digest() -> None:
    """What a model is called says what it was made from."""
    rows = fake.labelled()
    fewer = rows.take(np.arange(len(rows)) < len(rows) - 3)

    assert train.data_digest(rows) != train.data_digest(fewer)
    assert digest(fake.trained()) != digest(train.fit(fewer))


def test_progress_rises_to_1() -> None:
    """However long it takes."""
    told: list[float] = []
    train.fit(fake.labelled(), told.append)

    assert sorted(told) == told
    assert 1.0 == told[-1]
    assert len(told) >= 4


def test_figures_are_of_rows_that_were_held_back() -> None:
    """And tell attackers from clients at each level."""
    figures = fake.trained().figures

    assert 300.0 + train.FOLDS == figures["sources"]  # and one that did nothing, in each fold
    assert figures["attackers_high"] > 0.8
    assert figures["clients_high"] < 0.05
    assert figures["calibration_error"] < 0.1


def test_one_label_alone_teaches_nothing() -> None:
    """With the remedy."""
    rows = fake.labelled()
    clients = rows.take(rows.labels == 0)

    with pytest.raises(ValueError, match="no attacker in one of 3 parts; give more"):
        train.fit(clients)


def test_a_model_is_as_old_as_its_latest_row() -> None:
    """By event time: no clock is asked."""
    assert "1970-01-01T00:15:00+00:00" == fake.trained().trained_at


def test_attackers_count_as_the_prior() -> None:
    """However many there are."""
    balanced = train._balanced(train._lived(fake.labelled()))
    attack = balanced.labels == 1

    assert train.PRIOR == pytest.approx(balanced.weights[attack].sum() / balanced.weights.sum())


def test_an_attackers_later_rows_count_for_more_and_each_row_of_a_client_counts() -> None:
    """An attacker is one, however many rows it gave; a client is spared in every one of them."""
    rows = fake.labelled()
    mine = [index for index, group in enumerate(rows.groups) if group in {"source 0", "source 1"}]
    backwards = rows.take(np.array(mine[::-1], dtype=np.int64))
    weights = train._lived(backwards).weights[::-1].tolist()

    assert [1] * 3 + [0] * 3 == rows.labels[mine].tolist()
    assert [1 / 6, 2 / 6, 3 / 6] == pytest.approx(weights[:3])
    assert [3**-0.5] * 3 == pytest.approx(weights[3:])


def test_what_is_left_without_forgeable_evidence_is_learnt_from_too() -> None:
    """The spoof guard asks for the score of such rows."""
    rows = fake.labelled()
    masked = train._masked(rows)
    copies = masked.matrix[len(rows) : 2 * len(rows)]

    assert 2 * len(rows) + train.FOLDS == len(masked)
    assert 0.0 == copies[:, INDEX["flows"]].sum()
    assert rows.matrix[:, INDEX["proven_flows"]].tolist() == (
        copies[:, INDEX["proven_flows"]].tolist()
    )
    assert [0.0] * train.FOLDS == masked.matrix[-train.FOLDS :].sum(axis=1).tolist()


def test_no_source_gives_more_rows_than_the_bound() -> None:
    """Evenly from its first to its last."""
    count = 100
    matrix = np.zeros((count, len(FEATURES)))
    matrix[:, 0] = np.arange(count)
    rows = TrainingRows(
        matrix,
        np.zeros(count, np.int8),
        ["one"] * count,
        ["made up"] * count,
        np.arange(count, dtype=np.int64),
        np.ones(count),
    )
    kept = train._capped(rows)

    assert train.ROWS_PER_SOURCE == len(kept)
    assert [0.0, 99.0] == [kept.matrix[0, 0], kept.matrix[-1, 0]]


def test_a_source_is_in_one_fold() -> None:
    """A split never parts its rows: the name decides."""
    folds = {train._fold(f"source {number}") for number in range(60)}

    assert set(range(train.FOLDS)) == folds
    assert train._fold("source 7") == train._fold("source 7")


def test_a_campaign_is_in_one_fold() -> None:
    """Its sources do the same: who has seen one knows the others. Only within its data set."""
    rows = replace(fake.labelled(), campaigns=["raid"] * 450 + [""] * 450)
    folds = train._folds(rows)
    elsewhere = replace(rows, sets=[f"set {index}" for index in range(900)])

    assert 1 == len(set(folds[:450].tolist()))
    assert set(range(train.FOLDS)) == set(folds[450:].tolist())
    assert set(range(train.FOLDS)) == set(train._folds(elsewhere)[:450].tolist())


def test_what_is_usual_is_that_of_whole_rows() -> None:
    """The copies for the spoof guard have 0 in places where clients have not."""
    rows = fake.labelled()
    clients = rows.matrix[rows.labels == 0]

    assert np.median(clients, axis=0).tolist() == fake.trained().usual.median.tolist()
