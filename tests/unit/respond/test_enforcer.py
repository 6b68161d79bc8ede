"""The firewall is brought to what the ledger says, and the ledger to what is proved."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.respond.enforcer import PUT_BACK
from ai_suricata.respond.guard import Guard
from fakes.response import ATTACKER, NOW, OTHER, decision, lasting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.core.decision import LedgerEntry
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
    """In this order: nothing counts before the firewall was asked.

    What it lives by comes first of all, so that it is not cut off.
    """
    await path.ledger.request([decision()])
    before: list[list[LedgerState]] = []
    path.firewall.on_call = lambda _name: before.append(path.disk.states())

    assert await path.enforcer.work(reconcile=False)

    assert ["survey", "add", "missing"] == path.firewall.calls
    assert [[LedgerState.REQUESTED]] * 3 == before
    assert {HELD} == await path.firewall.entries(Table.BLOCK)
    assert [LedgerState.REQUESTED, LedgerState.ENFORCED] == path.disk.states()
    assert [(ATTACKER, LedgerState.ENFORCED, "")] == path.record.changes
    assert [None] == path.record.problems


async def test_only_those_who_are_blocked_lose_their_connections(path: ResponsePath) -> None:
    """A rate limit ends none."""
    await path.enforcer.work(reconcile=True)  # the connections of those who were blocked before
    await path.ledger.request([decision(), decision(OTHER, table=Table.LIMIT)])
    await path.enforcer.work(reconcile=False)
    assert 0 == path.firewall.counts["kill"]  # they come after the proof, and hold up no block

    assert await path.enforcer.sweep.work()
    assert 1 == path.firewall.counts["kill"]
    assert [(1, 0)] == path.record.kills
    assert {HELD_TOO} == await path.firewall.entries(Table.LIMIT)


async def test_with_nothing_to_do_the_firewall_is_left_alone(path: ResponsePath) -> None:
    """An idle daemon sends no commands, once it knows what the firewall lives by."""
    assert await path.enforcer.work(reconcile=False)
    path.firewall.calls.clear()

    assert await path.enforcer.work(reconcile=False)
    assert [] == path.firewall.calls


@pytest.mark.parametrize("method", ["survey", "add", "missing"])
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

    async def only_limit(table: Table, targets: object) -> object:
        path.firewall.faults["add"] = "refused" if table is Table.BLOCK else ""
        return await add(table, targets)  # type: ignore[arg-type]

    path.firewall.add = only_limit  # type: ignore[assignment, method-assign]
    assert not await path.enforcer.work(reconcile=False)

    assert {ATTACKER: LedgerState.FAILED, OTHER: LedgerState.ENFORCED} == await states(path)


async def test_connections_that_may_not_be_ended_do_not_undo_the_block(path: ResponsePath) -> None:
    """The address is in the table, and a rule refers to it."""
    await path.ledger.request([decision()])
    path.firewall.faults["kill_states"] = "refused"

    assert await path.enforcer.work(reconcile=False)
    assert await path.enforcer.sweep.work()
    assert LedgerState.ENFORCED == (await states(path))[ATTACKER]
    assert 0 == path.enforcer.sweep.waiting


async def test_an_expiry_reaches_the_firewall(path: ResponsePath) -> None:
    """Entries of others stay; ours is watched once it is proved to be out."""
    await path.firewall.add(Table.BLOCK, lasting(FOREIGN))
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
    await path.firewall.add(Table.BLOCK, lasting(FOREIGN))
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
    path.protect(ATTACKER)

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
    assert path.protection.never_block.reason(HELD) is not None


async def test_what_comes_in_after_the_guard_has_looked_is_judged_too(
    path: ResponsePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another instance's block of a protected address arrives while the guard writes to disk."""
    path.protect(ATTACKER)
    look = Guard.spare

    async def late(self: Guard) -> None:
        await look(self)
        if path.ledger.latest(ATTACKER, Table.BLOCK) is None:
            await path.ledger.request([decision(), decision(OTHER)])

    monkeypatch.setattr(Guard, "spare", late)

    assert not await path.enforcer.work(reconcile=False)
    assert {HELD_TOO} == await path.firewall.entries(Table.BLOCK)
    assert await path.enforcer.work(reconcile=False)
    assert LedgerState.WATCHED == (await states(path))[ATTACKER]
    assert 1 == path.firewall.counts["add"]


async def test_release_all_takes_out_all_that_is_ours(path: ResponsePath) -> None:
    """Proved, requested, or ended; in both tables; and nothing of others."""
    await path.firewall.add(Table.BLOCK, lasting(FOREIGN))
    await enforced(path, ATTACKER)
    await path.ledger.request([decision(OTHER, table=Table.LIMIT)])
    await path.firewall.add(Table.LIMIT, lasting(HELD_TOO))

    assert await path.enforcer.release_all("released at stop")

    assert {FOREIGN} == await path.firewall.entries(Table.BLOCK)
    assert set() == await path.firewall.entries(Table.LIMIT)
    assert {ATTACKER: LedgerState.WATCHED, OTHER: LedgerState.WATCHED} == await states(path)


async def test_release_all_says_so_where_it_could_not(path: ResponsePath) -> None:
    """The ledger keeps what is still there, for the next start."""
    await enforced(path, ATTACKER)
    path.firewall.faults["delete"] = "unreachable"

    assert not await path.enforcer.release_all("released at stop")
    assert {ATTACKER: LedgerState.ENFORCED} == await states(path)

    path.firewall.faults.clear()
    assert await path.enforcer.work(reconcile=True)
    assert set() == await path.firewall.entries(Table.BLOCK)


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


async def test_nothing_is_sent_before_the_firewall_has_said_what_it_lives_by(
    path: ResponsePath,
) -> None:
    """Its gateway could be among the wishes; one that says nothing gets nothing."""
    await path.ledger.request([decision(), decision(OTHER)])
    path.firewall.surroundings = {"gateway": [ip_network(ATTACKER)]}
    path.firewall.faults["survey"] = "refused"
    assert not await path.enforcer.work(reconcile=True)
    assert 0 == path.firewall.counts["add"]

    path.firewall.faults.clear()
    assert await path.enforcer.work(reconcile=True)
    assert {HELD_TOO} == await path.firewall.entries(Table.BLOCK)
    note = f"never blocked: the firewall's gateway: {ATTACKER}/32"
    assert (ATTACKER, LedgerState.RELEASED, note) in path.record.changes


async def test_a_survey_that_fails_later_leaves_the_last_good_list(path: ResponsePath) -> None:
    """Blocks go on; what was learned is still spared, and it is asked again."""
    path.firewall.surroundings = {"gateway": [ip_network(ATTACKER)]}
    assert await path.enforcer.work(reconcile=True, survey=True)
    path.firewall.faults["survey"] = "refused"
    path.firewall.surroundings = {}
    await path.ledger.request([decision(OTHER)])

    assert not await path.enforcer.work(reconcile=False, survey=True)
    assert {HELD_TOO} == await path.firewall.entries(Table.BLOCK)
    assert path.protection.never_block.reason(HELD) is not None


async def test_what_the_firewall_newly_lives_by_is_lifted_at_once(path: ResponsePath) -> None:
    """The provider has given it another gateway, which is blocked."""
    await enforced(path, ATTACKER, OTHER)
    path.firewall.surroundings = {"gateway": [ip_network(ATTACKER)]}

    assert await path.enforcer.work(reconcile=False, survey=True)
    assert {HELD_TOO} == await path.firewall.entries(Table.BLOCK)


async def test_a_block_by_force_stays_on_the_list_unless_it_cuts_us_off(
    path: ResponsePath,
) -> None:
    """The operator has looked at it; the firewall's gateway nobody may block."""
    third = "203.0.113.8"
    await path.ledger.request(
        [
            decision(by_hand=True, forced=True),
            decision(OTHER),
            decision(third, by_hand=True),  # and nobody was asked to override the list for it
        ]
    )
    path.protect(ATTACKER, OTHER, third)
    assert await path.enforcer.work(reconcile=False)
    assert {HELD} == await path.firewall.entries(Table.BLOCK)

    path.protection.learn("fake", {"gateway": [ip_network(ATTACKER)]})
    assert await path.enforcer.work(reconcile=False)
    assert set() == await path.firewall.entries(Table.BLOCK)


async def test_an_entry_of_somebody_else_stays_when_our_block_of_it_ends(
    path: ResponsePath,
) -> None:
    """It was there before us."""
    await path.enforcer.work(reconcile=True)
    await path.firewall.add(Table.BLOCK, lasting(HELD))
    await path.ledger.request([decision(), decision(OTHER)])
    await path.enforcer.work(reconcile=False)
    path.clock.advance(600)

    assert await path.enforcer.work(reconcile=True)
    assert {HELD} == await path.firewall.entries(Table.BLOCK)
    assert LedgerState.WATCHED == path.disk.states()[-1]
    [line] = [e for e in path.disk.lines if e.target == ATTACKER][-1:]
    assert "was there before us" in line.note


async def test_an_entry_of_somebody_else_that_went_is_ours_alone(path: ResponsePath) -> None:
    """Its owner took it out: what we put in after that, we take out at the end."""
    await path.enforcer.work(reconcile=True)
    await path.firewall.add(Table.BLOCK, lasting(HELD))
    await path.ledger.request([decision()])
    await path.enforcer.work(reconcile=False)
    await path.firewall.delete(Table.BLOCK, [HELD])
    assert await path.enforcer.work(reconcile=True)
    assert {HELD} == await path.firewall.entries(Table.BLOCK)

    path.clock.advance(600)
    assert await path.enforcer.work(reconcile=True)
    assert set() == await path.firewall.entries(Table.BLOCK)


async def test_what_a_killed_run_has_sent_is_not_taken_for_somebody_elses(
    path: ResponsePath,
) -> None:
    """It is in the table and in our ledger: it goes at its end."""
    await path.ledger.request([decision()])
    path.firewall.faults["missing"] = "unreachable"
    await path.enforcer.work(reconcile=False)
    path.firewall.faults.clear()
    path.restart()
    await path.ledger.load()
    await path.responder.start(5)
    path.clock.advance(600)

    assert await path.enforcer.work(reconcile=False)
    assert set() == await path.firewall.entries(Table.BLOCK)


async def test_a_rule_that_is_gone_is_found_out_when_reconciling(path: ResponsePath) -> None:
    """The entries are there and nothing refers to them: they are enforced no more."""
    await enforced(path, ATTACKER)
    path.firewall.faults["missing"] = "refused"

    assert not await path.enforcer.work(reconcile=True)
    assert LedgerState.FAILED == path.disk.states()[-1]
    assert "pf says no; make the rule" == path.record.problems[-1]

    path.firewall.faults.clear()
    assert await path.enforcer.work(reconcile=True)
    assert LedgerState.ENFORCED == path.disk.states()[-1]


async def test_what_fits_in_is_proved_though_the_rest_was_refused(path: ResponsePath) -> None:
    """The tables are full: the worst are in, the others are tried again."""
    await path.ledger.request([decision(OTHER, score=0.9), decision(score=0.99)])
    path.firewall.room = 1

    assert not await path.enforcer.work(reconcile=False)
    assert {ATTACKER: LedgerState.ENFORCED, OTHER: LedgerState.FAILED} == await states(path)

    path.firewall.room = None
    assert await path.enforcer.work(reconcile=False)
    assert {HELD, HELD_TOO} == await path.firewall.entries(Table.BLOCK)


async def test_after_a_start_connections_of_the_blocked_are_ended(path: ResponsePath) -> None:
    """The run before was killed between the proof and that."""
    await enforced(path, ATTACKER)
    path.restart()
    await path.ledger.load()
    await path.enforcer.work(reconcile=True)

    assert await path.enforcer.sweep.work()
    assert 1 == path.firewall.counts["kill"]


async def test_a_network_that_is_lifted_leaves_its_other_members_blocked(
    path: ResponsePath,
) -> None:
    """One of its addresses may not be blocked any more."""
    members = ("203.0.113.8", "203.0.113.9")
    network = decision("203.0.113.0/24", members=(*members, ATTACKER))
    await path.ledger.request([network])
    await path.enforcer.work(reconcile=False)
    path.protect(ATTACKER)

    assert await path.enforcer.work(reconcile=False)
    assert set(map(ip_address, members)) == await path.firewall.entries(Table.BLOCK)


async def test_a_pair_has_a_block_when_both_have_it(pair: ResponsePath) -> None:
    """Until the second one is back, the first one blocks, and nothing counts as proved."""
    [second] = pair.others
    second.faults[""] = "unreachable"
    await pair.ledger.request([decision()])
    assert not await pair.enforcer.work(reconcile=True, survey=True)
    assert {HELD} == await pair.firewall.entries(Table.BLOCK)
    assert [LedgerState.REQUESTED] == pair.disk.states()
    assert "no answer" == pair.record.problems[-1]
    assert {"fake": True, "second": False} == pair.record.standing

    second.faults.clear()
    assert await pair.enforcer.work(reconcile=True)
    assert {HELD} == await second.entries(Table.BLOCK)
    assert LedgerState.ENFORCED == pair.disk.states()[-1]


async def test_what_one_of_a_pair_has_lost_is_put_back_while_the_other_is_away(
    pair: ResponsePath,
) -> None:
    """A filter reload on the one that works, with the other one in repair."""
    await enforced(pair, ATTACKER)
    [second] = pair.others
    second.faults[""] = "unreachable"
    await pair.firewall.delete(Table.BLOCK, [HELD])

    assert not await pair.enforcer.work(reconcile=True)
    assert {HELD} == await pair.firewall.entries(Table.BLOCK)


async def test_an_expiry_reaches_both_of_a_pair(pair: ResponsePath) -> None:
    """The one that is there at once, and the ledger keeps it for the other."""
    await enforced(pair, ATTACKER)
    [second] = pair.others
    second.faults[""] = "unreachable"
    pair.clock.advance(600)

    assert not await pair.enforcer.work(reconcile=False)
    assert set() == await pair.firewall.entries(Table.BLOCK)
    assert LedgerState.ENFORCED == pair.disk.states()[-1]

    second.faults.clear()
    assert await pair.enforcer.work(reconcile=False)
    assert set() == await second.entries(Table.BLOCK)
    assert LedgerState.WATCHED == pair.disk.states()[-1]


async def test_a_wish_that_was_on_its_way_when_the_list_changed_is_not_sent(
    path: ResponsePath,
) -> None:
    """Decided before, in the ledger after: the list is asked again right before the add."""
    await path.enforcer.work(reconcile=True)
    path.protect(ATTACKER)
    await path.enforcer.work(reconcile=True)
    await path.ledger.request([decision()])

    await path.enforcer.work(reconcile=False)
    assert 0 == path.firewall.counts["add"]


async def test_many_that_may_not_be_blocked_any_more_are_one_write(path: ResponsePath) -> None:
    """Thousands of blocks by mistake are not lifted one disk write after the other."""
    await enforced(path, *(f"203.0.113.{number}" for number in range(100)))
    writes: list[int] = []
    append = path.disk.append

    async def counted(entries: Sequence[LedgerEntry]) -> None:
        writes.append(len(entries))
        await append(entries)

    path.disk.append = counted  # type: ignore[method-assign]
    path.protect("203.0.113.0/24")

    assert await path.enforcer.work(reconcile=False)
    assert set() == await path.firewall.entries(Table.BLOCK)
    assert len(writes) <= 3


async def test_a_full_disk_in_mid_demotion_loses_no_member(path: ResponsePath) -> None:
    """The members are wished for before the network goes."""
    members = ("203.0.113.8", "203.0.113.9")
    await path.ledger.request([decision("203.0.113.0/24", members=(*members, ATTACKER))])
    await path.enforcer.work(reconcile=False)
    path.protect(ATTACKER)
    end = path.ledger.end

    async def full(*_arguments: object) -> list[LedgerEntry]:
        path.ledger.end = end  # type: ignore[method-assign]
        raise StateError("the disk is full; make room")

    path.ledger.end = full  # type: ignore[assignment, method-assign]
    assert not await path.enforcer.work(reconcile=False)
    assert await path.enforcer.work(reconcile=False)

    assert set(map(ip_address, members)) == await path.firewall.entries(Table.BLOCK)


async def test_a_rule_that_is_gone_for_one_ip_version_is_found_out(path: ResponsePath) -> None:
    """The other version's blocks are enforced still."""
    await enforced(path, ATTACKER, "2001:db8::7")
    path.firewall.unproved = {ip_address("2001:db8::7")}

    assert not await path.enforcer.work(reconcile=True)
    expected = {ATTACKER: LedgerState.ENFORCED, "2001:db8::7": LedgerState.REQUESTED}
    assert expected == await states(path)


async def test_what_was_proved_before_is_put_back_and_no_new_block(path: ResponsePath) -> None:
    """Also after the firewall said no for a while."""
    await enforced(path, ATTACKER)
    path.firewall.faults["missing"] = "refused"
    await path.enforcer.work(reconcile=True)
    path.firewall.faults.clear()
    await path.enforcer.work(reconcile=False)

    assert (ATTACKER, LedgerState.ENFORCED, PUT_BACK) == path.record.changes[-1]


async def test_a_refusal_with_other_numbers_is_no_news(path: ResponsePath) -> None:
    """A full table says with each try how many did not fit: the ledger does not grow by that."""
    await path.ledger.request([decision(f"203.0.113.{number}") for number in range(10)])
    path.firewall.room = 2
    for _ in range(3):
        await path.enforcer.work(reconcile=False)
        path.firewall.room += 1
    failed = [e for e in path.disk.lines if e.state is LedgerState.FAILED]

    assert 8 == len(failed)


async def test_a_table_that_is_gone_holds_nothing_of_ours(path: ResponsePath) -> None:
    """The operator has deleted the alias first: what is released is off the firewall."""
    await enforced(path, ATTACKER)
    path.clock.advance(600)
    path.firewall.absent = True

    assert await path.enforcer.work(reconcile=False)
    assert LedgerState.WATCHED == path.disk.states()[-1]


async def test_what_is_released_for_good_is_not_put_back_by_one_of_a_pair(
    pair: ResponsePath,
) -> None:
    """The other one was away: it is taken out there when it is back."""
    await enforced(pair, ATTACKER)
    [second] = pair.others
    second.faults[""] = "unreachable"
    assert not await pair.enforcer.release_all("released at stop")
    second.faults.clear()

    assert await pair.enforcer.work(reconcile=True)
    assert set() == await pair.firewall.entries(Table.BLOCK) | await second.entries(Table.BLOCK)


async def test_a_full_disk_does_not_keep_blocks_on_the_firewall(path: ResponsePath) -> None:
    """Taking them all out is what an operator does in an emergency."""
    await enforced(path, ATTACKER)
    path.disk.full = True

    assert not await path.enforcer.release_all("released at stop")
    assert set() == await path.firewall.entries(Table.BLOCK)


async def test_one_that_comes_back_is_asked_what_it_lives_by_before_anything_is_sent(
    pair: ResponsePath,
) -> None:
    """It may have another gateway by now; and what it has lost meanwhile is mended at once."""
    await enforced(pair, ATTACKER)
    [second] = pair.others
    second.faults[""] = "unreachable"
    await pair.enforcer.work(reconcile=True)
    second.faults.clear()
    await second.delete(Table.BLOCK, [HELD])
    second.surroundings = {"gateway": [ip_network(OTHER)]}
    await pair.ledger.request([decision(OTHER)])

    await pair.enforcer.work(reconcile=False)
    assert {HELD} == await second.entries(Table.BLOCK)


async def test_one_that_hangs_holds_up_no_block_on_the_other(pair: ResponsePath) -> None:
    """It is called again beside the rounds."""
    [second] = pair.others
    await pair.enforcer.work(reconcile=True, survey=True)
    second.faults["add"] = "unreachable"
    await pair.ledger.request([decision()])
    await pair.enforcer.work(reconcile=False)
    second.opening = asyncio.Event()

    await pair.ledger.request([decision(OTHER)])
    async with asyncio.timeout(2):
        await pair.enforcer.work(reconcile=False)
    assert HELD_TOO in await pair.firewall.entries(Table.BLOCK)

    second.opening.set()
    second.faults.clear()
    assert await pair.enforcer.work(reconcile=False)
    assert {HELD, HELD_TOO} == await second.entries(Table.BLOCK)


async def test_connections_of_who_was_lifted_meanwhile_are_left_alone(path: ResponsePath) -> None:
    """The pass comes after the proof; until then the operator may have changed his mind."""
    await enforced(path, ATTACKER, OTHER)
    lifted = [e for e in path.ledger.live(Table.BLOCK) if e.target == OTHER]
    await path.ledger.end(lifted, "by hand")

    await path.enforcer.sweep.work()
    assert 1 == path.firewall.counts["kill"]
