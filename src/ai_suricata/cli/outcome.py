"""How a command ends: exit codes that scripts can use, and errors in words on standard error."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from ai_suricata.config.settings import Settings


class Exit(IntEnum):
    """Exit codes."""

    OK = 0
    FAILED = 1
    USAGE = 2
    """A setting or an argument is wrong; nothing was started."""
    NO_DAEMON = 3
    """The command needs the daemon, and none runs."""


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The config.env to read. Without it: ./config.env, where there is one.",
    ),
]

_DEFAULT = Path("config.env")


def fail(code: Exit, *sentences: str) -> NoReturn:
    """Say what is wrong and end with `code`."""
    warn(*sentences)
    raise typer.Exit(code)


def warn(*sentences: str) -> None:
    """Say it on standard error; files and firewalls have a say in it, terminals obey neither."""
    from ai_suricata.core.text import visible_lines

    for sentence in sentences:
        typer.echo(f"ai-suricata: {visible_lines(sentence)}", err=True)


def load_settings(config: Path | None, **environment: str) -> Settings:
    """Return the settings of the file, or of ./config.env, with the environment over them.

    `environment`: variables that a command's own options set. Raises `ConfigError`.
    """
    import os

    from ai_suricata.config.load import load

    path = config if config is not None or not _DEFAULT.exists() else _DEFAULT
    return load(path, {**os.environ, **environment})


def settings_of(config: Path | None, **environment: str) -> Settings:
    """Return the settings as `load_settings`, or end the program naming each wrong one."""
    from ai_suricata.core.errors import ConfigError

    try:
        return load_settings(config, **environment)
    except ConfigError as error:
        fail(Exit.USAGE, *error.problems)
