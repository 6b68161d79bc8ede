"""A person takes back what was decided: one target, or all of a time."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.address import parse_target
from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.respond import settlement as module
from ai_suricata.respond.order import InvalidOrderError, RefusedOrderError
from ai_suricata.state.label import Kind
from fakes.control import OperatedPath, decided, entry_of, in_table, state_of
from fakes.response import ATTACKER, NOW, OTHER, decision, verdict

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.core.decision import LedgerEntry

NETWORK = "203.0.113.0/24"
MEMBERS = ("203.0.113.7", "203.0.113.8", "203.0.113.9")


@pytest.fixture
def path(tmp_path: Path) -> OperatedPath:
    """Return a response path with an operator, whose files are in a folder of its own."""
    return OperatedPath(tmp_path)


async def promoted(path: OperatedPath) -> None:
    """Let a network be blocked for its three members."""
    made = decision(NETWORK, members=MEMBERS, reasons=("many neighbours offended",))
    await path.responder.order([made])
    assert await path.responder.settled(10)


async def test_a_lift_takes_the_target_out_of_both_tables(path: OperatedPath) -> None:
    """And remembers that a person did it."""
    async with path.running() as operator:
        await decided(path, ATTACKER, OTHER)
        await operator.block(ATTACKER, Table.LIMIT, 600.0)
        outcome = await operator.lift(ATTACKER, "our monitoring")

        assert outcome.confirmed
        assert {OTHER} == await in_table(path)
        assert set() == await in_table(path, Table.LIMIT)
    assert {Table.BLOCK, Table.LIMIT} == {entry.decision.table for entry in outcome.entries}
    for entry in outcome.entries:
        assert LedgerState.WATCHED is entry.state
        assert "lifted by hand: our monitoring" == entry.note


async def test_who_was_lifted_by_hand_is_left_alone_for_an_hour(path: OperatedPath) -> None:
    """The next event would bring it back otherwise; what it does after that counts again."""
    async with path.running() as operator:
        await decided(path, ATTACKER)
        path.clock.advance(60)
        await operator.lift(ATTACKER)
        path.clock.advance(3000)
        await path.responder.respond([verdict(at=path.clock.now())])
        assert LedgerState.WATCHED is state_of(path, ATTACKER)

        await decided_later(path)
        assert LedgerState.ENFORCED is state_of(path, ATTACKER)


async def decided_later(path: OperatedPath) -> None:
    """Let a verdict come on what has happened since."""
    path.clock.advance(601)
    await path.responder.respond([verdict(at=path.clock.now())])
    assert await path.responder.settled(10)


async def test_a_lift_holds_whatever_the_firewall_confirms_meanwhile(
    path: OperatedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that changes in that very moment is lifted all the same."""
    async with path.running() as operator:
        await decided(path, ATTACKER)
        lift = path.responder.lift

        async def late(entries: list[LedgerEntry], note: str) -> list[LedgerEntry]:
            monkeypatch.undo()
            await path.ledger.confirm(entries)
            path.clock.advance(1)
            return await lift(entries, note)

        monkeypatch.setattr(path.responder, "lift", late)
        path.clock.advance(1)
        outcome = await operator.lift(ATTACKER)

        assert (1, True) == (outcome.count, outcome.confirmed)
        assert set() == await in_table(path)


async def test_what_is_in_no_table_can_not_be_lifted(path: OperatedPath) -> None:
    """That is said, and nothing is labelled."""
    async with path.running() as operator:
        with pytest.raises(RefusedOrderError, match="is in neither table"):
            await operator.lift(ATTACKER)
    assert [] == path.labels()


async def test_lifting_a_network_lifts_all_that_is_in_it(path: OperatedPath) -> None:
    """And nothing beside it."""
    async with path.running() as operator:
        await operator.block(NETWORK, Table.BLOCK, 600.0)
        await operator.block(ATTACKER, Table.BLOCK, 600.0)
        await operator.block("203.0.112.1", Table.BLOCK, 600.0)
        outcome = await operator.lift(NETWORK)

        assert {NETWORK, ATTACKER} == {entry.target for entry in outcome.entries}
        assert {"203.0.112.1"} == await in_table(path)


async def test_an_address_is_lifted_out_of_a_network_of_many_offenders(
    path: OperatedPath,
) -> None:
    """The others are blocked one by one, before the network goes: at no moment are they free."""
    async with path.running() as operator:
        await promoted(path)
        seen: list[bool] = []
        free = {parse_target(member) for member in MEMBERS[1:]}

        async def look() -> None:
            held = await super(type(path.firewall), path.firewall).entries(Table.BLOCK)
            seen.append(free <= held or ip_network(NETWORK) in held)

        watching = asyncio.create_task(_repeat(look))
        outcome = await operator.lift(MEMBERS[0], "a colleague")
        watching.cancel()

        assert outcome.confirmed
        assert set(MEMBERS[1:]) == await in_table(path)
        assert seen
        assert all(seen)
        assert "lifted by hand: a colleague" == entry_of(path, MEMBERS[0]).note
        assert "lifted by hand: a colleague" == entry_of(path, NETWORK).note


async def _repeat(look: object) -> None:
    while True:
        await look()  # type: ignore[operator]
        await asyncio.sleep(0)


async def test_an_innocent_neighbour_is_lifted_out_of_the_network_too(path: OperatedPath) -> None:
    """It is no member; all members stay blocked."""
    async with path.running() as operator:
        await promoted(path)
        assert (await operator.lift("203.0.113.99")).confirmed

        assert set(MEMBERS) == await in_table(path)


async def test_who_is_blocked_for_longer_keeps_that(path: OperatedPath) -> None:
    """A block by hand of one member is not shortened by what takes the network's place."""
    async with path.running() as operator:
        await operator.block(MEMBERS[1], Table.BLOCK, 86_400.0)
        await promoted(path)
        await operator.lift(MEMBERS[0])

        assert NOW + 86_400 == entry_of(path, MEMBERS[1]).expires_at
        assert set(MEMBERS[1:]) == await in_table(path)


async def test_nobody_who_is_allowed_comes_back_in_place_of_a_network(path: OperatedPath) -> None:
    """The list can have grown since the network was blocked."""
    async with path.running() as operator:
        await promoted(path)
        networks = path.ledger.live(Table.BLOCK)
        path.protection.allow([ip_network(MEMBERS[2])])

        instead = operator._instead(networks, ip_address(MEMBERS[0]))
        assert [MEMBERS[1]] == [each.target for each in instead]


async def test_an_address_in_a_network_that_was_blocked_by_hand_is_named(
    path: OperatedPath,
) -> None:
    """Who else would be free is the operator's to say."""
    async with path.running() as operator:
        await operator.block(NETWORK, Table.BLOCK, 600.0)
        with pytest.raises(RefusedOrderError, match="lies inside 203"):
            await operator.lift(ATTACKER)
        assert {NETWORK} == await in_table(path)


async def test_undo_lifts_what_the_daemon_decided_since(path: OperatedPath) -> None:
    """What is older stays, and what was decided by hand."""
    async with path.running() as operator:
        await decided(path, "203.0.113.1")
        path.clock.advance(300)
        await path.responder.respond([verdict(OTHER, at=path.clock.now())])
        await operator.block(ATTACKER, Table.BLOCK, 600.0)
        outcome = await operator.undo(NOW + 300)

        assert outcome.confirmed
        assert [OTHER] == [entry.target for entry in outcome.entries]
        assert {"203.0.113.1", ATTACKER} == await in_table(path)
    assert [(ATTACKER, Kind.ATTACK), (OTHER, Kind.NORMAL)] == [
        (label.address, label.label) for label in path.labels()
    ]


async def test_undo_of_nothing_is_no_error(path: OperatedPath) -> None:
    """And undo of the future is one."""
    async with path.running() as operator:
        outcome = await operator.undo(NOW - 600)
        assert (0, True) == (outcome.count, outcome.confirmed)
        with pytest.raises(InvalidOrderError, match="in the future"):
            await operator.undo(NOW + 1)


async def test_an_outcome_names_a_bounded_number(
    path: OperatedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count is of all."""
    monkeypatch.setattr(module, "MOST_TOLD", 2)
    async with path.running(BLOCKS_PER_MINUTE="1000") as operator:
        await decided(path, *(f"198.51.{n}.1" for n in range(5)))
        outcome = await operator.undo(NOW - 1)

        assert (5, 2) == (outcome.count, len(outcome.entries))
        assert set() == await in_table(path)
