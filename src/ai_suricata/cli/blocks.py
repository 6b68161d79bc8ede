"""`ai-suricata blocks`: what is, was, or would have been on the firewall, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_suricata.cli.listing import Format, FormatOption, chosen, write_lines, write_table
from ai_suricata.cli.outcome import ConfigFile, Exit, fail, settings_of

if TYPE_CHECKING:
    from ai_suricata.core.decision import LedgerEntry

app = typer.Typer(no_args_is_help=True, help="List what is on the firewall because of us, and why.")


@app.callback()
def blocks() -> None:
    """List what is on the firewall because of us, and why."""


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
    from ai_suricata.backend import stored_ledger
    from ai_suricata.core.decision import LIVE
    from ai_suricata.core.errors import StateError

    try:
        name, entries = stored_ledger(settings)
    except StateError as error:
        fail(Exit.FAILED, str(error))
    wanted = sorted(
        (e for e in entries if everything or e.state in LIVE),
        key=lambda e: (e.expires_at, e.target),
    )
    if chosen(output) is Format.JSONL:
        write_lines(as_object(entry, name) for entry in wanted)
        return
    hidden = len(entries) - len(wanted)
    title = f"Ledger of {name}: {len(wanted)} entries"
    title += f", {hidden} more with --all" if hidden else ""
    write_table(
        f"{title}; nothing was sent" if name == "dry_run" else title,
        ("target", "table", "state", "until", "step", "score", "reasons"),
        (
            (
                e.target,
                e.decision.table.value,
                e.state.value,
                _moment(e.expires_at),
                str(e.decision.step),
                f"{e.decision.score:.3f}",
                "\n".join([*e.decision.reasons, *([e.note] if e.note else [])]),
            )
            for e in wanted
        ),
        spared=("step", "score"),
    )


def as_object(entry: LedgerEntry, name: str) -> dict[str, Any]:
    """Return one entry as the JSON object that `--format jsonl` writes."""
    decision = entry.decision
    return {
        "target": entry.target,
        "table": decision.table.value,
        "state": entry.state.value,
        "firewall": name,
        "since": _moment(entry.changed_at),
        "until": _moment(entry.expires_at),
        "decided": _moment(decision.decided_at),
        "duration_seconds": decision.duration,
        "step": decision.step,
        "score": decision.score,
        "reasons": list(decision.reasons),
        "model": decision.model_version,
        "note": entry.note,
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
