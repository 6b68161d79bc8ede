"""Which of two copies of a ledger entry stands, where instances share their ledgers.

The later decision goes first, and of one decision the lift goes before the block. The time of the
latest change alone would bring back what was lifted: an instance that could not hear of the lift
goes on proving the block, and each proof is newer than the lift. For the same reason it does not
matter whether the clocks of two instances agree about which change came first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.core.decision import LIVE

if TYPE_CHECKING:
    from ai_suricata.core.decision import LedgerEntry

Precedence = tuple[float, bool, float, float]


def lifted(entry: LedgerEntry) -> bool:
    """Say whether the block is over, or was ended before its time and waits to be taken out."""
    return entry.state not in LIVE or entry.expires_at < _natural_end(entry)


def precedence(entry: LedgerEntry) -> Precedence:
    """Return what is greater for the copy that stands; no clock is asked, so all agree.

    Decision, lift, end (the longest watching), change: forgetting follows watching.
    """
    return entry.decision.decided_at, lifted(entry), entry.expires_at, entry.changed_at


def matters_until(entry: LedgerEntry) -> float:
    """Return the wall-clock seconds from which on another copy of the decision can't block.

    A lift has to be known for as long as any copy of its block would last.
    """
    return max(entry.expires_at, _natural_end(entry))


def _natural_end(entry: LedgerEntry) -> float:
    return entry.decision.decided_at + entry.decision.duration
