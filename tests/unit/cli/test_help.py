"""The help of each command: an example, and quick."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ai_suricata import __version__
from ai_suricata.cli.app import app

COMMANDS = (
    "run",
    "check-config",
    "doctor",
    "replay",
    "train",
    "evaluate",
    "models list",
    "models show",
    "models promote",
    "models rollback",
    "models diff",
    "demo",
    "status",
    "blocks list",
    "blocks show",
    "blocks add",
    "blocks remove",
    "blocks undo",
    "blocks release",
    "blocks export",
    "allow list",
    "allow add",
    "allow remove",
    "pause",
    "resume",
    "alerts list",
    "alerts show",
    "version",
)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def help_of(command: str) -> str:
    """Return the help of a command as one line of plain text."""
    result = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "120"})
    assert 0 == result.exit_code
    return " ".join(ANSI.sub("", result.stdout).split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_of_the_command(command: str) -> None:
    """One that can be typed as it stands."""
    assert f"Example: ai-suricata {command}" in help_of(command)


@pytest.mark.parametrize(
    "command", [one for one in COMMANDS if one not in {"version", "blocks list"}]
)
def test_help_tells_the_exit_codes(command: str) -> None:
    """Scripts rely on them."""
    assert "Exit codes: 0" in help_of(command)


def test_all_commands_are_known() -> None:
    """The list above is that of the program."""
    named = {
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    }
    groups = {group.name for group in app.registered_groups}

    assert {command.split()[0] for command in COMMANDS} == named | groups


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_nothing_heavy(command: str) -> None:
    """Neither numpy nor scikit-learn nor an SSH client, to print a page of text."""
    code = (
        "import sys, json, contextlib, io\n"
        "from ai_suricata.__main__ import main\n"
        f"sys.argv = ['ai-suricata', *{command.split()!r}, '--help']\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    loaded = set(json.loads(done.stdout))

    assert "ai_suricata.cli.app" in loaded
    assert set() == loaded & {
        "numpy",
        "sklearn",
        "asyncssh",
        "redis",
        "uvloop",
        "ai_suricata.daemon",
    }


def test_version_is_that_of_the_package() -> None:
    """One line."""
    assert f"ai-suricata {__version__}\n" == CliRunner().invoke(app, ["version"]).stdout


def test_without_a_command_the_help_is_shown() -> None:
    """And a wrong one is a usage error."""
    assert "check-config" in CliRunner().invoke(app, []).output
    assert 2 == CliRunner().invoke(app, ["blok"]).exit_code
