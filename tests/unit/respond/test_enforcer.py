"""The firewall is brought to what the ledger says, and the ledger to what is proved."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.respond.enforcer import PUT_BACK
from ai_suricata.respond.never_block import NeverBlock
from fakes.response import ATTACKER, NOW, OTHER, decision

if TYPE_CHECKING:
    from fakes.response import ResponsePath

FOREIGN = ip_address("192.0.2.99")
HELD, HELD_TOO = ip_address(ATTACKER), ip_address(OTHER)


async def enforced(path: ResponsePath, *targets: str) -> None:
    """Bring blocks of the targets into the table."""
    await path.ledger.request([decision(target) for target in targets])
    assert await path.enforcer.work(reconcile=False)


async def states(path: ResponsePath) -> dict[str, LedgerState]:
    """Return the state of each target, as a restart would read it."""
    return {entry.target: entry.state for entry in await path.disk.load()}


async def test_a_wish_is_added_proved_and_then_enforced(path: ResponsePath) -> None:
    """In this order: nothing counts before the firewall was asked."""
    await path.ledger.request([decision()])
    before: list[list[LedgerState]] = []
    path.firewall.on_call = lambda _name: before.append(path.disk.states())

    assert await path.enforcer.work(reconcile=False)

    assert ["add", "missing", "kill_states"] == path.firewall.calls
    assert [[LedgerState.REQUESTED]] * 3 == before
    assert {HELD} == await path.firewall.entries(Table.BLOCK)
    assert [LedgerState.REQUESTED, LedgerState.ENFORCED] == path.disk.states()
    assert [(ATTACKER, LedgerState.ENFORCED, "")] == path.record.changes
    assert [None] == path.record.problems


async def test_only_those_who_are_blocked_lose_their_connections(path: ResponsePath) -> None:
    """A rate limit ends none."""
    await path.ledger.request([decision(), decision(OTHER, table=Table.LIMIT)])
    await path.enforcer.work(reconcile=False)

    assert 1 == path.firewall.counts["kill"]
    assert {HELD_TOO} == await path.firewall.entries(Table.LIMIT)


async def test_with_nothing_to_do_the_firewall_is_left_alone(path: ResponsePath) -> None:
    """An idle daemon sends no commands."""
    assert await path.enforcer.work(reconcile=False)
    assert [] == path.firewall.calls


@pytest.mark.parametrize("method", ["add", "missing", "kill_states"])
async def test_a_batch_that_got_no_answer_is_tried_again_whole(
    path: ResponsePath, method: str
) -> None:
    """Wherever the connection was lost, nothing is dropped and nothing counts."""
    await path.ledger.request([decision(), decision(OTHER)])
    path.firewall.faults[method] = "unreachable"

    assert not await path.enforcer.work(reconcile=False)
    assert {ATTACKER: LedgerState.REQUESTED, OTHER: LedgerState.REQUESTED} == await states(path)
    assert ["no answer"] == path.record.problems

    path.firewall.faults.clear()
    assert await path.enforcer.work(reconcile=False)
    assert {ATTACKER: LedgerState.ENFORCED, OTHER: LedgerState.ENFORCED} == await states(path)


async def test_a_batch_that_was_half_done_is_finished_later(path: ResponsePath) -> None:
    """Adding what is there already does no harm."""
    await path.ledger.request([decision(), decision(OTHER)])
    path.firewall.faults["add"] = "half"
    assert not await path.enforcer.work(reconcile=False)
    assert {HELD} == await path.firewall.entries(Table.BLOCK)

    path.firewall.faults.clear()
    assert await path.enforcer.work(reconcile=False)
    assert {HELD, HELD_TOO} == await path.firewall.entries(Table.BLOCK)


async def test_what_is_missing_after_the_add_is_not_enforced(path: ResponsePath) -> None:
    """The others of its batch are; it is not done, so that it is tried again."""
    await path.ledger.request([decision(), decision(OTHER)])
    path.firewall.lost = {HELD}

    assert not await path.enforcer.work(reconcile=False)
    assert {ATTACKER: LedgerState.REQUESTED, OTHER: LedgerState.ENFORCED} == await states(path)
    assert [None] == path.record.problems

    path.firewall.lost = set()
    assert await path.enforcer.work(reconcile=False)
    assert LedgerState.ENFORCED == (await states(path))[ATTACKER]


@pytest.mark.parametrize("method", ["add", "missing"])
async def test_a_refusal_is_kept_with_what_was_said_and_tried_again(
    path: ResponsePath, method: str
) -> None:
    """It is written once, however often the same is said."""
    await path.ledger.request([decision()])
    path.firewall.faults[method] = "refused"

    for _ in range(3):
        assert not await path.enforcer.work(reconcile=False)
    assert [LedgerState.REQUESTED, LedgerState.FAILED] == path.disk.states()
    assert "pf says no; make the rule" == path.disk.lines[-1].note
    assert ["pf says no; make the rule"] * 3 == path.record.problems

    path.firewall.faults.clear()
    assert await path.enforcer.work(reconcile=False)
    assert LedgerState.ENFORCED == (await states(path))[ATTACKER]


async def test_a_refusal_for_one_table_leaves_the_other_at_work(path: ResponsePath) -> None:
    """The operator has made one rule and not yet the other."""
    await path.ledger.request([decision(), decision(OTHER, table=Table.LIMIT)])
    add = path.firewall.add

    async def only_limit(table: Table, targets: object) -> None:
        path.firewall.faults["add"] = "refused" if table is Table.BLOCK else ""
        await add(table, targets)  # type: ignore[arg-type]

    path.firewall.add = only_limit  # type: ignore[method-assign]
    assert not await path.enforcer.work(reconcile=False)

    assert {ATTACKER: LedgerState.FAILED, OTHER: LedgerState.ENFORCED} == await states(path)


async def test_connections_that_may_not_be_ended_do_not_undo_the_block(path: ResponsePath) -> None:
    """The address is in the table, and a rule refers to it."""
    await path.ledger.request([decision()])
    path.firewall.faults["kill_states"] = "refused"

    assert await path.enforcer.work(reconcile=False)
    assert LedgerState.ENFORCED == (await states(path))[ATTACKER]


async def test_an_expiry_reaches_the_firewall(path: ResponsePath) -> None:
    """Entries of others stay; ours is watched once it is proved to be out."""
    await path.firewall.add(Table.BLOCK, [FOREIGN])
    await enforced(path, ATTACKER)
    path.clock.advance(600)

    assert await path.enforcer.work(reconcile=False)

    assert {FOREIGN} == await path.firewall.entries(Table.BLOCK)
    assert LedgerState.WATCHED == path.disk.states()[-1]
    assert (ATTACKER, LedgerState.RELEASED, "its time has ended") == path.record.changes[-1]


@pytest.mark.parametrize("method", ["delete", "entries"])
async def test_an_expiry_without_an_answer_is_tried_again(path: ResponsePath, method: str) -> None:
    """Until the firewall says that it is out, it is on our list."""
    await enforced(path, ATTACKER)
    path.clock.advance(600)
    path.firewall.faults[method] = "unreachable"
    assert not await path.enforcer.work(reconcile=False)
    assert LedgerState.ENFORCED == (await states(path))[ATTACKER]

    path.firewall.faults.clear()
    assert await path.enforcer.work(reconcile=False)
    assert LedgerState.WATCHED == (await states(path))[ATTACKER]


async def test_what_does_not_leave_the_table_is_not_released(path: ResponsePath) -> None:
    """The command succeeded and the entry is still there: it is not done."""
    await enforced(path, ATTACKER, OTHER)
    path.clock.advance(600)
    path.firewall.stuck = {HELD}

    assert not await path.enforcer.work(reconcile=False)
    assert {ATTACKER: LedgerState.ENFORCED, OTHER: LedgerState.WATCHED} == await states(path)


async def test_a_wish_that_expired_unanswered_is_taken_out_too(path: ResponsePath) -> None:
    """Its command may have been carried out before the answer was lost."""
    await path.ledger.request([decision()])
    path.firewall.faults["missing"] = "unreachable"
    await path.enforcer.work(reconcile=False)
    assert {HELD} == await path.firewall.entries(Table.BLOCK)

    path.firewall.faults.clear()
    path.clock.advance(600)
    assert await path.enforcer.work(reconcile=False)
    assert set() == await path.firewall.entries(Table.BLOCK)


async def test_reconciling_puts_back_what_is_gone(path: ResponsePath) -> None:
    """A filter reload emptied the table: it is requested again, proved, and told as such."""
    await enforced(path, ATTACKER, OTHER)
    await path.firewall.delete(Table.BLOCK, [HELD])
    path.firewall.calls.clear()

    assert await path.enforcer.work(reconcile=False)
    assert [] == path.firewall.calls  # nobody looks in between

    assert await path.enforcer.work(reconcile=True)
    assert {HELD, HELD_TOO} == await path.firewall.entries(Table.BLOCK)
    expected = [
        LedgerState.REQUESTED,
        LedgerState.ENFORCED,
        LedgerState.REQUESTED,
        LedgerState.ENFORCED,
    ]
    assert expected == path.disk.states()
    assert [LedgerState.REQUESTED, LedgerState.ENFORCED] == path.disk.states(OTHER)
    assert [(ATTACKER, LedgerState.ENFORCED, PUT_BACK)] == path.record.changes[2:]


async def test_reconciling_does_not_put_back_what_has_ended(path: ResponsePath) -> None:
    """It is gone, and that is right."""
    await enforced(path, ATTACKER)
    await path.firewall.delete(Table.BLOCK, [HELD])
    path.clock.advance(600)

    assert await path.enforcer.work(reconcile=True)
    assert set() == await path.firewall.entries(Table.BLOCK)
    assert LedgerState.WATCHED == path.disk.states()[-1]


async def test_reconciling_leaves_entries_of_others(path: ResponsePath) -> None:
    """Those that are there, and those that were there and are not."""
    await path.firewall.add(Table.BLOCK, [FOREIGN])
    await path.enforcer.work(reconcile=True)

    assert {FOREIGN} == await path.firewall.entries(Table.BLOCK)
    assert 0 == path.firewall.counts["delete"]


@pytest.mark.parametrize("method", ["add", "delete"])
async def test_a_ledger_that_cannot_be_written_is_told_and_no_fault_of_the_firewall(
    path: ResponsePath, method: str
) -> None:
    """What was done stays unproved on disk, and is done again: that does no harm."""
    await enforced(path, OTHER)
    if method == "add":
        await path.ledger.request([decision()])
    else:
        path.clock.advance(600)
    path.disk.full = True

    assert not await path.enforcer.work(reconcile=False)
    assert "the disk is full; make room" == path.record.ledger_problems[-1]
    assert path.record.problems[-1] is None

    path.disk.full = False
    assert await path.enforcer.work(reconcile=False)
    assert path.record.ledger_problems[-1] is None


async def test_a_block_of_whom_the_list_now_names_is_taken_out(path: ResponsePath) -> None:
    """The operator has put a blocked address into NEVER_BLOCK."""
    await enforced(path, ATTACKER, OTHER)
    path.enforcer.never_block = NeverBlock({"NEVER_BLOCK": [ip_network(ATTACKER)]})

    assert await path.enforcer.work(reconcile=False)

    assert {HELD_TOO} == await path.firewall.entries(Table.BLOCK)
    note = f"never blocked: NEVER_BLOCK: {ATTACKER}/32"
    assert (ATTACKER, LedgerState.RELEASED, note) == path.record.changes[-1]


async def test_the_firewalls_own_address_is_never_sent(path: ResponsePath) -> None:
    """It is known once the connection stands; a wish from before that is not carried out."""
    await path.ledger.request([decision(), decision(OTHER)])

    def connected(name: str) -> None:
        if name == "entries":
            path.firewall.own = frozenset({HELD})

    path.firewall.on_call = connected
    assert await path.enforcer.work(reconcile=True)

    assert {HELD_TOO} == await path.firewall.entries(Table.BLOCK)
    assert 1 == path.firewall.counts["add"]
    assert path.never_block.reason(HELD) is not None


async def test_release_all_takes_out_all_that_is_ours(path: ResponsePath) -> None:
    """Proved, requested, or ended; in both tables; and nothing of others."""
    await path.firewall.add(Table.BLOCK, [FOREIGN])
    await enforced(path, ATTACKER)
    await path.ledger.request([decision(OTHER, table=Table.LIMIT)])
    await path.firewall.add(Table.LIMIT, [HELD_TOO])

    assert await path.enforcer.release_all()

    assert {FOREIGN} == await path.firewall.entries(Table.BLOCK)
    assert set() == await path.firewall.entries(Table.LIMIT)
    assert {ATTACKER: LedgerState.WATCHED, OTHER: LedgerState.WATCHED} == await states(path)


async def test_release_all_says_so_where_it_could_not(path: ResponsePath) -> None:
    """The ledger keeps what is still there, for the next start."""
    await enforced(path, ATTACKER)
    path.firewall.faults["delete"] = "unreachable"

    assert not await path.enforcer.release_all()
    assert {ATTACKER: LedgerState.ENFORCED} == await states(path)


async def test_a_restart_takes_out_at_its_end_what_a_killed_run_had_sent(
    path: ResponsePath,
) -> None:
    """The wish was durable before the command, so that it is known whose entry this is."""
    await path.ledger.request([decision()])
    path.firewall.faults["missing"] = "unreachable"
    await path.enforcer.work(reconcile=False)
    path.firewall.faults.clear()

    path.restart()
    await path.ledger.load()
    assert await path.enforcer.work(reconcile=True)
    assert {ATTACKER: LedgerState.ENFORCED} == await states(path)

    path.clock.move_to(NOW + 600)
    assert await path.enforcer.work(reconcile=False)
    assert set() == await path.firewall.entries(Table.BLOCK)
