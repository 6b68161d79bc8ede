"""What is decided on verdicts: policy, budget, and the network in place of many neighbours."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ai_suricata.core.decision import LIVE, LedgerState, Table
from ai_suricata.respond.budget import Budget
from ai_suricata.respond.policy import Ruling, rule
from ai_suricata.respond.promotion import Neighbours, promote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ai_suricata.config.respond import RespondSettings
    from ai_suricata.core.address import Network
    from ai_suricata.core.clock import Clock
    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.respond.ledger import Ledger
    from ai_suricata.respond.protection import Protection

    Key = tuple[str, Table]

MOST_UNSAVED = 10_000
"""Decisions that wait for the disk."""
MOST_REFUSED = 10_000
"""Refusals of one table that the ledger keeps: forged sources could make millions."""


class Judge:
    """Decides, and keeps what was decided until it is durable."""

    def __init__(
        self, settings: RespondSettings, ledger: Ledger, protection: Protection, clock: Clock
    ) -> None:
        """`clock`: wall clock."""
        self.settings = settings
        self.ledger = ledger
        self.protection = protection
        self.clock = clock
        self.budget = Budget(settings)
        self.neighbours = Neighbours()
        self.bystander: Callable[[Network], str | None] = lambda _network: None
        """Names an innocent address in a network, where one is known."""
        self.unsaved: dict[Key, Ruling] = {}
        self._wanted: Counter[Table] = Counter()  # how many of them are no refusals
        self.dropped = 0
        """Decisions that were given up since this was set to 0."""
        self.exhausted: Counter[Table] = Counter()
        """Decisions that the budget has stopped since this was cleared."""
        self.reasons: dict[Table, str] = {}
        """What the budget said last."""
        ledger.follow(self.neighbours.changed)

    def recall(self) -> None:
        """Take up what the ledger knows of an earlier run."""
        entries = self.ledger.entries()
        self.budget.recall(entries, self.clock.now())
        self.neighbours.recall(entries)

    def reload(self, settings: RespondSettings) -> None:
        """Take other settings."""
        self.settings = settings
        self.budget.reload(settings)

    def decide(self, verdicts: Iterable[Verdict]) -> None:
        """Add to `unsaved` what follows from the verdicts."""
        now = self.clock.now()
        for verdict in verdicts:
            ruling = rule(verdict, self.ledger, self.protection.never_block, self.settings, now)
            if ruling is not None and not self._is_waiting(ruling):
                self._take(ruling, now)

    def promoted(self, requested: Sequence[LedgerEntry]) -> None:
        """Add to `unsaved` the networks whose addresses have offended too often by now."""
        now = self.clock.now()
        for entry in requested:
            network = promote(
                entry.decision,
                self.neighbours,
                self.ledger,
                self.protection.never_block,
                self.bystander,
                self.settings,
                now,
            )
            if network is not None:
                self._put(Ruling(network))

    def clear(self) -> int:
        """Give up what is not durable yet; return how many decisions that are."""
        count = len(self.unsaved)
        self.unsaved.clear()
        self._wanted.clear()
        return count

    def stops(self, table: Table, now: float) -> bool:
        """Say whether the budget lets nothing more into a table; `now`: wall-clock seconds."""
        full = self._standing(table) >= self.settings.blocks_total
        return full or self.budget.open(table, now)

    def saved(self, rulings: Iterable[Ruling]) -> None:
        """Let go of what is durable."""
        for ruling in rulings:
            self._drop((ruling.decision.target, ruling.decision.table))

    def _put(self, ruling: Ruling) -> None:
        key = ruling.decision.target, ruling.decision.table
        if key not in self.unsaved:
            self.unsaved[key] = ruling
            self._wanted[key[1]] += not ruling.refused

    def _drop(self, key: Key) -> None:
        ruling = self.unsaved.pop(key, None)
        if ruling is not None:
            self._wanted[key[1]] -= not ruling.refused

    def _is_waiting(self, ruling: Ruling) -> bool:
        """Whether the address was decided on in the same batch; a block goes before a limit."""
        target, table = ruling.decision.target, ruling.decision.table
        if table is Table.BLOCK:
            self._drop((target, Table.LIMIT))
        return (target, table) in self.unsaved or (target, Table.BLOCK) in self.unsaved

    def _take(self, ruling: Ruling, now: float) -> None:
        table = ruling.decision.table
        if len(self.unsaved) >= MOST_UNSAVED:
            self.dropped += 1
        elif ruling.refused:
            if self.ledger.count(table, {LedgerState.REFUSED}) < MOST_REFUSED:
                self._put(ruling)
            else:
                self.dropped += 1
        elif reason := self.budget.admit(table, now, self._standing(table)):
            self.exhausted[table] += 1
            self.reasons[table] = reason
        else:
            self._put(ruling)

    def _standing(self, table: Table) -> int:
        in_force = self.ledger.count(table, LIVE) - len(self.ledger.ended(table))
        return in_force + self._wanted[table]
