"""From a verdict to a decision: a pure function, and the only place where it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ai_suricata.core.decision import LIVE, Decision, LedgerState, Table
from ai_suricata.core.timestamp import MICROSECONDS
from ai_suricata.core.verdict import Action
from ai_suricata.respond.budget import BUDGET
from ai_suricata.respond.escalation import REPRIEVE, duration_of, is_lifted_by_hand, next_step

if TYPE_CHECKING:
    from ai_suricata.config.respond import RespondSettings
    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.respond.never_block import NeverBlock

TABLE_OF_ACTION = {Action.BLOCK: Table.BLOCK, Action.RATE_LIMIT: Table.LIMIT}


class History(Protocol):
    """What was decided before: the ledger, for whoever only looks things up in it."""

    def latest(self, target: str, table: Table) -> LedgerEntry | None:
        """Return the latest entry of a target in a table."""
        ...

    def covering(self, target: str, table: Table) -> LedgerEntry | None:
        """Return the live entry of a network that holds the target, or None."""
        ...


class BlankHistory:
    """The history of a replay, and of a first start: nothing was decided yet."""

    def latest(self, target: str, table: Table) -> None:
        """Know nothing of the target."""

    def covering(self, target: str, table: Table) -> None:
        """Know no network."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision, and why it is not to be carried out, where it is not."""

    decision: Decision
    refused: str = ""


def rule(
    verdict: Verdict,
    history: History,
    never_block: NeverBlock,
    settings: RespondSettings,
    now: float,
) -> Ruling | None:
    """Return what follows from a verdict, or None where nothing new does.

    `now`: wall-clock seconds. How old a verdict is goes by when its event was written.

    An address that is in the table already, itself or with its network, gets no second ruling, and
    a blocked one is not rate-limited besides; who has put it there, daemon or operator, is the
    same. On what an operator has lifted by hand nothing is decided anew for an hour of event time.
    A refusal is told once; it stands in the way only as long as there is a reason for it: whoever
    is refused for old events is blocked for new ones.
    """
    table = TABLE_OF_ACTION.get(verdict.action)
    if table is None or verdict.home:
        return None
    if _is_held(verdict.address, table, history, now) or _is_pardoned(verdict, history):
        return None
    previous = history.latest(verdict.address, table)
    decision = _decision(verdict, table, next_step(previous, now), settings, now)
    refused = _refusal(decision, never_block, now - decision.seen_at)
    if refused and _is_told(previous, now):
        return None
    return Ruling(decision, refused)


def is_live(entry: LedgerEntry | None, now: float) -> bool:
    """Whether the target is to be in the table now.

    One whose time is over may be there still, since a firewall is away: that shields nobody.
    """
    return entry is not None and entry.state in LIVE and entry.expires_at > now


def is_spent(evidence: int, lift: LedgerEntry | None) -> bool:
    """Whether an operator has lifted the block, so late that the evidence does not count.

    `evidence`: event time, microseconds since the epoch.
    """
    if lift is None or not is_lifted_by_hand(lift):
        return False
    return evidence <= (lift.changed_at + REPRIEVE) * MICROSECONDS


def _is_held(address: str, table: Table, history: History, now: float) -> bool:
    """Whether the address is in this table already, or blocked, which is more."""
    return any(
        is_live(history.latest(address, held), now) or is_live(history.covering(address, held), now)
        for held in {table, Table.BLOCK}
    )


def _is_pardoned(verdict: Verdict, history: History) -> bool:
    """Whether the operator has let go of the address, from whichever table."""
    return any(is_spent(verdict.time, history.latest(verdict.address, table)) for table in Table)


def _decision(
    verdict: Verdict, table: Table, step: int, settings: RespondSettings, now: float
) -> Decision:
    fixed = settings.block_duration if table is Table.BLOCK else settings.limit_duration
    return Decision(
        target=verdict.address,
        table=table,
        duration=duration_of(step, fixed),
        step=step,
        decided_at=now,
        event_time=verdict.time,
        score=verdict.score,
        reasons=verdict.reasons,
        model_version=verdict.model_version,
        written=verdict.written,
        features=dict(verdict.features),
    )


def _refusal(decision: Decision, never_block: NeverBlock, age: float) -> str:
    reason = never_block.reason_for_text(decision.target)
    if reason is not None:
        return f"never blocked: {reason}"
    if age > decision.duration:
        return f"{age:.0f} s old, and it would have ended after {decision.duration:.0f} s"
    return ""


def _is_told(entry: LedgerEntry | None, now: float) -> bool:
    """Whether the ledger has a refusal that still stands.

    Want of budget is another reason than those of a ruling: it says nothing about the address.
    """
    return (
        entry is not None
        and entry.state is LedgerState.REFUSED
        and now < entry.expires_at
        and not entry.note.startswith(BUDGET)
    )
