"""What was done is told: in the log, the audit log, metrics and health."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ai_suricata.chronicle import Chronicle
from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.respond.enforcer import PUT_BACK
from ai_suricata.respond.ledger import Ledger
from ai_suricata.sink.audit import AuditLog
from ai_suricata.telemetry.health import Health, Status
from ai_suricata.telemetry.metrics import Metrics
from fakes.response import NOW, Disk, clock_at, decision, lines_of

if TYPE_CHECKING:
    from pathlib import Path


class Told:
    """A chronicle and all that it tells."""

    def __init__(self, folder: Path, *, real: bool = True) -> None:
        self.clock = clock_at(NOW + 2)
        self.ledger = Ledger(Disk(), self.clock)
        self.path = folder / "audit.jsonl"
        self.metrics = Metrics(self.clock)
        self.health = Health(self.clock)
        audit = AuditLog(self.path, self.clock)
        self.chronicle = Chronicle(
            self.ledger, audit, self.metrics, self.health, self.clock, real=real
        )

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
