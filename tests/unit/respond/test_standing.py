"""Orders that stand until they are taken back: pause, and never block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.respond.order import RefusedOrderError
from fakes.control import OperatedPath, decided, entry_of, in_table, state_of
from fakes.response import ATTACKER, NOW, OTHER, until, verdict

if TYPE_CHECKING:
    from pathlib import Path


NETWORK = "203.0.113.0/24"


@pytest.fixture
def path(tmp_path: Path) -> OperatedPath:
    """Return a response path with an operator, whose files are in a folder of its own."""
    return OperatedPath(tmp_path)


async def test_while_paused_nothing_new_is_decided(path: OperatedPath) -> None:
    """What is in force stays, ends in its time, and a hand may still block."""
    async with path.running() as operator:
        await decided(path, ATTACKER)
        hold = await operator.pause("penetration test")
        assert ("penetration test", NOW) == (hold.reason, hold.since)
        await path.responder.respond([verdict(OTHER)])
        assert {ATTACKER} == await in_table(path)
        assert (await operator.block("203.0.113.200", Table.BLOCK, 3600.0)).confirmed

        path.clock.advance(601)
        path.responder.wake()
        await until(lambda: entry_of(path, ATTACKER).state is LedgerState.WATCHED)
        assert {"203.0.113.200"} == await in_table(path)


async def test_a_pause_survives_a_restart_until_resumed(path: OperatedPath) -> None:
    """With its reason."""
    async with path.running() as operator:
        await operator.pause("penetration test")
    async with path.running() as operator:
        hold = (await operator.status()).paused
        assert hold is not None
        assert ("penetration test", NOW) == (hold.reason, hold.since)
        await path.responder.respond([verdict()])
        assert [] == path.disk.lines

        assert hold == await operator.resume()
        await decided(path, ATTACKER)
        assert {ATTACKER} == await in_table(path)
    async with path.running() as operator:
        assert (await operator.status()).paused is None
        assert await operator.resume() is None
    assert [None, hold, None, None, None] == [path.holds[0], *path.holds[2:6]]


async def test_a_pause_that_can_not_be_stored_is_in_effect(path: OperatedPath) -> None:
    """That it would not survive is told."""
    async with path.running() as operator:
        (path.folder / "paused.json.new").mkdir()
        with pytest.raises(StateError, match=r"paused\.json can't be written"):
            await operator.pause()
        assert path.responder.paused


async def test_a_resume_that_can_not_be_stored_is_not_in_effect(path: OperatedPath) -> None:
    """Otherwise a restart would pause again, and nobody would know why."""
    async with path.running() as operator:
        await operator.pause()
        (path.folder / "paused.json").unlink()
        (path.folder / "paused.json").mkdir()
        with pytest.raises(StateError, match=r"paused\.json can't be removed"):
            await operator.resume()
        assert path.responder.paused


async def test_an_allowed_network_is_lifted_and_not_blocked_again(path: OperatedPath) -> None:
    """What was blocked by hand is lifted, too: the later word of the hand counts."""
    async with path.running() as operator:
        await decided(path, ATTACKER, OTHER)
        await operator.block("203.0.113.99", Table.BLOCK, 600.0)
        outcome = await operator.allow(NETWORK, "the branch office")

        assert outcome.confirmed
        assert {ATTACKER, "203.0.113.99"} == {entry.target for entry in outcome.entries}
        assert {OTHER} == await in_table(path)
        path.clock.advance(60)
        await path.responder.respond([verdict("203.0.113.50", at=path.clock.now())])
        assert LedgerState.REFUSED is state_of(path, "203.0.113.50")


async def test_the_list_survives_a_restart_and_is_taken_back(path: OperatedPath) -> None:
    """By the network, in any spelling."""
    async with path.running() as operator:
        await operator.allow("::ffff:203.0.113.7", "a colleague")
    async with path.running() as operator:
        [allowance] = await operator.allowances()
        assert ("203.0.113.7/32", "a colleague", NOW) == (
            allowance.network,
            allowance.comment,
            allowance.since,
        )
        assert path.protection.never_block.reason_for_text(ATTACKER) is not None

        assert allowance == await operator.disallow(ATTACKER)
        assert path.protection.never_block.reason_for_text(ATTACKER) is None
        with pytest.raises(RefusedOrderError, match="not on the list"):
            await operator.disallow(ATTACKER)
    async with path.running() as operator:
        assert [] == await operator.allowances()


async def test_an_allowance_that_can_not_be_stored_holds_until_the_restart(
    path: OperatedPath,
) -> None:
    """What makes things safer comes first; one that can't be taken back stays."""
    async with path.running() as operator:
        await operator.allow(OTHER)
        (path.folder / "allow.json.new").mkdir()
        assert "allow.json can't be written" in (await operator.allow(ATTACKER)).problem
        assert path.protection.never_block.reason_for_text(ATTACKER) is not None
        with pytest.raises(StateError, match=r"allow\.json can't be written"):
            await operator.disallow(OTHER)
        assert path.protection.never_block.reason_for_text(OTHER) is not None


async def test_the_list_is_bounded(path: OperatedPath, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the place for more."""
    monkeypatch.setattr("ai_suricata.respond.standing.MOST_ALLOWANCES", 1)
    async with path.running() as operator:
        await operator.allow(OTHER)
        with pytest.raises(RefusedOrderError, match="NEVER_BLOCK as @FILE"):
            await operator.allow(ATTACKER)
