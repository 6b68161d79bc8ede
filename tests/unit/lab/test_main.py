"""What stands in the way of a run is told before anything is made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import lab.__main__ as program
import pytest
from lab.process import LabError
from lab.run import Order

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _able(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine look able to run the lab, whoever runs the tests."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(program, "TOOLS", ("sh",))


def test_able_machine_passes(tmp_path: Path) -> None:
    """With root, tools and a free folder there is nothing to complain of."""
    program.check(Order(tmp_path / "out", 1, 1.0, None))


def test_root_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody else is told to run it as root."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(LabError, match="run it as root"):
        program.check(Order(tmp_path, 1, 1.0, None))


def test_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that isn't there is named, the others are not."""
    monkeypatch.setattr(program, "TOOLS", ("sh", "no-such-tool"))

    with pytest.raises(LabError, match=r"^not installed: no-such-tool$"):
        program.check(Order(tmp_path, 1, 1.0, None))


def test_time_must_pass(tmp_path: Path) -> None:
    """A run of no minutes is refused."""
    with pytest.raises(LabError, match="--minutes"):
        program.check(Order(tmp_path, 1, 0.0, None))


def test_rules_need_their_classification(tmp_path: Path) -> None:
    """Rules without a file, or without classification.config beside them, are refused."""
    rules = tmp_path / "some.rules"
    with pytest.raises(LabError, match="no rules file"):
        program.check(Order(tmp_path / "out", 1, 1.0, rules))
    rules.touch()

    with pytest.raises(LabError, match=r"no classification\.config"):
        program.check(Order(tmp_path / "out", 1, 1.0, rules))


def test_earlier_run_is_kept(tmp_path: Path) -> None:
    """A folder that already has events is not written to."""
    (tmp_path / "eve.json").touch()

    with pytest.raises(LabError, match="name another folder"):
        program.check(Order(tmp_path, 1, 1.0, None))
