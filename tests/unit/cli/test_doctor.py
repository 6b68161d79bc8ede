"""`ai-suricata doctor`: the report, and its exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from ai_suricata.cli.app import app
from ai_suricata.config.load import variables
from fakes import eve
from fakes.redis_process import free_port

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "pa$$w0rd-of-redis"  # noqa: S105 - it must not be seen


@pytest.fixture(autouse=True)
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all that the daemon needs."""
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "eve.json").write_bytes(eve.line(eve.flow()) + b"\n")
    monkeypatch.setenv("EVE_PATH", str(tmp_path / "eve.json"))
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("METRICS_PORT", "0")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def examined(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_each_finding_is_an_object_in_a_pipe() -> None:
    """With part, status, sentence and remedy; nothing is wrong: exit code 0."""
    result = examined()
    lines = [json.loads(line) for line in result.stdout.splitlines()]

    assert 0 == result.exit_code
    assert {("part", "status", "sentence", "remedy")} == {tuple(line) for line in lines}
    assert {"state directory", "metrics port", "firewall"} < {line["part"] for line in lines}
    assert [line for line in lines if line["status"] == "warning"]
    assert all(line["remedy"] for line in lines if line["status"] != "ok")


def test_the_table_is_for_people() -> None:
    """With the same findings."""
    result = examined("--format", "table")

    assert 0 == result.exit_code
    assert "Examination" in result.stdout
    assert "any free port is taken" in result.stdout


def test_something_wrong_ends_with_1(tmp_path: Path) -> None:
    """And the rest is told all the same."""
    (tmp_path / "eve.json").unlink()
    result = examined()

    assert 1 == result.exit_code
    assert "does not exist yet" in result.stdout
    assert "any free port is taken" in result.stdout


def test_a_wrong_setting_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is examined then."""
    monkeypatch.setenv("METRICS_PORT", "many")
    result = examined()

    assert (2, "") == (result.exit_code, result.stdout)
    assert "METRICS_PORT='many'" in result.stderr


@pytest.mark.parametrize(
    "url",
    [f"redis://:{SECRET}@127.0.0.1:{free_port()}/0", f"redis://:{SECRET}#@127.0.0.1"],
    ids=["nobody there", "unreadable"],
)
def test_redis_is_examined_beforehand_and_no_secret_is_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """With --redis, while REDIS_ENABLED is still false."""
    monkeypatch.setenv("REDIS_URL", url)
    monkeypatch.setenv("REDIS_PASSWORD", SECRET)
    result = examined("--redis")
    [told] = [
        one for line in result.stdout.splitlines() if (one := json.loads(line))["part"] == "redis"
    ]

    assert (1, "wrong") == (result.exit_code, told["status"])
    assert "pa$$" not in result.output


def test_what_stands_in_a_file_is_no_markup(tmp_path: Path) -> None:
    """Nobody who can write events colours or hides a line."""
    record = {**eve.flow(), "event_type": "[red]odd[/red]"}
    (tmp_path / "eve.json").write_bytes(eve.line(record) + b"\n")

    assert "[red]odd[/red]" in examined("--format", "table").stdout
