"""Tells what was done: log, audit line, metrics and notice for each change of a decision."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.respond.enforcer import PUT_BACK
from ai_suricata.respond.guard import SPARED
from ai_suricata.sink.notify.notice import Kind, Notice, of_entry
from ai_suricata.telemetry.health import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ai_suricata.core.clock import Clock
    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.firewall.base import Sent
    from ai_suricata.respond.sentry import Sighting
    from ai_suricata.sink.audit import AuditLog
    from ai_suricata.telemetry.health import Health
    from ai_suricata.telemetry.metrics import Metrics

    Notify = Callable[[Sequence[Notice]], None]

log = structlog.get_logger(__name__)

_MOST_LINES = 20
"""Log lines for one batch of changes; the audit log has them all."""
_MOST_NOTICES = 1000
"""Notices of one batch: that many wait in a channel."""
_MOST_COMMANDS = 64
"""Commands of one round that the audit log names."""
_OF_THE_BATCH = frozenset({"add", "delete", "test", "show", "rules", "info"})
"""Commands that concern the whole batch; those that end connections come after its proof."""


class Chronicle:
    """Implements `respond.witness.Witness`."""

    def __init__(  # noqa: PLR0913 - all who are told
        self,
        audit: AuditLog,
        metrics: Metrics,
        health: Health,
        clock: Clock,
        *,
        real: bool,
        notify: Notify = lambda _notices: None,
    ) -> None:
        """`real`: whether decisions reach a firewall, rather than a dry run."""
        metrics.dry_run(dry_run=not real)
        self._audit = audit
        self._metrics = metrics
        self._health = health
        self._clock = clock
        self.real = real
        """Whether decisions reach a firewall, rather than a dry run."""
        self._notify = notify
        self._sent: deque[str] = deque(maxlen=_MOST_COMMANDS)
        self._active: dict[Table, Callable[[], int]] = {}
        self._up: bool | None = None
        self._exhausted: set[Table] = set()

    def count_active(self, active: dict[Table, Callable[[], int]]) -> None:
        """Take how many entries of each table are enforced: asked after each change."""
        self._active = active

    def sent(self, sent: Sent) -> None:
        """Take note of a command to a firewall; the next change of decisions names it."""
        self._metrics.command(sent.label, sent.result, sent.seconds)
        if sent.label in _OF_THE_BATCH:
            some = f" ({sent.addresses} addresses)" if sent.addresses else ""
            self._sent.append(f"{sent.firewall}: {sent.text}{some}: {sent.result}")

    def changed(self, entries: Sequence[LedgerEntry], state: LedgerState, note: str) -> None:
        """Tell that the entries have gone into `state`."""
        if not entries:
            return
        commands = () if state is LedgerState.REQUESTED else tuple(self._sent)
        self._audit.write(entries, state, note, commands)
        self._count(entries, state, note)
        self._log(entries, state, note)
        if notices := self._notices(entries, state, note):
            self._notify(notices)

    def killed(self, targets: int, states: int, seconds: float) -> None:
        """Tell how many connections of how many targets were ended, and how long it took."""
        self._metrics.states_killed(states, seconds)
        self._health.set("connections", Status.OK, "ended with their blocks")
        if states:
            log.info("connections ended", of=targets, connections=states, seconds=round(seconds, 3))

    def unended(self, problem: str) -> None:
        """Tell that connections of the blocked live on: new ones are stopped all the same."""
        self._health.set("connections", Status.DEGRADED, problem)

    def exhausted(self, table: Table, reason: str, count: int) -> None:
        """Tell that the budget stops decisions: once in words, each time in the metrics."""
        self._metrics.budget_exhausted(table, count)
        self._metrics.breaker(table, open=True)
        if table not in self._exhausted:
            self._exhausted.add(table)
            log.error("budget used up", table=table.value, reason=reason)
            self._health.set("budget", Status.DEGRADED, reason)
            self._tell(
                Kind.BUDGET_EXHAUSTED, f"The budget of the {table} table is used up", [reason]
            )

    def recovered(self, table: Table) -> None:
        """Tell that the budget lets decisions pass again."""
        self._metrics.breaker(table, open=False)
        if table in self._exhausted:
            self._exhausted.discard(table)
            log.info("budget lets decisions pass again", table=table.value)
            if not self._exhausted:
                self._health.set("budget", Status.OK, "not used up")

    def dropped(self, count: int) -> None:
        """Tell that decisions were given up, since too many wait to be stored."""
        self._metrics.rulings_dropped(count)

    def firewall(self, problem: str | None, members: Mapping[str, bool] | None = None) -> None:
        """Tell how the firewalls do; `members`: whether each one answers, by its place."""
        up = problem is None
        if self.real:
            self._metrics.firewall(up=up)
            for place, answers in (members or {}).items():
                self._metrics.firewall(up=answers, place=place)
        said = "answers" if self.real else "dry run: nothing is sent"
        self._health.set("firewall", Status.OK if up else Status.DEGRADED, problem or said)
        if self._up is not up and not (up and self._up is None):
            kind, title = (
                (Kind.FIREWALL_UP, "answers again") if up else (Kind.FIREWALL_DOWN, "fails")
            )
            self._tell(kind, f"The firewall {title}", [problem] if problem else [])
        self._up = up
        self._sent.clear()
        self._count_active()

    def awaited(self, reason: str) -> None:
        """Tell that the firewall has not answered yet: that is no failure before it has failed."""
        self._health.set("firewall", Status.DEGRADED, reason)
        if self.real:
            self._metrics.firewall(up=False)

    def ledger(self, problem: str | None) -> None:
        """Tell how the ledger does."""
        status = Status.DEGRADED if problem else Status.OK
        self._health.set("ledger", status, problem or "written")

    def paused(self, reason: str | None) -> None:
        """Tell that the operator wants no new decisions, and why; None: that he does again."""
        self._metrics.paused(reason is not None)
        if reason is None:
            self._health.set("decisions", Status.OK, "made")
        else:
            self._health.set("decisions", Status.DEGRADED, f"paused: {reason}")
            self._tell(Kind.PAUSED, "Nothing new is decided until `ai-suricata resume`", [reason])

    def seen(self, sightings: Sequence[Sighting]) -> None:
        """Tell of answered flows from addresses that are blocked."""
        self._metrics.blocked_but_seen(sum(sighting.flows for sighting in sightings))
        lines = []
        for sighting in sightings:
            if sighting.due:
                lines.append(
                    f"{sighting.address} was answered by {sighting.peer}, although "
                    f"{sighting.target} is blocked"
                )
                log.error("blocked, but answered", **_fields(sighting))
        if lines:
            lines.append("Look at the order of the firewall's rules, and for ways around it.")
            self._tell(Kind.BLOCKED_BUT_SEEN, "A blocked address was answered", lines)

    def _tell(self, kind: Kind, title: str, lines: Sequence[str]) -> None:
        self._notify([Notice(kind, self._clock.now(), title, tuple(lines))])

    def _log(self, entries: Sequence[LedgerEntry], state: LedgerState, note: str) -> None:
        for entry in entries[:_MOST_LINES]:
            decision = entry.decision
            log.info(
                "decision" if self.real else "decision (dry run)",
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

    def _notices(
        self, entries: Sequence[LedgerEntry], state: LedgerState, note: str
    ) -> list[Notice]:
        """Return what people are told of a change, where they are told of it."""
        if state is LedgerState.ENFORCED and note != PUT_BACK:
            kind = Kind.BLOCKED
        elif state is LedgerState.RELEASED:
            kind = Kind.NEVER_BLOCK_LIFTED if note.startswith(SPARED) else Kind.RELEASED
        else:
            return []
        said = note if self.real else "dry run: nothing was sent"
        now = self._clock.now()
        return [of_entry(kind, entry, now, said) for entry in entries[:_MOST_NOTICES]]

    def _count(self, entries: Sequence[LedgerEntry], state: LedgerState, note: str) -> None:
        metrics = self._metrics
        metrics.decisions(state.value, len(entries))
        if state is LedgerState.REFUSED and note.startswith(SPARED):
            metrics.never_block_hit()
        if state is LedgerState.REQUESTED:
            metrics.promotions(sum(bool(entry.decision.members) for entry in entries))
        if state is LedgerState.ENFORCED and note == PUT_BACK:
            metrics.put_back(len(entries))
        elif state is LedgerState.ENFORCED:
            now = self._clock.now()
            new = [entry for entry in entries if not entry.decision.instead_of]
            for table in Table:
                mine = [entry for entry in new if entry.decision.table is table]
                metrics.enforced(table, [now - entry.decision.seen_at for entry in mine])
        self._count_active()

    def _count_active(self) -> None:
        for table, count in self._active.items():
            self._metrics.active(table, count())


def _fields(sighting: Sighting) -> dict[str, object]:
    return {
        "address": sighting.address,
        "blocked": sighting.target,
        "peer": sighting.peer,
        "port": sighting.port,
        "flows": sighting.flows,
    }
