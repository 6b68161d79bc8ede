"""`ai-suricata allow`: the operator's never-block list at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ai_suricata.cli.argument import Network  # noqa: TC001 - typer reads annotations when it runs
from ai_suricata.cli.listing import Format, FormatOption, chosen, write_lines, write_table
from ai_suricata.cli.order import tell, write_outcome
from ai_suricata.cli.outcome import ConfigFile, Exit, fail, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_suricata.state.allowance import Allowance

_HELP = "Name networks that are never blocked, besides NEVER_BLOCK, while the daemon runs."

app = typer.Typer(no_args_is_help=True, help=_HELP)


@app.callback(help=_HELP)
def allow() -> None:
    """Group the commands."""


@app.command("list")
def list_allowed(*, config: ConfigFile = None, output: FormatOption = None) -> None:
    """List the networks that were named with `allow add`, the oldest first.

    Reads STATE_DIR/allow.json, so it works whether the daemon runs or not.

    Exit codes: 0 listed, 1 the file can't be read, 2 a setting is wrong.

    Example: ai-suricata allow list
    """
    settings = settings_of(config)
    from ai_suricata.core.errors import StateError
    from ai_suricata.state.allowance import AllowanceFile

    try:
        found = AllowanceFile(settings.state.directory / "allow.json").read()
    except StateError as error:
        fail(Exit.FAILED, str(error))
    _write("Never blocked, by `allow add`", found, chosen(output))


@app.command("add")
def add(
    network: Network,
    *,
    config: ConfigFile = None,
    comment: Annotated[str, typer.Option("--comment", metavar="TEXT", help="Who it is.")] = "",
    output: FormatOption = None,
) -> None:
    """Never block an address or a network from now on; what it touches is lifted at once.

    It outlives a restart. What was blocked by hand is lifted, too. Networks that are never to be
    blocked whatever happens to STATE_DIR belong into NEVER_BLOCK.

    Exit codes: 0 done, and what was lifted is off the firewall, 1 not, or not confirmed yet, 2 an
    argument or a setting is wrong, 3 no daemon runs.

    Example: ai-suricata allow add 198.51.100.0/28 --comment "the branch office"
    """
    settings = settings_of(config)
    from ai_suricata.control.order import Allow
    from ai_suricata.respond.order import Outcome

    outcome = tell(settings, Allow(network, comment), Outcome)
    title = "Lifted, since it is never blocked now"
    write_outcome(settings, outcome, title, output, yet="not off the firewall yet")


@app.command("remove")
def remove(network: Network, *, config: ConfigFile = None, output: FormatOption = None) -> None:
    """Take a network off the list, as `allow list` shows it; it may then be blocked.

    Exit codes: 0 done, 1 it was not on the list, 2 an argument or a setting is wrong, 3 no daemon
    runs.

    Example: ai-suricata allow remove 198.51.100.0/28
    """
    settings = settings_of(config)
    from ai_suricata.control.order import Disallow
    from ai_suricata.state.allowance import Allowance

    gone = tell(settings, Disallow(network), Allowance)
    _write("Taken off the list", [gone], chosen(output))


def _write(title: str, allowances: Iterable[Allowance], output: Format) -> None:
    from ai_suricata.cli.entry import moment

    rows = [(each.network, moment(each.since), each.comment) for each in allowances]
    if output is Format.JSONL:
        write_lines(dict(zip(("network", "since", "comment"), row, strict=True)) for row in rows)
    else:
        write_table(title, ("network", "since", "comment"), rows)
