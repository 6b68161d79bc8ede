"""`ai-suricata check-config`: the settings in force."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from ai_suricata.cli.app import app
from ai_suricata.config.load import MASK, variables

if TYPE_CHECKING:
    from pathlib import Path


SECRET = "pa$$w0rd with 'everything'"  # noqa: S105 - it must not be seen


def checked(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["check-config", *arguments])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder: ./config.env is read where there is one."""
    monkeypatch.chdir(tmp_path)
    for name in variables():
        monkeypatch.delenv(name, raising=False)


def test_every_setting_is_shown_with_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """And whether it is the default."""
    monkeypatch.setenv("BATCH_SIZE", "7")
    rows = {row["variable"]: row for row in map(json.loads, checked().stdout.splitlines())}

    assert variables().keys() == rows.keys()
    assert {"group": "source", "variable": "BATCH_SIZE", "value": "7", "default": False} == rows[
        "BATCH_SIZE"
    ]
    assert rows["EVE_START"]["default"]


@pytest.mark.parametrize("output", ["table", "jsonl"])
def test_secrets_are_masked(output: str, tmp_path: Path) -> None:
    """Wherever they come from."""
    config = tmp_path / "other.env"
    config.write_text(f'REDIS_PASSWORD="{SECRET}"\nREDIS_URL=redis://:{SECRET}@host\n')
    result = checked("--config", str(config), "--format", output)

    assert 0 == result.exit_code
    assert MASK in result.stdout
    assert "pa$$" not in result.output


def test_a_wrong_secret_is_not_shown_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other mistakes are named beside it."""
    monkeypatch.setenv("REDIS_PASSWORD", SECRET)
    monkeypatch.setenv("REDIS_PORT", "many")
    result = checked()

    assert 2 == result.exit_code
    assert "REDIS_PORT='many'" in result.stderr
    assert "pa$$" not in result.output


def test_each_wrong_setting_is_named_with_its_remedy(tmp_path: Path) -> None:
    """All at once, with the nearest known name for a misspelled one."""
    (tmp_path / "config.env").write_text("BATCH_SIZ=7\nAUTO_BLOCK=maybe\nFIREWALL=pfsense\n")
    result = checked()

    assert 2 == result.exit_code
    assert 3 == len(result.stderr.splitlines())
    assert "did you mean BATCH_SIZE?" in result.stderr
    assert "AUTO_BLOCK='maybe'" in result.stderr
    assert "PFSENSE_KNOWN_HOSTS is missing" in result.stderr


def test_the_config_of_the_folder_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --config."""
    (tmp_path / "config.env").write_text("BATCH_SIZE=7\nMAX_SOURCES=500\n")
    monkeypatch.setenv("MAX_SOURCES", "600")
    rows = {row["variable"]: row["value"] for row in map(json.loads, checked().stdout.splitlines())}

    assert ("7", "600") == (rows["BATCH_SIZE"], rows["MAX_SOURCES"])


def test_a_config_that_is_missing_is_named(tmp_path: Path) -> None:
    """It was asked for."""
    result = checked("--config", str(tmp_path / "none.env"))

    assert 2 == result.exit_code
    assert "none.env can't be read" in result.stderr
