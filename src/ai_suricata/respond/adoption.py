"""What becomes of our ledger entry when another instance tells of its own: a pure function.

A block of theirs is a wish here until our own firewall has proved it. A lift of theirs ends ours,
which our own enforcer then takes out of our own firewall.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from ai_suricata.core.decision import LIVE, LedgerState
from ai_suricata.core.precedence import lifted, precedence
from ai_suricata.respond.escalation import is_lifted_by_hand

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_suricata.core.decision import LedgerEntry

    Refusal: TypeAlias = Callable[[str], str | None]
    """Says why a target is not blocked here, or None where it may be."""

_LOCAL = frozenset({LedgerState.REFUSED, LedgerState.FORGOTTEN})
"""What another instance refuses or forgets says nothing about our table."""
SHARED = "decided by another instance"
LIFTED = "lifted by another instance"


def adopted(
    ours: LedgerEntry | None, theirs: LedgerEntry, now: float, refusal: Refusal
) -> LedgerEntry | None:
    """Return what takes the place of ours, or None where ours stays.

    `now`: wall-clock seconds. What was adopted once changes nothing the next time.
    """
    if lifted(theirs):
        return _lift(ours, theirs, now)
    if theirs.expires_at <= now or not _gives_way(ours, theirs):
        return None
    note = refusal(theirs.target)
    if note is not None:
        return _refused(ours, theirs, note, now)
    if ours is not None and _live(ours, now):
        # It is in our table, or on its way there, whoever's decision it is.
        return msgspec.structs.replace(
            theirs, state=ours.state, note=ours.note, foreign=ours.foreign
        )
    return msgspec.structs.replace(theirs, state=LedgerState.REQUESTED, note=SHARED, foreign=False)


def _gives_way(ours: LedgerEntry | None, theirs: LedgerEntry) -> bool:
    """Say whether a block of theirs is news.

    A refusal of ours had our own reasons: whether they still stand is asked anew.
    """
    if ours is None or ours.state is LedgerState.REFUSED:
        return True
    # When it was proved elsewhere says nothing about our firewall: the last part is left out.
    return precedence(theirs)[:3] > precedence(ours)[:3]


def _refused(
    ours: LedgerEntry | None, theirs: LedgerEntry, note: str, now: float
) -> LedgerEntry | None:
    """Record, once, what is not carried out here; what is in our table is the enforcer's to end."""
    standing = ours is not None and ours.state is LedgerState.REFUSED and ours.expires_at > now
    if standing or (ours is not None and ours.state in LIVE):
        return None
    return msgspec.structs.replace(theirs, state=LedgerState.REFUSED, note=note)


def _lift(ours: LedgerEntry | None, theirs: LedgerEntry, now: float) -> LedgerEntry | None:
    if theirs.state in _LOCAL:
        return None
    if ours is not None and precedence(theirs) <= precedence(ours):
        return None
    if ours is not None and ours.state in LIVE:
        return _ended(ours, theirs, now) if ours.expires_at > now else None
    watched = theirs.state is LedgerState.WATCHED and theirs.expires_at > now
    return theirs if watched else None


def _ended(ours: LedgerEntry, theirs: LedgerEntry, now: float) -> LedgerEntry:
    """Let ours end now. It may still be in our table, so it is not theirs that takes its place."""
    note = f"{theirs.note}; {LIFTED}" if is_lifted_by_hand(theirs) else LIFTED
    return msgspec.structs.replace(ours, changed_at=theirs.changed_at, expires_at=now, note=note)


def _live(entry: LedgerEntry, now: float) -> bool:
    """Say whether it is, or is to be, in our table; what has ended may be leaving it just now."""
    return entry.state in LIVE and entry.expires_at > now
