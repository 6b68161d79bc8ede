"""Ledger entries for people and for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ai_suricata.cli.listing import Format, write_lines, write_table
from ai_suricata.cli.outcome import Exit, fail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.config.settings import Settings
    from ai_suricata.core.decision import LedgerEntry

DRY_RUN = "dry_run"
"""Name of the ledger of which nothing was sent."""
_COLUMNS = ("target", "table", "state", "until", "step", "score", "reasons")


def stored(settings: Settings) -> tuple[str, list[LedgerEntry]]:
    """Return (firewall, entries) of the stored ledger, or end the program with what is wrong."""
    from ai_suricata.backend import stored_ledger
    from ai_suricata.core.errors import StateError

    try:
        return stored_ledger(settings)
    except StateError as error:
        fail(Exit.FAILED, str(error))


def write_entries(title: str, entries: Sequence[LedgerEntry], name: str, output: Format) -> None:
    """Write entries of the ledger `name` as a table, or as one JSON object a line.

    Both say where nothing was sent.
    """
    if output is Format.JSONL:
        write_lines(as_object(entry, name) for entry in entries)
        return
    title = f"{title}; nothing was sent (dry run)" if name == DRY_RUN else title
    write_table(title, _COLUMNS, map(_row, entries), spared=("step", "score"))


def as_object(entry: LedgerEntry, name: str) -> dict[str, Any]:
    """Return one entry as the JSON object that `--format jsonl` writes."""
    decision = entry.decision
    return {
        "target": entry.target,
        "table": decision.table.value,
        "state": entry.state.value,
        "firewall": name,
        "dry_run": name == DRY_RUN,
        "since": moment(entry.changed_at),
        "until": moment(entry.expires_at),
        "decided": moment(decision.decided_at),
        "duration_seconds": decision.duration,
        "step": decision.step,
        "score": decision.score,
        "by_hand": decision.by_hand,
        "reasons": list(decision.reasons),
        "model": decision.model_version,
        "note": entry.note,
    }


def counted(number: int) -> str:
    """Return `1 entry` or `2 entries`."""
    return f"{number} entry" if number == 1 else f"{number} entries"


def moment(seconds: float) -> str:
    """Return wall-clock seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(entry: LedgerEntry) -> tuple[str, ...]:
    decision = entry.decision
    return (
        entry.target,
        decision.table.value,
        entry.state.value,
        moment(entry.expires_at),
        str(decision.step),
        f"{decision.score:.3f}",
        "\n".join([*decision.reasons, *([entry.note] if entry.note else [])]),
    )
