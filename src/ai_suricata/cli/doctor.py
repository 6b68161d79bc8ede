"""`ai-suricata doctor`: is all there that the daemon needs, and what to do where it is not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from ai_suricata.cli.listing import Format, FormatOption, chosen, write_lines
from ai_suricata.cli.outcome import ConfigFile, Exit, settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.doctor.finding import Finding

_STYLE = {"ok": "green", "warning": "yellow", "wrong": "bold red"}


def doctor(
    *,
    config: ConfigFile = None,
    redis: Annotated[
        bool, typer.Option("--redis", help="Examine Redis, although REDIS_ENABLED is false.")
    ] = False,
    output: FormatOption = None,
) -> None:
    """Examine state directory, eve.json, metrics port, firewall and Redis; change nothing.

    One line for each finding: part, status (ok, warning, wrong), what was found, what to do.
    Run it as the user of the daemon: rights are those of who asks.

    Exit codes: 0 nothing is wrong, 1 something is, 2 a setting is wrong.

    Example: ai-suricata doctor --config /etc/ai-suricata/config.env
    """
    settings = settings_of(config)
    from ai_suricata.core.clock import SystemClock
    from ai_suricata.doctor.examination import checks, examine
    from ai_suricata.telemetry.logs import configure

    # The findings say it all: what the daemon would log meanwhile is left out.
    configure(settings.telemetry.model_copy(update={"log_level": "CRITICAL"}))
    found = asyncio.run(examine(checks(settings, SystemClock(), redis=redis)))
    _write(found, chosen(output))
    if any(finding.status == "wrong" for finding in found):
        raise typer.Exit(Exit.FAILED)


def _write(found: Sequence[Finding], output: Format) -> None:
    if output is Format.JSONL:
        from msgspec import structs

        write_lines(structs.asdict(finding) for finding in found)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Examination", title_justify="left")
    for column in ("part", "status", "finding", "remedy"):
        table.add_column(column, overflow="fold")
    for finding in found:
        # Text, not markup: the names of event types stand in a file that others write.
        words = (finding.part, finding.status.value, finding.sentence, finding.remedy)
        cells = [Text(word) for word in words]
        cells[1].stylize(_STYLE[finding.status.value])
        table.add_row(*cells)
    console = Console()
    console.print(table, width=None if console.is_terminal else 160)
