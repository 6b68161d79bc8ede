"""How long: each return within the time of watching costs the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.core.decision import LedgerState

if TYPE_CHECKING:
    from ai_suricata.core.decision import LedgerEntry

STEPS = (600.0, 3_600.0, 86_400.0, 604_800.0)
"""Seconds: 10 minutes, 1 hour, 24 hours, 7 days."""
REPRIEVE = 3_600.0
"""Seconds after a lift by hand in which nothing is decided anew on whom it was for.

What is known of the address has not changed by it: the very next event would bring the block back.
"""
_LEAVING = frozenset({LedgerState.ENFORCED})
LIFTED_BY_HAND = "lifted by hand"
"""How the note begins of what an operator has lifted."""


def next_step(previous: LedgerEntry | None, now: float) -> int:
    """Return the step, from 0, for an address whose latest entry is `previous`.

    A refusal was not carried out: the step is the one that it would have been, so that what came
    before it is not forgotten. A lift by hand says that the block was wrong, so it counts no more
    than a refusal. One that was proved and whose time is over has not been watched yet: whoever is
    at it again has returned. `now`: wall-clock seconds.
    """
    if previous is None or (previous.expires_at <= now and previous.state not in _LEAVING):
        return 0
    returned = previous.state is not LedgerState.REFUSED and not is_lifted_by_hand(previous)
    return min(previous.decision.step + returned, len(STEPS) - 1)


def duration_of(step: int, fixed: float | None) -> float:
    """Return the seconds of a step, or the fixed duration where the operator set one."""
    return fixed if fixed is not None else STEPS[step]


def is_lifted_by_hand(entry: LedgerEntry | None) -> bool:
    """Say whether an operator has lifted it, be it watched already or still to be taken out."""
    return entry is not None and entry.note.startswith(LIFTED_BY_HAND)
