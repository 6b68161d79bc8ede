"""`ai-suricata blocks`: what is, was, or would have been on the firewall, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from ai_suricata.cli import export, order, release, show
from ai_suricata.cli.listing import FormatOption, chosen
from ai_suricata.cli.outcome import ConfigFile, settings_of

_HELP = "See what is on the firewall because of us, and why; block and unblock by hand."

app = typer.Typer(no_args_is_help=True, help=_HELP)


@app.callback(help=_HELP)
def blocks() -> None:
    """Group the commands."""


@app.command("list")
def list_blocks(
    *,
    config: ConfigFile = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also the released, watched and refused ones.")
    ] = False,
    output: FormatOption = None,
) -> None:
    """List the ledger: each address with its table, state, end, score and reasons.

    Reads the ledger's file in STATE_DIR, so it works whether the daemon runs or not.

    Example: ai-suricata blocks list --config /etc/ai-suricata/config.env --all
    """
    settings = settings_of(config)
    from ai_suricata.cli.entry import counted, stored, write_entries
    from ai_suricata.core.decision import LIVE

    name, entries = stored(settings)
    wanted = sorted(
        (e for e in entries if everything or e.state in LIVE),
        key=lambda e: (e.expires_at, e.target),
    )
    hidden = len(entries) - len(wanted)
    title = f"Ledger of {name}: {counted(len(wanted))}"
    title += f", {hidden} more with --all" if hidden else ""
    write_entries(title, wanted, name, chosen(output))


app.command("show")(show.show)
app.command("add")(order.add)
app.command("remove")(order.remove)
app.command("undo")(order.undo)
app.command("release")(release.release)
app.command("export")(export.export)
