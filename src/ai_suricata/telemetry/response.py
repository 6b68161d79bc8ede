"""What Prometheus is told of the response: decisions, blocks, the firewall, and what holds.

A series that an alert rule asks for an increase of is there from the start, with a zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.core.decision import Table
from ai_suricata.telemetry.collector import Labels
from ai_suricata.telemetry.series import WORDS, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Read = Callable[[], float | None]
    """Asked at each scrape, in the server's thread: it neither waits nor raises."""

LABELS = ("normal", "attack", "unknown")
"""What an example can be labelled as."""
NOTIFICATION_RESULTS = ("sent", "retried", "dropped", "refused")

_ENFORCE_SECONDS = (
    *(0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5),
    *(1, 2.5, 5, 10, 30, 60, 300, 3600),
)
_COMMAND_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class ResponseMetrics(Series):
    """The series of `respond`, of the firewall, and of who is told."""

    def __init__(self) -> None:
        super().__init__()
        self._dry = False
        self._read_gap: Read = _unknown
        self._read_age: Read = _unknown
        self._declare_decisions()
        self._declare_enforcement()
        self._declare_dry_run()
        self._declare_firewall()
        self._declare_told()

    # -- what is decided -------------------------------------------------------------------------

    def decisions(self, outcome: str, count: int = 1) -> None:
        """Count decisions that came to `outcome` (a state of the ledger)."""
        self._decisions.labels(self._outcomes.of(outcome)).inc(count)

    def rulings_dropped(self, count: int) -> None:
        """Count decisions that were let go, since too many waited for the ledger's disk."""
        self._rulings_dropped.inc(count)

    def promotions(self, count: int) -> None:
        """Count networks that were decided on in place of their addresses."""
        self._promotions.inc(count)

    def never_block_hit(self) -> None:
        """Count a decision that never-block stopped."""
        self._never_block.inc()

    def never_block_size(self, count: int) -> None:
        """Say how many networks are never blocked."""
        self._never_block_networks.set(count)

    def never_block_age(self, read: Read) -> None:
        """Ask `read` at each scrape for the seconds since the last good survey of the firewall.

        None where no firewall is asked.
        """
        self._read_age = read

    def budget_exhausted(self, table: Table, count: int = 1) -> None:
        """Count decisions of a table that its budget stopped."""
        self._budget.labels(table.value).inc(count)

    def breaker(self, table: Table, *, open: bool) -> None:  # noqa: A002 - as breakers are
        """Say whether the breaker of a table's budget is open: then nothing is decided for it."""
        self._breaker.labels(table.value).set(float(open))

    def paused(self, paused: bool) -> None:  # noqa: FBT001 - the method is the argument's name
        """Say whether the operator has paused the response."""
        self._paused.set(float(paused))

    def dry_run(self, *, dry_run: bool) -> None:
        """Say, before anything else, whether decisions go nowhere.

        What `enforced` and `active` tell then counts in series of its own: no firewall has
        confirmed it.
        """
        self._dry = dry_run
        self._dry_run.set(float(dry_run))

    # -- what holds ------------------------------------------------------------------------------

    def enforced(self, table: Table, seconds: Sequence[float]) -> None:
        """Count what the firewall has confirmed, with the seconds since each event's record."""
        if self._dry:
            self._would.labels(table.value).inc(len(seconds))
            return
        (self._blocks if table is Table.BLOCK else self._limits).inc(len(seconds))
        for each in seconds:
            self._to_enforced.observe(max(0.0, each))

    def active(self, table: Table, count: int) -> None:
        """Say how many targets are enforced in a table now."""
        if self._dry:
            self._would_be.labels(table.value).set(count)
        else:
            (self._active_blocks if table is Table.BLOCK else self._active_limits).set(count)

    def gap(self, read: Read) -> None:
        """Ask `read` at each scrape for the seconds since the event of the oldest unproved wish.

        0 where there is none.
        """
        self._read_gap = read

    def put_back(self, count: int) -> None:
        """Count entries that a reload or a hand had taken out, and that are enforced again."""
        self._put_back.inc(count)

    def blocked_but_seen(self, count: int) -> None:
        """Count flows of blocked addresses that began after the proof and were answered."""
        self._seen.inc(count)

    def states_killed(self, count: int, seconds: float) -> None:
        """Count the connections that one batch of blocks ended, and take its time in."""
        self._killed.inc(count)
        self._kill_seconds.observe(max(0.0, seconds))

    # -- who is asked and told -------------------------------------------------------------------

    def firewall(self, *, up: bool, place: str = "") -> None:
        """Say whether all firewalls answer or, with its `place`, whether one of several does.

        To be called only where decisions go to a firewall: an alert rule takes a 0 for a firewall
        that is needed and not there.
        """
        if place:
            self._member_up.labels(place).set(float(up))
        else:
            self._firewall_up.set(float(up))

    def command(self, name: str, result: str, seconds: float) -> None:
        """Count one command to a firewall, what came of it, and its time."""
        label = self._command_names.of(name)
        self._commands.labels(label, self._results.of(result)).inc()
        self._command_seconds.labels(label).observe(max(0.0, seconds))

    def notification(self, channel: str, result: str) -> None:
        """Count a notification: `sent`, `retried`, `dropped` or `refused`."""
        label = self._channels.of(channel)
        for known in NOTIFICATION_RESULTS:
            self._notifications.labels(label, known)
        self._notifications.labels(label, self._notification_results.of(result)).inc()

    def label(self, kind: str) -> None:
        """Count an example that the operator has labelled `normal`, `attack` or `unknown`."""
        self._labeled.inc()
        self._labels.labels(self._label_kinds.of(kind)).inc()

    # -- the series ------------------------------------------------------------------------------

    def _declare_decisions(self) -> None:
        self._outcomes = Labels(WORDS)
        self._decisions = self._counter("decisions", "Decisions by what came of them.", "outcome")
        self._rulings_dropped = self._counter(
            "rulings_dropped", "Decisions let go since too many waited for the ledger's disk."
        )
        self._promotions = self._counter(
            "promotions", "Networks decided on in place of their addresses."
        )
        self._never_block = self._counter("never_block_hits", "Decisions that never-block stopped.")
        self._never_block_networks = self._reading(
            "never_block_networks", "Networks that are never blocked."
        )
        self._reading(
            "never_block_age_seconds",
            "Since the firewall last said what it lives by; absent where none is asked.",
            lambda: self._read_age(),  # noqa: PLW0108 - the reader comes later
        )
        self._budget = self._counter(
            "budget_exhausted", "Decisions that the budget stopped.", "table"
        )
        self._breaker = self._gauge(
            "budget_breaker_open", "Whether nothing is decided for a table.", "table"
        )
        for table in Table:
            self._budget.labels(table.value)
            self._breaker.labels(table.value)
        self._paused = self._gauge("paused", "Whether the operator has paused the response.")

    def _declare_enforcement(self) -> None:
        self._blocks = self._counter("blocks", "Blocks that the firewall has confirmed.")
        self._limits = self._counter("rate_limits", "Rate limits that the firewall has confirmed.")
        self._active_blocks = self._gauge("active_blocks", "Targets in the block table now.")
        self._active_limits = self._gauge(
            "active_rate_limits", "Targets in the rate-limit table now."
        )
        self._to_enforced = self._histogram(
            "detect_to_enforced_seconds",
            "From the record of the event to the firewall's confirmation.",
            _ENFORCE_SECONDS,
        )
        self._reading(
            "enforcement_gap_seconds",
            "Since the event of the oldest decision that is not proved yet; 0 without one.",
            lambda: self._read_gap(),  # noqa: PLW0108 - the reader comes later
        )
        self._put_back = self._counter(
            "put_back", "Entries that were gone from a table and are in it again."
        )
        self._seen = self._counter(
            "blocked_but_seen", "Flows of blocked addresses, begun after the proof and answered."
        )
        self._killed = self._counter("states_killed", "Connections ended with a block.")
        self._kill_seconds = self._histogram(
            "state_kill_seconds", "Time of ending the connections of a batch.", _COMMAND_SECONDS
        )

    def _declare_dry_run(self) -> None:
        self._dry_run = self._reading("dry_run", "Whether decisions are made and go nowhere.")
        self._would = self._counter(
            "dry_run_decisions", "Decisions that a firewall would have been given.", "table"
        )
        self._would_be = self._gauge(
            "dry_run_active", "Targets that would be in a table now.", "table"
        )
        for table in Table:
            self._would.labels(table.value)
            self._would_be.labels(table.value)

    def _declare_firewall(self) -> None:
        self._command_names, self._results = Labels(WORDS), Labels(WORDS)
        self._firewall_up = self._reading(
            "firewall_up", "Whether all firewalls answer; absent where none is in use."
        )
        # As many as PFSENSE_HOST names: shortened or bounded, two could share a series.
        self._member_up = self._gauge(
            "firewall_member_up", "Whether one of several firewalls answers.", "firewall"
        )
        self._commands = self._counter(
            "firewall_commands", "Commands to the firewall.", "command", "result"
        )
        self._command_seconds = self._histogram(
            "firewall_command_seconds", "Time of one command.", _COMMAND_SECONDS, "command"
        )

    def _declare_told(self) -> None:
        self._channels = Labels(WORDS)
        self._notification_results = Labels(WORDS, known=NOTIFICATION_RESULTS)
        self._notifications = self._counter(
            "notifications", "Notifications by channel and what came of them.", "channel", "result"
        )
        self._label_kinds = Labels(WORDS, known=LABELS)
        self._labeled = self._counter("labeled_examples", "Examples that the operator labelled.")
        self._labels = self._counter("labels_by_type", "The same, by label.", "label")
        for kind in LABELS:
            self._labels.labels(kind)


def _unknown() -> float | None:
    """Read nothing: nobody has said yet who knows."""
    return None
