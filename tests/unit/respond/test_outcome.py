"""What an order came to is told as it is: a full disk, a firewall away, entries of others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.address import parse_target
from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.respond import settlement as module
from ai_suricata.respond.order import RefusedOrderError
from fakes.control import OperatedPath, decided, in_table, state_of
from fakes.response import ATTACKER, OTHER, until, verdict

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> OperatedPath:
    """Return a response path with an operator, whose files are in a folder of its own."""
    return OperatedPath(tmp_path)


async def test_a_full_disk_does_not_keep_all_from_being_released(path: OperatedPath) -> None:
    """The pause is in effect, the firewall is emptied, and what a restart would forget is told."""
    async with path.running() as operator:
        await decided(path, ATTACKER)
        (path.folder / "paused.json.new").mkdir()
        outcome = await operator.release_all()

        assert set() == await in_table(path)
        assert (1, True) == (outcome.count, outcome.confirmed)
        assert "paused.json can't be written" in outcome.problem
        assert "the pause is in effect until a restart" in outcome.problem
        assert path.responder.paused


async def test_what_a_restart_would_forget_says_so(path: OperatedPath) -> None:
    """It is in effect until then."""
    async with path.running() as operator:
        for name in ("paused.json.new", "allow.json.new"):
            (path.folder / name).mkdir()
        with pytest.raises(StateError, match="the pause is in effect until a restart"):
            await operator.pause()
        await decided(path)
        outcome = await operator.allow(OTHER)

    assert "allow.json can't be written" in outcome.problem
    assert "the network is on the list until a restart" in outcome.problem


async def test_a_release_that_the_firewall_did_not_confirm_says_why(path: OperatedPath) -> None:
    """The daemon goes on trying; nothing comes back meanwhile."""
    async with path.running() as operator:
        await decided(path, ATTACKER, OTHER)
        path.firewall.faults[""] = "unreachable"
        outcome = await operator.release_all()
        assert (2, False) == (outcome.count, outcome.confirmed)
        assert "no answer" in outcome.problem

        path.firewall.faults.clear()
        path.clock.advance(31)
        path.responder.wake()
        await until(lambda: state_of(path, ATTACKER) is LedgerState.WATCHED)
        assert set() == await in_table(path)


async def test_an_allowance_is_done_when_the_block_is_off(path: OperatedPath) -> None:
    """Not when the daemon, busy with something else, has not looked at the new list yet."""
    async with path.running() as operator:
        await decided(path, ATTACKER)
        gate = path.firewall.hanging["add"] = asyncio.Event()
        busy = asyncio.create_task(path.responder.respond([verdict(OTHER)]))
        await until(lambda: path.firewall.calls.count("add") == 2)
        order = asyncio.create_task(operator.allow(ATTACKER))
        await until(lambda: path.protection.never_block.reason_for_text(ATTACKER) is not None)
        gate.set()
        outcome = await order
        await busy

        assert (1, True, "") == (outcome.count, outcome.confirmed, outcome.problem)
        assert LedgerState.WATCHED is outcome.entries[0].state
        assert ATTACKER not in await in_table(path)


async def test_an_allowance_that_is_not_carried_out_yet_says_so(
    path: OperatedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The firewall is away: it is not done, and why."""
    monkeypatch.setattr(module, "SETTLING", 1.0)
    async with path.running() as operator:
        await decided(path, ATTACKER)
        path.firewall.faults[""] = "unreachable"
        outcome = await operator.allow(ATTACKER)
        path.firewall.faults.clear()

    assert (1, False) == (outcome.count, outcome.confirmed)
    assert "no answer" in outcome.problem


@pytest.mark.parametrize("order", ["lift", "undo", "allow"])
async def test_what_is_being_stored_is_waited_for(path: OperatedPath, order: str) -> None:
    """A decision of this very moment is in the ledger when an order looks for it."""
    async with path.running() as operator:
        gate = path.disk.writing = asyncio.Event()
        deciding = asyncio.create_task(path.responder.respond([verdict(ATTACKER)]))
        await until(lambda: path.responder.unsaved)
        orders = {
            "lift": lambda: operator.lift(ATTACKER),
            "undo": lambda: operator.undo(path.clock.now() - 600),
            "allow": lambda: operator.allow(ATTACKER),
        }
        task = asyncio.create_task(orders[order]())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not task.done()
        gate.set()
        outcome = await task
        await deciding

        assert [ATTACKER] == [entry.target for entry in outcome.entries]
        assert outcome.confirmed
        assert set() == await in_table(path)


async def test_what_waits_for_a_full_disk_is_told(path: OperatedPath) -> None:
    """Nobody can say whether it is among them."""
    async with path.running() as operator:
        path.disk.full = True
        await path.responder.respond([verdict(ATTACKER)])
        with pytest.raises(RefusedOrderError, match="1 decision waits for the disk"):
            await operator.lift(ATTACKER)
        outcome = await operator.undo(path.clock.now() - 600)
        assert "1 decision waits for the disk" in outcome.problem
        path.disk.full = False


@pytest.mark.parametrize("order", ["lift", "allow", "release_all"])
async def test_what_was_there_before_us_and_stays_is_told(path: OperatedPath, order: str) -> None:
    """Our entry is gone, the address is still blocked: that is not done."""
    await path.firewall.add(Table.BLOCK, {parse_target(ATTACKER): 0.0})
    async with path.running() as operator:
        await decided(path, OTHER)  # the first comparison of all is over then
        assert "" == (await operator.block(ATTACKER, Table.BLOCK, 600.0)).problem
        orders = {
            "lift": lambda: operator.lift(ATTACKER),
            "allow": lambda: operator.allow(ATTACKER),
            "release_all": operator.release_all,
        }
        outcome = await orders[order]()

        assert outcome.confirmed
        assert f"{ATTACKER} stays in the table" in outcome.problem
        assert ATTACKER in await in_table(path)


async def test_a_pause_is_in_effect_before_what_it_waits_for(path: OperatedPath) -> None:
    """A slow order does not hold it up; a `resume` from before it does not undo it."""
    async with path.running() as operator:
        await decided(path, ATTACKER)
        gate = path.firewall.hanging["delete"] = asyncio.Event()
        lifting = asyncio.create_task(operator.release_all())
        await until(lambda: "delete" in path.firewall.calls)
        resuming = asyncio.create_task(operator.resume())
        await asyncio.sleep(0)
        pausing = asyncio.create_task(operator.pause("emergency"))
        await asyncio.sleep(0)
        standing = await operator.status()
        assert standing.paused is not None
        assert "emergency" == standing.paused.reason
        gate.set()

        assert "emergency" == (await pausing).reason
        with pytest.raises(RefusedOrderError, match="paused again"):
            await resuming
        await lifting
        assert path.responder.paused
    async with path.running() as operator:
        found = (await operator.status()).paused
        assert found is not None
        assert "emergency" == found.reason
