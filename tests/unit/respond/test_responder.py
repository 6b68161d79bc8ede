"""Decides at once, records, and keeps the firewall in step whatever that does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.decision import LIVE, LedgerState, Table
from ai_suricata.core.verdict import Action
from ai_suricata.firewall.dry_run import DryRun
from ai_suricata.respond import responder
from ai_suricata.respond.enforcer import Enforcer
from ai_suricata.respond.never_block import NeverBlock
from ai_suricata.respond.responder import Responder
from fakes.response import ATTACKER, NOW, OTHER, ResponsePath, respond_settings, until, verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HELD = ip_address(ATTACKER)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a new try come after milliseconds."""
    monkeypatch.setattr(responder, "FIRST_RETRY", 0.01)
    monkeypatch.setattr(responder, "LONGEST_RETRY", 0.04)


@asynccontextmanager
async def running(path: ResponsePath) -> AsyncIterator[asyncio.Task[None]]:
    """Let the responder run; stop it and wait for its end."""
    task = asyncio.create_task(path.responder.run())
    try:
        yield task
    finally:
        path.responder.stop()
        async with asyncio.timeout(10):
            await task


def is_held(path: ResponsePath) -> bool:
    """Whether the attacker's block is proved."""
    return LedgerState.ENFORCED in path.disk.states()


async def test_a_decision_is_durable_when_respond_returns(path: ResponsePath) -> None:
    """And told; the firewall is another task's business."""
    await path.responder.respond([verdict(), verdict(OTHER, action=Action.RATE_LIMIT)])

    assert [LedgerState.REQUESTED] == path.disk.states()
    assert [LedgerState.REQUESTED] == path.disk.states(OTHER)
    assert [LedgerState.REQUESTED] == path.record.states()
    assert [] == path.firewall.calls


async def test_without_auto_block_nothing_is_decided(path: ResponsePath) -> None:
    """Off until the operator turns it on."""
    path.restart(AUTO_BLOCK="false")
    await path.responder.respond([verdict()])

    assert [] == path.disk.lines


async def test_one_address_has_one_decision_in_a_batch(path: ResponsePath) -> None:
    """However many verdicts it got; and no rate limit beside the block."""
    limited = verdict(action=Action.RATE_LIMIT)
    await path.responder.respond([limited, verdict(), verdict(), limited, verdict()])
    await path.responder.respond([verdict(), limited])

    assert [(ATTACKER, Table.BLOCK)] == [(e.target, e.decision.table) for e in path.disk.lines]


async def test_a_refusal_is_recorded_and_never_sent(path: ResponsePath) -> None:
    """With its reason."""
    path.never_block.add("NEVER_BLOCK", [ip_network(ATTACKER)])
    await path.responder.respond([verdict()])
    await path.responder.respond([verdict()])
    await path.responder.work()

    note = f"never blocked: NEVER_BLOCK: {ATTACKER}/32"
    assert [(ATTACKER, LedgerState.REFUSED, note)] == path.record.changes
    assert 0 == path.firewall.counts["add"]


async def test_a_wish_reaches_the_firewall_at_once(path: ResponsePath) -> None:
    """Nobody waits for the next reconciling."""
    async with running(path):
        await until(lambda: path.record.problems)
        await path.responder.respond([verdict()])
        await until(lambda: is_held(path))

    assert {HELD} == await path.firewall.entries(Table.BLOCK)


async def test_with_a_dry_run_all_of_it_runs_and_nothing_is_sent(path: ResponsePath) -> None:
    """The ledger then lists what would have been blocked."""
    firewall = DryRun()
    enforcer = Enforcer(firewall, path.ledger, path.never_block, path.record)
    path.responder = Responder(respond_settings(), path.ledger, enforcer, path.clock)

    await path.responder.respond([verdict()])
    assert await path.responder.work()

    assert [LedgerState.REQUESTED, LedgerState.ENFORCED] == path.disk.states()
    assert {HELD} == await firewall.entries(Table.BLOCK)


async def test_decisions_made_while_the_firewall_hangs_are_durable_at_once(
    path: ResponsePath,
) -> None:
    """A command without an answer holds up commands, and nothing else."""
    answer = path.firewall.hanging["add"] = asyncio.Event()
    async with running(path):
        await path.responder.respond([verdict()])
        await until(lambda: "add" in path.firewall.calls)

        async with asyncio.timeout(5):
            await path.responder.respond([verdict(OTHER)])
        assert [LedgerState.REQUESTED] == path.disk.states(OTHER)
        assert [LedgerState.REQUESTED] == path.disk.states()

        answer.set()
        await until(lambda: LedgerState.ENFORCED in path.disk.states(OTHER))
    assert is_held(path)


async def test_verdicts_between_request_and_proof_change_nothing(path: ResponsePath) -> None:
    """The address is decided on already."""
    answer = path.firewall.hanging["add"] = asyncio.Event()
    async with running(path):
        await path.responder.respond([verdict()])
        await until(lambda: "add" in path.firewall.calls)
        await path.responder.respond([verdict(), verdict(action=Action.RATE_LIMIT)])
        answer.set()
        await until(lambda: is_held(path))

    assert [LedgerState.REQUESTED, LedgerState.ENFORCED] == path.disk.states()


@pytest.mark.parametrize("method", ["", "add", "missing", "entries", "kill_states"])
@pytest.mark.parametrize("fault", ["unreachable", "refused"])
async def test_what_failed_is_tried_until_it_is_done(
    path: ResponsePath, method: str, fault: str
) -> None:
    """Whatever the firewall did not do, the wish is kept and carried out in the end."""
    path.firewall.faults[method] = fault
    async with running(path):
        await path.responder.respond([verdict()])
        tries = path.firewall.calls.copy
        await until(lambda: len(tries()) > 6 or is_held(path))
        path.firewall.faults.clear()
        await until(lambda: is_held(path))

    assert {HELD} == await path.firewall.entries(Table.BLOCK)


async def test_tries_come_further_and_further_apart(
    path: ResponsePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall that is gone is not asked more often because more wishes come."""
    monkeypatch.setattr(responder, "LONGEST_RETRY", 0.08)
    pauses: list[float] = []
    pause = path.responder._pause

    async def spy(seconds: float) -> None:
        pauses.append(seconds)
        assert len(pauses) < 100, "it does not wait at all"
        await path.responder.respond([verdict(f"203.0.113.{len(pauses)}")])
        await pause(seconds)

    monkeypatch.setattr(path.responder, "_pause", spy)
    path.firewall.faults[""] = "unreachable"
    async with running(path):
        await path.responder.respond([verdict()])
        await until(lambda: len(pauses) >= 6)
        path.firewall.faults.clear()
        await until(lambda: is_held(path))

    assert [0.01, 0.02, 0.04, 0.08, 0.08, 0.08] == pauses[:6]
    assert len(pauses) + 1 >= len([c for c in path.firewall.calls if c == "entries"]) / 2


@pytest.mark.parametrize("trouble", ["lost", "stuck", "full"])
async def test_what_cannot_be_done_does_not_keep_the_processor_busy(
    path: ResponsePath, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Added and not there, deleted and still there, or ended with a full disk: it backs off."""
    monkeypatch.setattr(responder, "FIRST_RETRY", 5.0)
    if trouble == "lost":
        path.firewall.lost = {HELD}
        await path.responder.respond([verdict()])
    else:
        await path.responder.respond([verdict()])
        await path.responder.work()
        path.clock.advance(600)
        path.firewall.stuck = {HELD} if trouble == "stuck" else set()
        path.disk.full = trouble == "full"
    pauses: list[float] = []
    pause = path.responder._pause

    async def spy(seconds: float) -> None:
        pauses.append(seconds)
        await pause(seconds)

    monkeypatch.setattr(path.responder, "_pause", spy)
    async with running(path):
        await until(lambda: pauses)
        calls = len(path.firewall.calls)
        for _ in range(100):
            await asyncio.sleep(0)
        assert calls == len(path.firewall.calls)
        path.disk.full = False

    assert [5.0] == pauses


async def test_after_a_loss_the_tables_are_held_against_the_ledger(path: ResponsePath) -> None:
    """The firewall may have been restarted, and its table be empty."""
    async with running(path):
        await path.responder.respond([verdict()])
        await until(lambda: is_held(path))
        path.firewall.faults[""] = "unreachable"
        await path.responder.respond([verdict(OTHER)])
        await until(lambda: "no answer" in path.record.problems)

        await DryRun.delete(path.firewall, Table.BLOCK, [HELD])
        path.firewall.faults.clear()
        await until(lambda: LedgerState.ENFORCED in path.disk.states(OTHER))
        await until(lambda: 4 == len(path.disk.states()))

    assert {HELD, ip_address(OTHER)} == await path.firewall.entries(Table.BLOCK)


async def test_a_firewall_that_is_gone_is_not_told_well_without_being_asked(
    path: ResponsePath,
) -> None:
    """Also where nothing waits to be sent."""
    path.firewall.faults[""] = "unreachable"
    async with running(path):
        await until(lambda: len(path.record.problems) >= 4)

    assert {"no answer"} == set(path.record.problems)


async def test_reconciling_comes_when_its_interval_is_over(path: ResponsePath) -> None:
    """Not before, however often there is something to do."""
    await path.responder.respond([verdict()])
    await path.responder.work()
    await DryRun.delete(path.firewall, Table.BLOCK, [HELD])

    path.clock.advance(29)
    await path.responder.work()
    assert set() == await path.firewall.entries(Table.BLOCK)

    path.clock.advance(1)
    await path.responder.work()
    assert {HELD} == await path.firewall.entries(Table.BLOCK)


async def test_a_disk_that_is_full_keeps_the_decision_for_later(path: ResponsePath) -> None:
    """Nothing is sent that a crash would leave as nobody's; it is told, and written in the end."""
    path.disk.full = True
    async with running(path):
        await path.responder.respond([verdict()])
        assert 1 == path.responder.unsaved
        await until(lambda: path.record.ledger_problems.count("the disk is full; make room") > 2)
        assert 0 == path.firewall.counts["add"]
        assert [] == path.record.changes

        path.disk.full = False
        await until(lambda: is_held(path))
    assert 0 == path.responder.unsaved
    assert path.record.ledger_problems[-1] is None


async def test_unsaved_decisions_are_bounded(
    path: ResponsePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk and a flood of sources do not fill the memory."""
    monkeypatch.setattr(responder, "_MOST_UNSAVED", 10)
    path.disk.full = True
    await path.responder.respond([verdict(f"203.0.113.{number}") for number in range(50)])

    assert 10 == path.responder.unsaved


async def test_a_released_address_is_forgotten_or_comes_back_higher(path: ResponsePath) -> None:
    """The whole of an escalation, on the clock."""
    steps = []
    for duration in (600, 3600, 86_400, 604_800, 604_800):
        await path.responder.respond([verdict(at=path.clock.now())])
        entry = path.ledger.latest(ATTACKER, Table.BLOCK)
        assert entry is not None
        steps.append((entry.decision.step, entry.decision.duration))
        await path.responder.work()
        path.clock.advance(duration)
        await path.responder.work()
        path.clock.advance(duration - 1)
        await path.responder.work()
    assert [(0, 600), (1, 3600), (2, 86_400), (3, 604_800), (3, 604_800)] == steps

    path.clock.advance(1)
    await path.responder.work()
    assert [] == path.ledger.entries()
    assert LedgerState.FORGOTTEN == path.disk.states()[-1]


async def test_an_expiry_is_carried_out_when_it_is_due(path: ResponsePath) -> None:
    """The responder wakes by itself for the next end."""
    path.restart(BLOCK_DURATION="10")
    await path.responder.respond([verdict()])
    await path.responder.work()
    path.clock.advance(9.95)
    async with running(path):
        await asyncio.sleep(0)
        path.clock.advance(0.1)
        await until(lambda: LedgerState.WATCHED in path.disk.states())

    assert set() == await path.firewall.entries(Table.BLOCK)


async def test_the_first_reconciling_is_bounded_and_not_broken_off(path: ResponsePath) -> None:
    """A command in flight gets its answer; a half-sent one would be nobody's."""
    await path.responder.respond([verdict()])
    answer = path.firewall.hanging["add"] = asyncio.Event()

    assert not await path.responder.start(0.02)
    assert ["entries", "add"] == path.firewall.calls

    async with running(path):
        answer.set()
        await until(lambda: is_held(path))
    assert 1 == path.firewall.calls.count("add")


async def test_a_first_reconciling_that_is_quick_is_done(path: ResponsePath) -> None:
    """And not done a second time."""
    assert await path.responder.start(5)
    async with running(path):
        await until(lambda: path.responder._first is not None)

    assert 2 == path.firewall.calls.count("entries")


async def test_a_stop_keeps_the_blocks_and_sends_the_last_wishes(path: ResponsePath) -> None:
    """ON_STOP=keep: what was decided at the very end is enforced, too."""
    async with running(path):
        await until(lambda: path.record.problems)
        await path.responder.respond([verdict()])
        path.responder.stop()

    assert {HELD} == await path.firewall.entries(Table.BLOCK)
    assert is_held(path)


async def test_a_stop_releases_where_the_settings_say_so(path: ResponsePath) -> None:
    """ON_STOP=release: after what it is doing, never beside it."""
    path.restart(ON_STOP="release")
    answer = path.firewall.hanging["add"] = asyncio.Event()
    async with running(path):
        await path.responder.respond([verdict()])
        await until(lambda: "add" in path.firewall.calls)
        path.responder.stop()
        await asyncio.sleep(0)
        assert "delete" not in path.firewall.calls
        answer.set()

    assert set() == await path.firewall.entries(Table.BLOCK)
    assert not [e for e in await path.disk.load() if e.state in LIVE]


async def test_a_stop_does_not_wait_for_a_firewall_that_is_gone(path: ResponsePath) -> None:
    """The wishes stay requested for the next start."""
    path.firewall.faults[""] = "unreachable"
    async with running(path):
        await path.responder.respond([verdict()])
        await until(lambda: len(path.record.problems) >= 2)
        path.responder.stop()
        calls = len(path.firewall.calls)

    assert len(path.firewall.calls) <= calls + 1
    assert [LedgerState.REQUESTED] == path.disk.states()


async def test_other_settings_hold_from_the_next_verdict_on(path: ResponsePath) -> None:
    """Durations, AUTO_BLOCK, NEVER_BLOCK; whom the list now names is taken out."""
    async with running(path):
        await path.responder.respond([verdict()])
        await until(lambda: is_held(path))

        never_block = NeverBlock({"NEVER_BLOCK": [ip_network(ATTACKER)]})
        path.responder.reload(respond_settings(BLOCK_DURATION="77"), never_block)
        await until(lambda: LedgerState.WATCHED in path.disk.states())
        await path.responder.respond([verdict(OTHER, NOW)])
        entry = path.ledger.latest(OTHER, Table.BLOCK)
        assert entry is not None
        assert 77 == entry.decision.duration

        path.responder.reload(respond_settings(AUTO_BLOCK="false"), never_block)
        await path.responder.respond([verdict("203.0.113.50", NOW)])
        assert path.ledger.latest("203.0.113.50", Table.BLOCK) is None


async def test_a_programming_error_ends_the_run(path: ResponsePath) -> None:
    """It is not retried for ever in silence."""

    def broken(_name: str) -> None:
        raise ZeroDivisionError

    path.firewall.on_call = broken
    with pytest.raises(ZeroDivisionError):
        await path.responder.run()
