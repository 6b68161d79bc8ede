"""`ai-suricata status`: how the running daemon does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.cli.listing import Format, FormatOption, chosen, write_lines, write_table
from ai_suricata.cli.order import tell
from ai_suricata.cli.outcome import ConfigFile, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ai_suricata.respond.order import Standing


def status(*, config: ConfigFile = None, output: FormatOption = None) -> None:
    """Show what runs: paused or not, breaker, firewall, counts of the tables, and each part.

    Asks the daemon over its control socket.

    Exit codes: 0 shown, 1 the daemon does not answer, 2 a setting is wrong, 3 no daemon runs.

    Example: ai-suricata status
    """
    settings = settings_of(config)
    from msgspec import structs, to_builtins

    from ai_suricata.backend import local_state
    from ai_suricata.cli.entry import DRY_RUN
    from ai_suricata.control.order import Status
    from ai_suricata.respond.order import Standing

    standing = tell(settings, Status(), Standing)
    name, _ = local_state(settings)
    if name == DRY_RUN:  # FIREWALL=dry_run sends nothing either
        standing = structs.replace(standing, dry_run=True)
    if chosen(output) is Format.JSONL:
        write_lines([to_builtins(structs.asdict(standing))])
        return
    write_table("The daemon", ("what", "how"), _rows(standing))


def _rows(standing: Standing) -> Iterator[tuple[str, str]]:
    from ai_suricata.cli.entry import moment

    hold = standing.paused
    deciding = "yes" if standing.auto_block else "no: AUTO_BLOCK is false"
    if hold is not None:
        deciding = f"no: paused since {moment(hold.since)}: {hold.reason}"
    yield "decides", deciding
    yield "sends", "no: a dry run, nothing is sent" if standing.dry_run else "yes"
    for table, states in standing.tables.items():
        told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        budget = "; budget used up, nothing more is decided" if standing.breaker[table] else ""
        yield f"table {table}", (told or "empty") + budget
    yield "allowed", f"{standing.allowances} networks"
    if standing.unsaved:
        yield "unsaved", f"{standing.unsaved} decisions wait for the disk"
    for name in ("version", "phase", "started", "status"):
        yield name, str(standing.daemon.get(name, ""))
    yield from _parts(standing.daemon.get("parts", {}))


def _parts(parts: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for name, part in parts.items():
        yield name, f"{part.get('status', '')}: {part.get('detail', '')}"
