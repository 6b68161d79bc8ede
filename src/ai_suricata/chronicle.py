"""Tells what was done: log, audit line and metrics for each change of a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.core.timestamp import MICROSECONDS
from ai_suricata.respond.enforcer import PUT_BACK
from ai_suricata.telemetry.health import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.core.clock import Clock
    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.respond.ledger import Ledger
    from ai_suricata.sink.audit import AuditLog
    from ai_suricata.telemetry.health import Health
    from ai_suricata.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

_MOST_LINES = 20
"""Log lines for one batch of changes; the audit log has them all."""


class Chronicle:
    """Implements `respond.enforcer.Witness`."""

    def __init__(  # noqa: PLR0913 - all who are told
        self,
        ledger: Ledger,
        audit: AuditLog,
        metrics: Metrics,
        health: Health,
        clock: Clock,
        *,
        real: bool,
    ) -> None:
        """`real`: whether decisions reach a firewall, rather than a dry run."""
        self._ledger = ledger
        self._audit = audit
        self._metrics = metrics
        self._health = health
        self._clock = clock
        self._real = real

    def changed(self, entries: Sequence[LedgerEntry], state: LedgerState, note: str) -> None:
        """Tell that the entries have gone into `state`."""
        if not entries:
            return
        self._audit.write(entries, state, note)
        self._count(entries, state, note)
        for entry in entries[:_MOST_LINES]:
            decision = entry.decision
            log.info(
                "decision" if self._real else "decision (dry run)",
                state=state.value,
                target=entry.target,
                table=decision.table.value,
                seconds=decision.duration,
                score=round(decision.score, 3),
                reasons=list(decision.reasons),
                **({"note": note} if note else {}),
            )
        if len(entries) > _MOST_LINES:
            log.info(
                "more decisions of the kind", state=state.value, count=len(entries) - _MOST_LINES
            )

    def firewall(self, problem: str | None) -> None:
        """Tell how the firewall does."""
        if self._real:
            self._metrics.firewall(up=problem is None)
        said = "answers" if self._real else "dry run: nothing is sent"
        self._health.set("firewall", Status.DEGRADED if problem else Status.OK, problem or said)
        self._count_active()

    def ledger(self, problem: str | None) -> None:
        """Tell how the ledger does."""
        status = Status.DEGRADED if problem else Status.OK
        self._health.set("ledger", status, problem or "written")

    def _count(self, entries: Sequence[LedgerEntry], state: LedgerState, note: str) -> None:
        metrics = self._metrics
        metrics.decisions(state.value, len(entries))
        if state is LedgerState.REFUSED and note.startswith("never blocked"):
            metrics.never_block_hit()
        if state is LedgerState.ENFORCED and note != PUT_BACK:
            now = self._clock.now()
            by_table = {table: [e for e in entries if e.decision.table is table] for table in Table}
            for table, mine in by_table.items():
                ages = [now - entry.decision.event_time / MICROSECONDS for entry in mine]
                metrics.enforced(table, ages)
        self._count_active()

    def _count_active(self) -> None:
        for table in Table:
            self._metrics.active(table, len(self._ledger.enforced(table)))
