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
from ai_suricata.firewall.fleet import Fleet
from ai_suricata.respond import judge, responder
from ai_suricata.respond.enforcer import Enforcer
from ai_suricata.respond.responder import Responder
from fakes.response import (
    ATTACKER,
    NOW,
    OTHER,
    ResponsePath,
    decision,
    respond_settings,
    until,
    verdict,
)

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
    path.protect(ATTACKER)
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
    enforcer = Enforcer(Fleet([firewall]), path.ledger, path.protection, path.record)
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
    monkeypatch.setattr(judge, "MOST_UNSAVED", 10)
    path.disk.full = True
    await path.responder.respond([verdict(f"203.0.113.{number}") for number in range(50)])

    assert 10 == path.responder.unsaved
    assert 40 == path.record.lost


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
    assert ["survey", "entries", "add"] == path.firewall.calls

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

        fixed = {"NEVER_BLOCK": [ip_network(ATTACKER)]}
        path.responder.reload(respond_settings(BLOCK_DURATION="77"), fixed)
        await until(lambda: LedgerState.WATCHED in path.disk.states())
        await path.responder.respond([verdict(OTHER, NOW)])
        entry = path.ledger.latest(OTHER, Table.BLOCK)
        assert entry is not None
        assert 77 == entry.decision.duration

        path.responder.reload(respond_settings(AUTO_BLOCK="false"), fixed)
        await path.responder.respond([verdict("203.0.113.50", NOW)])
        assert path.ledger.latest("203.0.113.50", Table.BLOCK) is None


async def test_a_programming_error_ends_the_run(path: ResponsePath) -> None:
    """It is not retried for ever in silence."""

    def broken(_name: str) -> None:
        raise ZeroDivisionError

    path.firewall.on_call = broken
    with pytest.raises(ExceptionGroup) as raised:
        await path.responder.run()
    assert raised.group_contains(ZeroDivisionError)


async def test_while_paused_nothing_new_is_decided_and_the_rest_goes_on(
    path: ResponsePath,
) -> None:
    """Expiries too: a pause makes nothing last longer."""
    await path.responder.respond([verdict()])
    await path.responder.work()
    path.responder.paused = True
    path.clock.advance(600)

    await path.responder.respond([verdict(OTHER, path.clock.now())])
    await path.responder.work()

    assert LedgerState.WATCHED == path.disk.states()[-1]
    assert [] == path.disk.states(OTHER)


async def test_an_order_is_carried_out_whoever_is_paused_or_out_of_budget(
    path: ResponsePath,
) -> None:
    """The operator has decided; it is durable when `order` returns, and then enforced."""
    path.restart(AUTO_BLOCK="false", BLOCKS_PER_MINUTE="1")
    path.responder.paused = True
    async with running(path):
        await path.responder.order([decision(by_hand=True), decision(OTHER, by_hand=True)])
        assert LedgerState.REQUESTED == path.disk.states()[0]

        assert await path.responder.settled(5)
    assert {HELD, ip_address(OTHER)} == await path.firewall.entries(Table.BLOCK)


async def test_a_lift_reaches_the_firewall_at_once(path: ResponsePath) -> None:
    """With what was said as the reason."""
    async with running(path):
        await path.responder.respond([verdict()])
        assert await path.responder.settled(5)
        await path.responder.lift(path.ledger.live(Table.BLOCK), "lifted by hand: a customer")
        assert await path.responder.settled(5)

    assert set() == await path.firewall.entries(Table.BLOCK)
    assert (ATTACKER, LedgerState.RELEASED, "lifted by hand: a customer") in path.record.changes


async def test_who_waits_for_a_firewall_that_is_away_waits_no_longer_than_said(
    path: ResponsePath,
) -> None:
    """And is told that it is not done."""
    path.firewall.faults[""] = "unreachable"
    async with running(path):
        await path.responder.order([decision()])
        assert not await path.responder.settled(0.05)


async def test_all_is_released_by_hand_and_nothing_new_is_decided(path: ResponsePath) -> None:
    """For the day when it is removed."""
    async with running(path):
        await path.responder.respond([verdict()])
        await path.responder.settled(5)
        assert await path.responder.release_all()
        await path.responder.respond([verdict(OTHER)])

    assert set() == await path.firewall.entries(Table.BLOCK)
    assert path.responder.paused


async def test_the_firewall_is_asked_again_what_it_lives_by(path: ResponsePath) -> None:
    """Every ten minutes, and after it was lost."""
    await path.responder.work()
    path.clock.advance(599)
    await path.responder.work()
    assert 1 == path.firewall.calls.count("survey")

    path.clock.advance(1)
    await path.responder.work()
    assert 2 == path.firewall.calls.count("survey")

    path.firewall.faults["entries"] = "unreachable"
    path.clock.advance(30)
    await path.responder.work()
    path.firewall.faults.clear()
    await path.responder.work()
    assert 3 == path.firewall.calls.count("survey")


async def test_the_gap_is_the_age_of_the_oldest_wish_that_is_not_proved(
    path: ResponsePath,
) -> None:
    """By the time of its event; 0 where all is proved."""
    assert 0 == path.responder.gap()
    path.firewall.faults["add"] = "unreachable"
    await path.responder.respond([verdict(at=NOW - 5), verdict(OTHER)])
    await path.responder.work()
    path.clock.advance(2)
    assert 7 == path.responder.gap()

    path.firewall.faults.clear()
    await path.responder.work()
    assert 0 == path.responder.gap()


async def test_who_is_allowed_is_lifted_without_waiting_for_the_next_round(
    path: ResponsePath,
) -> None:
    """The list wakes the responder."""
    async with running(path):
        await path.responder.respond([verdict()])
        assert await path.responder.settled(5)
        path.protection.allow([ip_network(ATTACKER)])
        assert await path.responder.settled(5)
        assert LedgerState.WATCHED == path.disk.states()[-1]


async def test_a_wish_that_is_just_being_stored_is_no_failure(path: ResponsePath) -> None:
    """Else `run` would wait for the next try, as after trouble, with a firewall that is well."""
    await path.responder.respond([verdict()])

    def decided_meanwhile(_name: str) -> None:
        path.responder.judge.decide([verdict(OTHER)])

    path.firewall.on_call = decided_meanwhile

    assert await path.responder.work()
    assert 1 == path.responder.unsaved


@pytest.mark.parametrize("how", ["pause", "reload"])
async def test_what_waits_for_the_disk_is_given_up_where_nothing_new_is_wanted(
    path: ResponsePath, how: str
) -> None:
    """A pause, or AUTO_BLOCK off: no block comes after it, nor a network out of many."""
    path.restart(PROMOTE_IPV4="4")
    path.disk.full = True
    await path.responder.respond([verdict(f"203.0.113.{number}") for number in range(8)])
    if how == "pause":
        path.responder.paused = True
    else:
        path.responder.reload(respond_settings(AUTO_BLOCK="false"), {})
    path.disk.full = False
    assert await path.responder.work()  # nothing is left to do, so that nothing is tried again

    assert [] == path.ledger.entries()
    assert 8 == path.record.lost
    assert path.responder.refusal(ATTACKER) is not None


async def test_a_decision_that_is_being_stored_is_released_with_the_others(
    path: ResponsePath,
) -> None:
    """`release --all` waits for it: it would be in the table after it otherwise."""
    path.disk.writing = asyncio.Event()
    storing = asyncio.create_task(path.responder.respond([verdict()]))
    await until(lambda: path.responder.unsaved)
    releasing = asyncio.create_task(path.responder.release_all())
    await asyncio.sleep(0.01)
    path.disk.writing.set()
    await storing
    assert await releasing
    await path.responder.work()

    assert set() == await path.firewall.entries(Table.BLOCK)


async def test_what_is_new_does_not_wait_for_what_stays_wrong(
    path: ResponsePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One entry that is never proved (a rule for IPv4 alone) does not slow the others down."""
    monkeypatch.setattr(responder, "FIRST_RETRY", 30.0)
    monkeypatch.setattr(responder, "LONGEST_RETRY", 30.0)
    path.firewall.lost = {ip_address(OTHER)}
    async with running(path):
        await path.responder.respond([verdict(OTHER)])
        await until(lambda: ip_address(OTHER) and "missing" in path.firewall.calls)
        await path.responder.respond([verdict()])
        await until(lambda: is_held(path), limit=5)


async def test_a_clock_that_was_set_back_keeps_nothing_from_being_mended(
    path: ResponsePath,
) -> None:
    """Else nothing would be reconciled before the clock has caught up."""
    await path.responder.respond([verdict()])
    await path.responder.work()
    await DryRun.delete(path.firewall, Table.BLOCK, [HELD])
    path.clock.advance(-3600)

    await path.responder.work()
    assert {HELD} == await path.firewall.entries(Table.BLOCK)
