"""`ai-suricata blocks export`: the blocked targets, for another firewall or a spreadsheet."""

from __future__ import annotations

import sys
from enum import StrEnum
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated

import typer

from ai_suricata.cli.outcome import ConfigFile, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ai_suricata.core.address import Target
    from ai_suricata.core.decision import LedgerEntry, Table

    Writer = Callable[[Sequence[LedgerEntry], Table, str, float], str]


class Dialect(StrEnum):
    """What is written."""

    PF = "pf"
    NFT = "nft"
    CSV = "csv"
    JSON = "json"


def export(
    *,
    config: ConfigFile = None,
    dialect: Annotated[
        Dialect, typer.Option("--format", help="pf, nft, csv or json: see above.")
    ] = Dialect.PF,
    limit: Annotated[
        bool, typer.Option("--limit", help="The rate-limit table, not the block table.")
    ] = False,
) -> None:
    """Write what is in the block table now, because of us, to standard output.

    pf: one target a line, for `pfctl -t TABLE -T add -f FILE` or a URL table; nft: commands for
    `nft -f FILE`, with what is left of each block as its timeout, networks in one another cut so
    that none overlaps; csv: a header and one line each; json: one array. What has ended is left
    out.

    Reads the ledger's file in STATE_DIR, so it works whether the daemon runs or not.

    Exit codes: 0 written, 1 the ledger can't be read, 2 a setting is wrong.

    Example: ai-suricata blocks export --format nft > blocked.nft
    """
    settings = settings_of(config)
    from ai_suricata.cli.entry import stored
    from ai_suricata.core.clock import SystemClock
    from ai_suricata.core.decision import LIVE, Table

    name, entries = stored(settings)
    table, now = (Table.LIMIT if limit else Table.BLOCK), SystemClock().now()
    live = [
        entry
        for entry in entries
        if entry.decision.table is table and entry.state in LIVE and entry.expires_at > now
    ]
    place = settings.firewall.nft_table if dialect is Dialect.NFT else name
    sys.stdout.write(_WRITERS[dialect](live, table, place, now))


def _pf(entries: Sequence[LedgerEntry], _table: Table, _name: str, _now: float) -> str:
    return "".join(f"{entry.target}\n" for entry in entries)


def _nft(entries: Sequence[LedgerEntry], table: Table, name: str, now: float) -> str:
    """Write one command an element: one that nft refuses names its own line."""
    from ai_suricata.core.address import parse_target
    from ai_suricata.firewall.ruleset import FAMILY, set_of

    left = {parse_target(entry.target): entry.expires_at - now for entry in entries}
    elements = [(set_of(table, target), target, seconds) for target, seconds in _cut(left)]
    elements.sort(key=itemgetter(0))
    lines = [
        f"add element {FAMILY} {name} {part} {{ {target} timeout {max(1, int(seconds))}s }}\n"
        for part, target, seconds in elements
    ]
    return "".join(lines)


def _cut(left: Mapping[Target, float]) -> list[tuple[Target, float]]:
    """Return the same with networks that don't overlap: else nft loads nothing of the file."""
    from ipaddress import IPv4Network, IPv6Network

    from ai_suricata.firewall.overlap import disjoint

    return [
        *((t, s) for t, s in left.items() if not isinstance(t, IPv4Network | IPv6Network)),
        *disjoint({t: s for t, s in left.items() if isinstance(t, IPv4Network)}).items(),
        *disjoint({t: s for t, s in left.items() if isinstance(t, IPv6Network)}).items(),
    ]


def _csv(entries: Sequence[LedgerEntry], _table: Table, name: str, _now: float) -> str:
    import csv
    import io

    from ai_suricata.cli.entry import as_object

    fields = ("target", "table", "state", "since", "until", "step", "score", "by_hand", "reasons")
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        reasons = "; ".join(entry.decision.reasons)
        writer.writerow({**as_object(entry, name), "reasons": _as_text(reasons)})
    return text.getvalue()


def _json(entries: Sequence[LedgerEntry], _table: Table, name: str, _now: float) -> str:
    import orjson

    from ai_suricata.cli.entry import as_object

    objects = [as_object(entry, name) for entry in entries]
    return orjson.dumps(objects, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _as_text(words: str) -> str:
    """Keep a spreadsheet from reading a reason as a formula: an attacker may have a say in it."""
    return f"'{words}" if words.startswith(("=", "+", "-", "@")) else words


_WRITERS: dict[Dialect, Writer] = {
    Dialect.PF: _pf,
    Dialect.NFT: _nft,
    Dialect.CSV: _csv,
    Dialect.JSON: _json,
}
