"""The series of data sets: which commands make it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.compose.series import SERIES, commands

if TYPE_CHECKING:
    from pathlib import Path


def test_runs_come_first_and_each_day_is_made_of_its_own(tmp_path: Path) -> None:
    """What was recorded already is not recorded again; two days use two runs once more."""
    (tmp_path / "22").mkdir()
    (tmp_path / "22" / "run.json").touch()
    steps = dict(commands(tmp_path, tmp_path / "out", None, 5.0))

    expected = ["live run 20", "live run 29", "live run 31"]
    expected += [f"{part.purpose}-{part.seed}" for part in SERIES]
    assert expected == list(steps)
    runs = {str(tmp_path / str(seed)) for seed in (20, 22)}
    assert runs == runs & set(steps["train-24"]) == runs & set(steps["train-26"])
    assert str(tmp_path / "29") in steps["test-29"]


def test_training_and_testing_are_apart() -> None:
    """Even seeds are for training, odd ones for testing, and those have 10,000 benign strangers."""
    assert {("train", 0), ("test", 1)} == {(part.purpose, part.seed % 2) for part in SERIES}
    assert all(run % 2 == part.seed % 2 for part in SERIES for run in part.runs)
    assert 10_000 <= sum(part.sources for part in SERIES if part.purpose == "test")
