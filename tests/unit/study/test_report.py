"""The report of an evaluation, of two small recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ai_suricata.classify import estimator
from ai_suricata.classify.model import Model, unlabelled
from ai_suricata.core.schema import FEATURES
from ai_suricata.study import report
from ai_suricata.study.ablation import ablate, groups, worth
from ai_suricata.study.dataset import Kind, Purpose
from ai_suricata.study.evaluate import Evaluation, Study, errors, evaluate
from ai_suricata.study.importance import costs, importance
from ai_suricata.study.leak import changes
from ai_suricata.study.vector import rows_of
from fakes import eve
from unit.study import recording

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.study.dataset import DataSet


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Return a recording of the lab for testing."""
    return recording.data_set(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def model(data: DataSet) -> Model:
    """Return a model of patterns, so that no shipped one has a say in the tests."""
    return unlabelled(estimator.fit(rows_of(data, eve.settings()).matrix))


@pytest.fixture(scope="module")
def found(data: DataSet, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Return the evaluation of it and of a recorded file, with a set for training."""
    folder = tmp_path_factory.mktemp("others")
    recorded = recording.data_set(folder, Kind.RECORDED, "real")
    training = recording.data_set(folder, Kind.LAB, "train", Purpose.TRAIN)
    return evaluate(Study([data, recorded], [training]), eve.settings(), model, crowdsec=False)


def test_an_evaluation_has_each_baseline(found: Evaluation) -> None:
    """What could not be asked says why."""
    assert ["any alert", "severity 1, 2", "CrowdSec", "plain forest"] == [
        one.name for one in found.baselines
    ]
    assert "not asked for" == found.baselines[2].absent
    assert {"one", "real"} == set(found.rows.sets)
    assert {"train"} == set(found.training.sets)


def test_the_plain_forest_finds_what_it_was_shown(found: Evaluation) -> None:
    """The training set is the same traffic."""
    (row,) = [row for row in found.table if row.ours.name.startswith("F1 of HIGH")]
    forest = row.baselines[3]

    assert forest is not None
    assert 1.0 == forest.interval.value


def test_without_labelled_rows_there_is_no_forest(data: DataSet, model: Model) -> None:
    """And the column says so."""
    alone = evaluate(Study([data], []), eve.settings(), model, crowdsec=False)

    assert "no labelled rows to train it on" == alone.baselines[3].absent


def test_errors_tell_what_there_was_to_see(found: Evaluation) -> None:
    """Nobody of this traffic is missed but the scanner, where it may not be."""
    assert [] == [error for error in errors(found.files) if error["fault"] != "missed"]


def test_a_report_is_written_with_its_pictures(
    found: Evaluation, model: Model, tmp_path: Path
) -> None:
    """Each of them named in the text."""
    pytest.importorskip("matplotlib")
    said = report.write_report(found, tmp_path / "report", eve.settings(), model)
    text = (tmp_path / "report" / "report.md").read_text()

    assert [f"report: {tmp_path}/report/report.md"] == said
    for name in report.PICTURES:
        assert f"![{name}]({name}.png)" in text
        assert b"\x89PNG" == (tmp_path / "report" / f"{name}.png").read_bytes()[:4]
    for heading in ("Figures", "Calibration", "Ablation", "Importance", "Cost of each feature"):
        assert f"## {heading}" in text


def test_without_matplotlib_the_text_stands_alone(
    found: Evaluation, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And how to get the pictures is said."""
    monkeypatch.setattr(report, "find_spec", lambda _name: None)
    said = report.write_report(found, tmp_path, eve.settings(), model)

    assert report.INSTALL in said
    assert ["report.md"] == [path.name for path in tmp_path.iterdir()]
    assert "![" not in (tmp_path / "report.md").read_text()


def test_a_shuffled_feature_that_carries_the_score_is_missed_most(
    found: Evaluation, model: Model
) -> None:
    """Features that no source of this traffic has are worth nothing."""
    ranked = importance(model, found.rows)
    loss = {one.name: one.loss for one in ranked}

    assert len(FEATURES) == len(ranked)
    assert ranked[0].loss > 0.001
    assert 0.0 == loss["dns_names"]


def test_groups_of_the_ablation_hold_what_they_are_named_for() -> None:
    """None is empty, and none is everything."""
    found = {name: {FEATURES[i].name for i in columns} for name, columns in groups().items()}

    assert all(0 < len(names) < len(FEATURES) for names in found.values())
    assert "failed_ports" in found["ports and classes of ports"]
    assert "attack_signatures" in found["alerts and signatures"]
    assert "flow_rate" in found["timing, first seen"]
    assert "proven_flows" not in found["what a forged packet could have made"]


def test_what_is_left_without_everything_is_nothing(found: Evaluation, model: Model) -> None:
    """With all features put back to the usual, all sources look alike; with none, as before."""
    (ablated,) = ablate(model, found.training, {"all": found.rows}).values()
    losses = {loss.without: loss for loss in ablated}
    whole = worth(found.rows, model.score(found.rows.matrix))
    usual = np.tile(model.usual.median, (len(found.rows), 1))

    assert whole == losses["nothing (all features)"].served
    assert 0.5 == worth(found.rows, model.score(usual)).area
    assert losses["the patterns"].served.area < whole.area


def test_neither_addresses_nor_dates_move_a_verdict(data: DataSet, model: Model) -> None:
    """Other addresses may collide in a sketch; another date leaves all as it was."""
    addresses, date = changes(data, eve.settings(), model)

    assert addresses.points == date.points > 50
    assert (0, 0) == (addresses.moved, date.moved)
    assert 0.0 == date.largest


def test_features_have_a_cost() -> None:
    """All of them are accounted for."""
    found = costs()

    assert len(FEATURES) == sum(cost.features for cost in found)
    assert all(cost.bytes_each > 0 and cost.microseconds_each > 0 for cost in found)
