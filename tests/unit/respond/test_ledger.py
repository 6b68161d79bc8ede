"""Every decision with its state: disk first, memory then."""

from __future__ import annotations

import asyncio

import pytest

from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.respond.ledger import Ledger
from fakes.response import ATTACKER, NOW, OTHER, Disk, clock_at, decision, until


@pytest.fixture
def disk() -> Disk:
    """Return an empty store."""
    return Disk()


async def requested(ledger: Ledger, *targets: str) -> list[LedgerEntry]:
    """Request a block of each target."""
    return await ledger.request([decision(target) for target in targets])


async def test_a_request_is_on_disk_before_it_is_anywhere_else(disk: Disk) -> None:
    """Whoever acts on the ledger's word acts on what a crash leaves."""
    ledger = Ledger(disk, clock_at())
    disk.writing = asyncio.Event()
    asking = asyncio.create_task(requested(ledger, ATTACKER))
    await asyncio.sleep(0)
    assert [] == ledger.pending(Table.BLOCK)

    disk.writing.set()
    [entry] = await asking

    assert [entry] == ledger.pending(Table.BLOCK)
    assert [entry] == disk.lines


async def test_a_disk_that_fails_changes_nothing(disk: Disk) -> None:
    """Neither a wish nor a proof exists that could not be written; the problem is told."""
    ledger = Ledger(disk, clock_at())
    [entry] = await requested(ledger, ATTACKER)
    disk.full = True

    with pytest.raises(StateError):
        await requested(ledger, OTHER)
    with pytest.raises(StateError):
        await ledger.confirm([entry])

    assert [entry] == ledger.entries()
    assert "the disk is full; make room" == ledger.problem
    disk.full = False
    await ledger.confirm([entry])
    assert ledger.problem is None


async def test_a_block_goes_through_its_life(disk: Disk) -> None:
    """Requested, failed, requested again, enforced, watched for as long, forgotten."""
    clock = clock_at()
    ledger = Ledger(disk, clock)
    await requested(ledger, ATTACKER)
    await ledger.fail(ledger.pending(Table.BLOCK), "no rule")
    await ledger.renew(ledger.pending(Table.BLOCK), "gone")
    await ledger.confirm(ledger.pending(Table.BLOCK))
    assert NOW + 600 == ledger.next_end()

    clock.advance(600)
    assert [] == ledger.live(Table.BLOCK)
    await ledger.release(ledger.ended(Table.BLOCK), "over")
    assert NOW + 1200 == ledger.next_end()

    clock.advance(599)
    assert 0 == await ledger.forget()
    clock.advance(1)
    assert 1 == await ledger.forget()

    states = [
        LedgerState.REQUESTED,
        LedgerState.FAILED,
        LedgerState.REQUESTED,
        LedgerState.ENFORCED,
        LedgerState.WATCHED,
        LedgerState.FORGOTTEN,
    ]
    assert states == disk.states()
    assert ["", "no rule", "gone", "", "over", ""] == [entry.note for entry in disk.lines]
    assert [] == ledger.entries()
    assert ledger.next_end() is None


async def test_a_refusal_lasts_as_long_as_the_block_would_have(disk: Disk) -> None:
    """Then it is forgotten."""
    clock = clock_at()
    ledger = Ledger(disk, clock)
    await ledger.refuse([(decision(), "never blocked: loopback")])

    entry = ledger.latest(ATTACKER, Table.BLOCK)
    assert entry is not None
    assert (LedgerState.REFUSED, NOW + 600, "never blocked: loopback") == (
        entry.state,
        entry.expires_at,
        entry.note,
    )
    assert [] == ledger.live(Table.BLOCK) + ledger.ended(Table.BLOCK)
    clock.advance(600)
    assert 1 == await ledger.forget()


async def test_a_wish_whose_time_is_over_has_ended_and_is_not_pending(disk: Disk) -> None:
    """Its command may have gone out: it is taken out, not sent."""
    clock = clock_at()
    ledger = Ledger(disk, clock)
    [entry] = await requested(ledger, ATTACKER)
    clock.advance(600)

    assert [] == ledger.pending(Table.BLOCK)
    assert [entry] == ledger.ended(Table.BLOCK)


async def test_what_is_ended_early_has_ended_at_once(disk: Disk) -> None:
    """Such as a block of whom NEVER_BLOCK now names."""
    ledger = Ledger(disk, clock_at())
    await requested(ledger, ATTACKER)
    await ledger.confirm(ledger.pending(Table.BLOCK))

    await ledger.end(ledger.live(Table.BLOCK), "never blocked")

    assert [] == ledger.live(Table.BLOCK)
    assert [ATTACKER] == [entry.target for entry in ledger.ended(Table.BLOCK)]


async def test_tables_are_apart(disk: Disk) -> None:
    """An address has one entry in each."""
    ledger = Ledger(disk, clock_at())
    await ledger.request([decision(), decision(table=Table.LIMIT)])
    await ledger.confirm(ledger.pending(Table.LIMIT))

    assert 1 == len(ledger.enforced(Table.LIMIT))
    assert 1 == len(ledger.pending(Table.BLOCK))
    assert 2 == len(ledger.entries())


async def test_a_second_instance_reads_what_the_first_left(disk: Disk) -> None:
    """The latest entry of each target, and no forgotten one."""
    clock = clock_at()
    first = Ledger(disk, clock)
    await requested(first, ATTACKER, OTHER)
    await first.confirm(first.pending(Table.BLOCK)[:1])

    second = Ledger(disk, clock)
    await second.load()

    assert first.entries() == second.entries()


async def test_tidying_up_spares_a_wish_that_came_meanwhile(disk: Disk) -> None:
    """The end of watching and a new attack can fall together: the new wish stays."""
    clock = clock_at()
    ledger = Ledger(disk, clock)
    await requested(ledger, ATTACKER)
    await ledger.release(ledger.pending(Table.BLOCK))
    clock.advance(600)
    disk.writing = asyncio.Event()

    asking = asyncio.create_task(ledger.request([decision(at=NOW + 600, step=1)]))
    await until(ledger._writing.locked)
    tidying = asyncio.create_task(ledger.forget())
    await asyncio.sleep(0)
    disk.writing.set()

    assert 0 == await tidying
    assert await asking == ledger.pending(Table.BLOCK)


async def test_a_proof_for_an_entry_that_has_changed_is_dropped(disk: Disk) -> None:
    """What was released while the firewall was asked does not come back to life."""
    ledger = Ledger(disk, clock_at())
    stale = await requested(ledger, ATTACKER)
    await ledger.release(stale)

    assert [] == await ledger.confirm(stale)
    assert [] == ledger.enforced(Table.BLOCK)


async def test_what_ends_is_the_decision_however_far_it_has_come_meanwhile() -> None:
    """Proved between the look and the word; another decision, or one that is over, stays."""
    disk, clock = Disk(), clock_at()
    ledger = Ledger(disk, clock)
    third_target = "192.0.2.9"
    first, second, third = await ledger.request(
        [decision(), decision(OTHER), decision(third_target)]
    )
    await ledger.confirm([first])
    await ledger.request([decision(OTHER, NOW + 1)])
    [watched] = await ledger.release([third], "its time has ended")

    ended = await ledger.end([first, second, third], "lifted by hand")

    assert [(ATTACKER, LedgerState.ENFORCED, NOW)] == [
        (entry.target, entry.state, entry.expires_at) for entry in ended
    ]
    assert watched == ledger.latest(third_target, Table.BLOCK)
