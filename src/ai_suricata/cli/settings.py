"""`ai-suricata check-config` and `ai-suricata version`."""

from __future__ import annotations

from typing import Annotated

import typer

from ai_suricata import __version__
from ai_suricata.cli.listing import Format, FormatOption, chosen, write_lines, write_table
from ai_suricata.cli.outcome import ConfigFile, settings_of


def check_config(config: ConfigFile = None, output: FormatOption = None) -> None:
    """Print the settings in force, secrets masked; name each wrong one and its remedy.

    Exit codes: 0 all right, 2 a setting is wrong.

    Example: ai-suricata check-config --config /etc/ai-suricata/config.env
    """
    settings = settings_of(config)
    from ai_suricata.config.load import effective

    rows = list(effective(settings))
    if chosen(output) is Format.JSONL:
        keys = ("group", "variable", "value", "default")
        write_lines(dict(zip(keys, row, strict=True)) for row in rows)
        return
    write_table(
        "Settings in force",
        ("group", "variable", "value", ""),
        ((group, name, value, "default" if same else "set") for group, name, value, same in rows),
    )


def main(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Follow Suricata's eve.json, tell attackers from clients, and block them on pfSense."""
    if version:
        typer.echo(f"ai-suricata {__version__}")
        raise typer.Exit


def version() -> None:
    """Print the version.

    Example: ai-suricata version
    """
    typer.echo(f"ai-suricata {__version__}")
