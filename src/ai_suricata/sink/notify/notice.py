"""What people are told: one thing that happened, in words and in figures.

Text that an attacker may have had a hand in (a signature's name, a reason) stands in `lines` and
`details` alone, and every text is cut and freed of control characters before it leaves.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from ai_suricata.core.decision import Table
from ai_suricata.core.text import visible
from ai_suricata.core.timestamp import MICROSECONDS, format_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_suricata.core.decision import LedgerEntry

MOST_TITLE = 200
"""Characters of a title that are told."""
MOST_LINES = 20
"""Lines of a notice that are told."""
MOST_LINE = 500
"""Characters of a line that are told."""
MOST_DETAILS = 16 * 1024
"""Bytes of the details, as JSON, past which they are left out."""
MOST_MEMBERS = 100
"""Members of a network that are named."""

_PERIODS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


class Kind(StrEnum):
    """What happened; the most pressing first."""

    FIREWALL_DOWN = "firewall_down"
    BLOCKED_BUT_SEEN = "blocked_but_seen"
    BUDGET_EXHAUSTED = "budget_exhausted"
    NEVER_BLOCK_LIFTED = "never_block_lifted"
    PAUSED = "paused"
    FIREWALL_UP = "firewall_up"
    BLOCKED = "blocked"
    RELEASED = "released"


WORDS = {
    Kind.FIREWALL_DOWN: "firewall down",
    Kind.BLOCKED_BUT_SEEN: "blocked but seen",
    Kind.BUDGET_EXHAUSTED: "budget exhausted",
    Kind.NEVER_BLOCK_LIFTED: "never-block lifted a block",
    Kind.PAUSED: "paused",
    Kind.FIREWALL_UP: "firewall up",
    Kind.BLOCKED: "blocked",
    Kind.RELEASED: "released",
}
"""Each kind as people call it."""


class Notice(msgspec.Struct, frozen=True):
    """One thing that happened."""

    kind: Kind
    time: float
    """Wall-clock seconds since the epoch."""
    title: str
    """One line in our own words and with addresses: nothing that an attacker wrote."""
    lines: tuple[str, ...] = ()
    """More of it, such as reasons."""
    details: dict[str, Any] = msgspec.field(default_factory=dict)
    """The same for programs: JSON types."""


def of_entry(kind: Kind, entry: LedgerEntry, time: float, note: str = "") -> Notice:
    """Return the notice of what happened to a decision: BLOCKED, RELEASED and the like.

    `time`: wall-clock seconds; `note`: what the firewall said, or who did it.
    """
    decision = entry.decision
    return Notice(
        kind,
        time,
        _title(kind, entry),
        (*decision.reasons, *((note,) if note else ())),
        {
            "target": entry.target,
            "table": decision.table.value,
            "duration_seconds": decision.duration,
            "step": decision.step,
            "score": round(decision.score, 6),
            "event_time": format_timestamp(decision.event_time),
            "reasons": list(decision.reasons[:MOST_LINES]),
            "features": decision.features,
            "model": decision.model_version,
            "by_hand": decision.by_hand,
            "members": list(decision.members[:MOST_MEMBERS]),
            "member_count": len(decision.members),
            "note": note,
        },
    )


def _title(kind: Kind, entry: LedgerEntry) -> str:
    decision = entry.decision
    done = "blocked" if decision.table is Table.BLOCK else "rate-limited"
    shared = f" ({len(decision.members)} offenders)" if decision.members else ""
    by = ", by hand" if decision.by_hand else ""
    ends = {
        Kind.BLOCKED: f"{done} for {period(decision.duration)}{by}",
        Kind.RELEASED: f"is no longer {done}",
        Kind.NEVER_BLOCK_LIFTED: f"is no longer {done}: it is never to be",
        Kind.BLOCKED_BUT_SEEN: f"is {done}, and yet it was answered",
    }
    return f"{entry.target}{shared} {ends.get(kind, WORDS[kind])}"


def period(seconds: float) -> str:
    """Return a duration in the largest unit that it is a whole number of: `10 minutes`."""
    whole = max(round(seconds), 1)
    size, unit = next((s, u) for s, u in _PERIODS if whole % s == 0)
    number = whole // size
    return f"{number} {unit}{'' if number == 1 else 's'}"


def shown(notice: Notice) -> tuple[str, list[str]]:
    """Return title and lines as people may see them: bounded, each one line."""
    lines = [visible(line, MOST_LINE) for line in notice.lines[:MOST_LINES]]
    left = len(notice.lines) - len(lines)
    return visible(notice.title, MOST_TITLE), [*lines, *([f"({left} more)"] if left else [])]


def as_json(notice: Notice) -> dict[str, Any]:
    """Return the notice as JSON types, bounded."""
    title, lines = shown(notice)
    return {
        "kind": notice.kind.value,
        "time": format_timestamp(int(notice.time * MICROSECONDS)),
        "title": title,
        "lines": lines,
        "details": _bounded(notice.details),
    }


def _bounded(details: dict[str, Any]) -> msgspec.Raw:
    """Return the details as JSON, or how much was left out: that much would be no notice."""
    try:
        encoded = msgspec.json.encode(details)
    except (TypeError, ValueError, RecursionError):  # ValueError: a surrogate, which is no UTF-8
        encoded = b'{"left_out":"no JSON"}'
    if len(encoded) > MOST_DETAILS:
        encoded = msgspec.json.encode({"left_out": f"{len(encoded)} bytes"})
    return msgspec.Raw(encoded)


def summary(notices: Iterable[Notice]) -> str:
    """Return how many of each kind, the most pressing first: `1 firewall down, 12 blocked`.

    Our own words and numbers alone: it may stand in a header.
    """
    counts = Counter(notice.kind for notice in notices)
    return ", ".join(f"{counts[kind]} {WORDS[kind]}" for kind in Kind if counts[kind])


def by_kind(notices: Sequence[Notice]) -> dict[Kind, list[Notice]]:
    """Return the notices of each kind that occurs, the most pressing kind first."""
    found = {kind: [n for n in notices if n.kind is kind] for kind in Kind}
    return {kind: some for kind, some in found.items() if some}
