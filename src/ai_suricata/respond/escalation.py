"""How long: each return within the time of watching costs the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.core.decision import LedgerState

if TYPE_CHECKING:
    from ai_suricata.core.decision import LedgerEntry

STEPS = (600.0, 3_600.0, 86_400.0, 604_800.0)
"""Seconds: 10 minutes, 1 hour, 24 hours, 7 days."""


def next_step(previous: LedgerEntry | None, now: float) -> int:
    """Return the step, from 0, for an address whose latest entry is `previous`.

    A refusal was not carried out: the step is the one that it would have been, so that what came
    before it is not forgotten. `now`: wall-clock seconds.
    """
    if previous is None or previous.expires_at <= now:
        return 0
    returned = previous.state is not LedgerState.REFUSED
    return min(previous.decision.step + returned, len(STEPS) - 1)


def duration_of(step: int, fixed: float | None) -> float:
    """Return the seconds of a step, or the fixed duration where the operator set one."""
    return fixed if fixed is not None else STEPS[step]
