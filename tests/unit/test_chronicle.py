"""What was done is told: in the log, the audit log, metrics and health."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs

from ai_suricata.chronicle import Chronicle
from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.firewall.base import Sent
from ai_suricata.respond.enforcer import PUT_BACK
from ai_suricata.respond.ledger import Ledger
from ai_suricata.respond.sentry import Sighting
from ai_suricata.sink.audit import AuditLog
from ai_suricata.telemetry.health import Health, Status
from ai_suricata.telemetry.metrics import Metrics
from fakes.response import NOW, Disk, clock_at, decision, lines_of

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.sink.notify.notice import Notice


class Told:
    """A chronicle and all that it tells."""

    def __init__(self, folder: Path, *, real: bool = True) -> None:
        self.clock = clock_at(NOW + 2)
        self.ledger = Ledger(Disk(), self.clock)
        self.path = folder / "audit.jsonl"
        self.metrics = Metrics(self.clock)
        self.health = Health(self.clock)
        self.notices: list[Notice] = []
        audit = AuditLog(self.path, self.clock)
        self.chronicle = Chronicle(
            audit,
            self.metrics,
            self.health,
            self.clock,
            real=real,
            notify=self.notices.extend,
        )
        self.chronicle.count_active(
            {table: partial(self.ledger.count, table, {LedgerState.ENFORCED}) for table in Table}
        )

    def kinds(self) -> list[str]:
        """Return the kind of each notice."""
        return [notice.kind.value for notice in self.notices]

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels; -1 where there is none."""
        text = self.metrics.render().decode()
        values = re.findall(rf"^suricata_ai_{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, values)) if values else -1.0

    def part(self, name: str) -> tuple[str, str]:
        """Return (status, detail) of a part."""
        found = self.health.snapshot()["parts"][name]
        return found["status"], found["detail"]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """Return a chronicle of a real firewall."""
    return Told(tmp_path)


def entries(count: int, table: Table = Table.BLOCK) -> list[LedgerEntry]:
    """Return entries of so many addresses."""
    made = [decision(f"203.0.113.{number}", table=table) for number in range(1, count + 1)]
    return [LedgerEntry(each, LedgerState.REQUESTED, NOW, NOW + 600) for each in made]


def test_a_change_is_logged_audited_and_counted(told: Told) -> None:
    """With its reasons in words."""
    with capture_logs() as log:
        told.chronicle.changed(entries(1), LedgerState.REQUESTED, "")

    assert [
        (
            "decision",
            "requested",
            "203.0.113.1",
            ["brute force: 40 logins were denied in 10 minutes"],
        )
    ] == [(line["event"], line["state"], line["target"], line["reasons"]) for line in log]
    assert ["requested"] == [line["state"] for line in lines_of(told.path)]
    assert 1 == told.metric("decisions_total")


def test_a_proof_counts_with_the_time_since_its_event(told: Told) -> None:
    """By table."""
    told.chronicle.changed(entries(3), LedgerState.ENFORCED, "")
    told.chronicle.changed(entries(2, Table.LIMIT), LedgerState.ENFORCED, "")

    assert (3, 2) == (told.metric("blocks_total"), told.metric("rate_limits_total"))
    assert 5 == told.metric("detect_to_enforced_seconds_count")
    assert 10 == told.metric("detect_to_enforced_seconds_sum")


def test_what_was_put_back_is_no_new_block(told: Told) -> None:
    """Nor was it detected so long ago."""
    told.chronicle.changed(entries(3), LedgerState.ENFORCED, PUT_BACK)

    assert 0 == told.metric("blocks_total")
    assert 0 == told.metric("detect_to_enforced_seconds_count")
    assert [PUT_BACK] * 3 == [line["note"] for line in lines_of(told.path)]


def test_only_what_the_list_stopped_is_a_hit_of_it(told: Told) -> None:
    """A stale decision is refused, too."""
    told.chronicle.changed(entries(1), LedgerState.REFUSED, "never blocked: loopback: 127.0.0.0/8")
    told.chronicle.changed(entries(1), LedgerState.REFUSED, "700 s old")

    assert 1 == told.metric("never_block_hits_total")
    assert 2 == told.metric("decisions_total")


def test_many_changes_are_few_log_lines_and_all_of_the_audit(told: Told) -> None:
    """A flood of sources does not flood the log."""
    with capture_logs() as log:
        told.chronicle.changed(entries(100), LedgerState.REQUESTED, "")

    assert 21 == len(log)
    assert 80 == log[-1]["count"]
    assert 100 == len(lines_of(told.path))


def test_nothing_changed_is_nothing_told(told: Told) -> None:
    """No empty lines, no file."""
    with capture_logs() as log:
        told.chronicle.changed([], LedgerState.ENFORCED, "")

    assert [] == log
    assert not told.path.exists()


async def test_active_blocks_are_those_of_the_ledger(told: Told) -> None:
    """From the first answer of the firewall on, also after a restart."""
    await told.ledger.request([decision(), decision("203.0.113.8", table=Table.LIMIT)])
    told.chronicle.firewall(None)
    assert 0 == told.metric("active_blocks")

    await told.ledger.confirm(told.ledger.pending(Table.BLOCK))
    told.chronicle.firewall(None)
    assert 1 == told.metric("active_blocks")


def test_a_firewall_that_is_gone_degrades(told: Told) -> None:
    """In words, and as a metric to alert on; an answer heals it."""
    told.chronicle.firewall("no answer")
    assert ("degraded", "no answer") == told.part("firewall")
    assert 0 == told.metric("firewall_up")
    assert Status.DEGRADED == told.health.status

    told.chronicle.firewall(None)
    assert ("ok", "answers") == told.part("firewall")
    assert 1 == told.metric("firewall_up")


def test_a_dry_run_has_no_firewall_that_could_be_gone(tmp_path: Path) -> None:
    """And says that nothing is sent."""
    told = Told(tmp_path, real=False)
    before = told.metric("firewall_up")
    with capture_logs() as log:
        told.chronicle.changed(entries(1), LedgerState.ENFORCED, "")
        told.chronicle.firewall(None)

    assert "decision (dry run)" == log[0]["event"]
    assert ("ok", "dry run: nothing is sent") == told.part("firewall")
    assert before == told.metric("firewall_up")


def test_a_ledger_that_cannot_be_written_degrades(told: Told) -> None:
    """It is told once, not with every decision."""
    with capture_logs() as log:
        for _ in range(3):
            told.chronicle.ledger("the disk is full; make room")
    assert ("degraded", "the disk is full; make room") == told.part("ledger")
    assert 1 == len([line for line in log if line["event"] == "health"])

    told.chronicle.ledger(None)
    assert "ok" == told.part("ledger")[0]


def sent(label: str = "add", addresses: int = 3) -> Sent:
    """Return a command that was carried out."""
    text = f"/sbin/pfctl -t ai_suricata_block -T {label} -f -"
    return Sent("admin@192.0.2.1:22", label, text, addresses, "ok", 0.02)


def test_the_audit_log_names_the_commands_of_a_change(told: Told) -> None:
    """Those of its round, so that one can say on a Sunday night what was done."""
    told.chronicle.sent(sent())
    told.chronicle.changed(entries(1), LedgerState.ENFORCED, "")
    told.chronicle.firewall(None)
    told.chronicle.changed(entries(1), LedgerState.RELEASED, "its time has ended")

    [first, second] = lines_of(told.path)
    expected = "admin@192.0.2.1:22: /sbin/pfctl -t ai_suricata_block -T add -f - (3 addresses): ok"
    assert [expected] == first["commands"]
    assert [] == second["commands"]
    assert 1 == told.metric("firewall_commands_total")


def test_people_are_told_of_blocks_and_their_end(told: Told) -> None:
    """Not of wishes, nor of what was merely put back."""
    told.chronicle.changed(entries(2), LedgerState.REQUESTED, "")
    told.chronicle.changed(entries(2), LedgerState.ENFORCED, "")
    told.chronicle.changed(entries(2), LedgerState.ENFORCED, PUT_BACK)
    told.chronicle.changed(entries(1), LedgerState.RELEASED, "its time has ended")
    told.chronicle.changed(entries(1), LedgerState.RELEASED, "never blocked: NEVER_BLOCK: x")

    assert ["blocked", "blocked", "released", "never_block_lifted"] == told.kinds()
    assert 2 == told.metric("put_back_total")


def test_of_a_dry_run_people_are_told_that_nothing_was_sent(tmp_path: Path) -> None:
    """Nobody is to believe that he is protected."""
    told = Told(tmp_path, real=False)
    told.chronicle.changed(entries(1), LedgerState.ENFORCED, "")

    assert "dry run: nothing was sent" in told.notices[0].lines


def test_a_budget_that_is_used_up_is_told_once_and_counted_each_time(told: Told) -> None:
    """Until it lets decisions pass again."""
    for _ in range(3):
        told.chronicle.exhausted(Table.BLOCK, "budget: too many", 5)
    assert ["budget_exhausted"] == told.kinds()
    assert ("degraded", "budget: too many") == told.part("budget")
    assert 15 == told.metric("budget_exhausted_total")
    assert 1 == told.metric("budget_breaker_open")

    told.chronicle.recovered(Table.BLOCK)
    assert "ok" == told.part("budget")[0]
    assert 0 == told.metric("budget_breaker_open")


def test_a_firewall_that_goes_and_comes_is_told_at_each_turn(told: Told) -> None:
    """And that it answers from the start is no news."""
    for problem in (None, None, "no answer", "no answer", None):
        told.chronicle.firewall(problem)

    assert ["firewall_down", "firewall_up"] == told.kinds()


def test_a_blocked_address_that_is_answered_is_an_error(told: Told) -> None:
    """Counted with each flow, told where it is due."""
    seen = Sighting(
        address="203.0.113.7",
        target="203.0.113.0/24",
        flows=3,
        began=0,
        since=0,
        peer="192.0.2.1",
        port=443,
        proto="TCP",
        due=True,
    )
    with capture_logs() as log:
        told.chronicle.seen([seen, untold(seen)])

    assert ["blocked_but_seen"] == told.kinds()
    assert ["error"] == [line["log_level"] for line in log]
    assert 6 == told.metric("blocked_but_seen_total")


def untold(sighting: Sighting) -> Sighting:
    """Return the same sighting, which is not due to be told."""
    return replace(sighting, due=False)


def test_a_pause_is_told_and_shows_in_health(told: Told) -> None:
    """So that nobody forgets it."""
    told.chronicle.paused("maintenance")
    assert ["paused"] == told.kinds()
    assert ("degraded", "paused: maintenance") == told.part("decisions")

    told.chronicle.paused(None)
    assert "ok" == told.part("decisions")[0]


def test_what_takes_the_place_of_a_network_was_not_detected_so_late(told: Told) -> None:
    """Its event is as old as the network's, and it is no new block."""
    [entry] = entries(1)
    told.chronicle.changed(
        [replace_decision(entry, instead_of="203.0.113.0/24")], LedgerState.ENFORCED, ""
    )

    assert 0 == told.metric("detect_to_enforced_seconds_count")


def replace_decision(entry: LedgerEntry, **changed: str) -> LedgerEntry:
    """Return the entry with another decision."""
    return msgspec.structs.replace(
        entry, decision=msgspec.structs.replace(entry.decision, **changed)
    )


def test_connections_that_live_on_show_in_health(told: Told) -> None:
    """Until those of a later block were ended."""
    told.chronicle.unended("the firewall does not list its connections in time")
    assert "degraded" == told.part("connections")[0]

    told.chronicle.killed(1, 2, 0.1)
    assert "ok" == told.part("connections")[0]
