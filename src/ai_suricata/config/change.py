"""What of new settings can be taken while the daemon runs, and what waits for its next start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ai_suricata.config.load import groups, variables

if TYPE_CHECKING:
    from ai_suricata.config.settings import Settings

AT_ONCE = frozenset(
    {
        "CRITICAL_THRESHOLD",
        "HIGH_THRESHOLD",
        "MEDIUM_THRESHOLD",
        "LOW_THRESHOLD",
        "SPOOF_GUARD",
        "AUTO_BLOCK",
        "BLOCK_DURATION",
        "RATE_LIMIT_DURATION",
        "NEVER_BLOCK",
        "NEVER_BLOCK_REFRESH",
        "BLOCKS_PER_MINUTE",
        "BLOCKS_TOTAL",
        "BUDGET_PAUSE",
        "PROMOTE_IPV4",
        "PROMOTE_IPV6",
        "RECONCILE_INTERVAL",
        "ON_STOP",
        "LOG_LEVEL",
        "LOG_FORMAT",
    }
)
"""Variables that take effect without a restart."""


@dataclass(frozen=True, slots=True)
class Change:
    """The settings that hold from now on, and the names of the variables that differ."""

    settings: Settings
    taken: tuple[str, ...]
    later: tuple[str, ...]
    """Changed, and without effect before a restart."""


def change(old: Settings, new: Settings) -> Change:
    """Return `old` with what of `new` can be taken at once."""
    taken: list[str] = []
    later: list[str] = []
    updates: dict[str, dict[str, Any]] = {group: {} for group in groups()}
    for name, (group, field, _) in variables().items():
        value = getattr(getattr(new, group), field)
        if value == getattr(getattr(old, group), field):
            continue
        if name in AT_ONCE:
            taken.append(name)
            updates[group][field] = value
        else:
            later.append(name)
    kept = {
        group: getattr(old, group).model_copy(update=update) for group, update in updates.items()
    }
    return Change(old.model_copy(update=kept), tuple(taken), tuple(later))
