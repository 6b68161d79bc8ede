"""From a verdict to a decision: a pure function, and the only place where it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ai_suricata.core.decision import LIVE, Decision, LedgerState, Table
from ai_suricata.core.timestamp import MICROSECONDS
from ai_suricata.core.verdict import Action
from ai_suricata.respond.escalation import duration_of, next_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_suricata.config.settings import RespondSettings
    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.respond.never_block import NeverBlock

    Latest = Callable[[str, Table], LedgerEntry | None]
    """Looks up the latest entry of a target in a table."""

TABLE_OF_ACTION = {Action.BLOCK: Table.BLOCK, Action.RATE_LIMIT: Table.LIMIT}


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision, and why it is not to be carried out, where it is not."""

    decision: Decision
    refused: str = ""


def rule(
    verdict: Verdict,
    latest: Latest,
    never_block: NeverBlock,
    settings: RespondSettings,
    now: float,
) -> Ruling | None:
    """Return what follows from a verdict, or None where nothing new does.

    `now`: wall-clock seconds. How old a verdict is goes by when its event was written.

    An address that is in the table already gets no second ruling, and a blocked one is not
    rate-limited besides. A refusal is told once; it stands in the way only
    as long as there is a reason for it: whoever is refused for old events is blocked for new ones.
    """
    table = TABLE_OF_ACTION.get(verdict.action)
    if table is None or verdict.home:
        return None
    previous = latest(verdict.address, table)
    blocked = latest(verdict.address, Table.BLOCK)
    if _live(previous, now) or (table is Table.LIMIT and _live(blocked, now)):
        return None
    step = next_step(previous, now)
    fixed = settings.block_duration if table is Table.BLOCK else settings.limit_duration
    decision = Decision(
        target=verdict.address,
        table=table,
        duration=duration_of(step, fixed),
        step=step,
        decided_at=now,
        event_time=verdict.time,
        score=verdict.score,
        reasons=verdict.reasons,
        model_version=verdict.model_version,
    )
    seen = verdict.time if verdict.written < 0 else verdict.written
    refused = _refusal(decision, never_block, now - seen / MICROSECONDS)
    if refused and _is_told(previous, now):
        return None
    return Ruling(decision, refused)


def _refusal(decision: Decision, never_block: NeverBlock, age: float) -> str:
    reason = never_block.reason_for_text(decision.target)
    if reason is not None:
        return f"never blocked: {reason}"
    if age > decision.duration:
        return f"{age:.0f} s old, and it would have ended after {decision.duration:.0f} s"
    return ""


def _live(entry: LedgerEntry | None, now: float) -> bool:
    """Whether the address is in the table, or on its way there; a wish that ran out is not."""
    if entry is None or entry.state not in LIVE:
        return False
    return entry.state is LedgerState.ENFORCED or entry.expires_at > now


def _is_told(entry: LedgerEntry | None, now: float) -> bool:
    """Whether the ledger has a refusal that still stands."""
    return entry is not None and entry.state is LedgerState.REFUSED and now < entry.expires_at
