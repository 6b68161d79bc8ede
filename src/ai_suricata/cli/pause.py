"""`ai-suricata pause` and `resume`: decide nothing new until told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ai_suricata.cli.listing import Format, FormatOption, chosen, write_lines
from ai_suricata.cli.order import tell
from ai_suricata.cli.outcome import ConfigFile, settings_of

if TYPE_CHECKING:
    from ai_suricata.state.hold import Hold


def pause(
    reason: Annotated[
        str, typer.Argument(metavar="[REASON]", help="Why, for those who wonder later.")
    ] = "",
    *,
    config: ConfigFile = None,
    output: FormatOption = None,
) -> None:
    """Let the daemon decide no new blocks and rate limits until `ai-suricata resume`.

    Events are still followed and scored. What is in force stays, ends in its time, and is put back
    where something takes it out; blocks by hand work as ever. It outlives a restart
    (STATE_DIR/paused.json).

    Exit codes: 0 paused, 1 it would not outlive a restart, 2 a setting is wrong, 3 no daemon runs.

    Example: ai-suricata pause "penetration test until Friday"
    """
    settings = settings_of(config)
    from ai_suricata.control.order import Pause
    from ai_suricata.state.hold import Hold

    _write(tell(settings, Pause(reason), Hold), chosen(output), paused=True)


def resume(*, config: ConfigFile = None, output: FormatOption = None) -> None:
    """Let the daemon decide again.

    What has happened meanwhile is not made up for: whoever goes on attacking is blocked for that.

    Exit codes: 0 it decides, 1 it stays paused, 2 a setting is wrong, 3 no daemon runs.

    Example: ai-suricata resume
    """
    settings = settings_of(config)
    from ai_suricata.control.order import Resume
    from ai_suricata.state.hold import Hold

    before: Hold | None = tell(settings, Resume(), Hold | None)  # type: ignore[arg-type]
    _write(before, chosen(output), paused=False)


def _write(hold: Hold | None, output: Format, *, paused: bool) -> None:
    from ai_suricata.cli.entry import moment

    since = moment(hold.since) if hold is not None else None
    reason = hold.reason if hold is not None else None
    if output is Format.JSONL:
        write_lines([{"paused": paused, "since": since, "reason": reason}])
    elif paused:
        typer.echo(f"Paused: {reason}. `ai-suricata resume` ends it.")
    else:
        typer.echo(f"Resumed; it was paused since {since}: {reason}" if hold else "It goes on.")
