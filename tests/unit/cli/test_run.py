"""`ai-suricata run`: what ends it is told in words, unless it is an error of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from ai_suricata.cli import run
from ai_suricata.cli.app import app
from ai_suricata.core.errors import ArtifactError, StateError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no traces."""
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def ended(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Result:
    """Run the command; the daemon ends with `error`."""

    def serve(*_: object) -> None:
        raise error

    monkeypatch.setattr(run, "_serve", serve)
    monkeypatch.setattr("ai_suricata.telemetry.logs.configure", lambda _settings: None)
    return CliRunner().invoke(app, ["run"])


def test_errors_of_ours_in_tasks_are_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sentence once, however deep the groups: exit code 1."""
    full = StateError("/var/lib/x is full; make room")
    inner = ExceptionGroup("tasks", [full, StateError("/var/lib/x is full; make room")])
    result = ended(monkeypatch, ExceptionGroup("all", [inner, ArtifactError("no model of ours")]))

    assert 1 == result.exit_code
    assert (
        "ai-suricata: /var/lib/x is full; make room\nai-suricata: no model of ours\n"
        == result.stderr
    )


def test_an_error_of_ours_alone_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """As before a task was begun."""
    result = ended(monkeypatch, ArtifactError("no model of ours"))

    assert (1, "ai-suricata: no model of ours\n") == (result.exit_code, result.stderr)


def test_an_error_of_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """One among others is enough: the traceback is what is needed then."""
    group = ExceptionGroup("all", [StateError("full"), ExceptionGroup("one", [KeyError("bug")])])
    result = ended(monkeypatch, group)

    assert group is result.exception
