"""Two instances, each with its own disk and firewall, and a copy that can be away."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest
from structlog.testing import capture_logs

from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.core.precedence import precedence
from ai_suricata.respond.adoption import LIFTED, SHARED
from fakes.response import ATTACKER, NOW, OTHER, decision, until
from fakes.sharing import Board, Instance, running


@pytest.fixture
def board() -> Board:
    """Return an empty board."""
    return Board()


@pytest.fixture
def one(board: Board) -> Instance:
    """Return an instance."""
    return Instance(board)


@pytest.fixture
def other(board: Board) -> Instance:
    """Return another one."""
    return Instance(board)


async def test_a_block_by_one_is_a_wish_of_the_other(one: Instance, other: Instance) -> None:
    """It is told at once, though proved elsewhere: here it is proved by our own firewall."""
    async with running(one, other):
        await one.block(ATTACKER)
        await one.enforce()
        await until(lambda: other.live, limit=1)

        assert (LedgerState.REQUESTED, SHARED) == other.state()
        assert [ATTACKER] == [entry.target for entry in other.adopted]
        assert [LedgerState.REQUESTED] == other.path.disk.states()
        await other.enforce()
        assert {ip_address(ATTACKER)} == await other.path.firewall.entries(Table.BLOCK)


async def test_what_is_adopted_is_not_told_back(one: Instance, other: Instance) -> None:
    """Each change goes one way: proofs are told, and change nothing at the others."""
    async with running(one, other):
        await one.block(ATTACKER)
        await until(lambda: other.live)
        await other.enforce()
        await until(lambda: not other.sharing.waiting)
        await one.enforce()
        await until(lambda: not one.sharing.waiting)

    assert [[LedgerState.ENFORCED]] == [[e.state for e in each] for each in other.line.writes]
    assert [LedgerState.REQUESTED, LedgerState.ENFORCED] == one.path.disk.states()
    assert [LedgerState.REQUESTED, LedgerState.ENFORCED] == other.path.disk.states()


async def test_a_lift_by_one_cleans_the_firewall_of_the_other(
    one: Instance, other: Instance
) -> None:
    """Its own enforcer takes it out, and tells of it."""
    async with running(one, other):
        await one.block(ATTACKER)
        await until(lambda: other.live)
        await other.enforce()

        await one.lift(ATTACKER)
        await until(lambda: not other.live)

        assert (LedgerState.ENFORCED, LIFTED) == other.state()
        await other.enforce()
    assert set() == await other.path.firewall.entries(Table.BLOCK)
    assert LedgerState.RELEASED == other.path.record.states()[-1]


async def test_a_lift_stands_before_what_is_proved_late(one: Instance, other: Instance) -> None:
    """An instance that was cut off put the block back meanwhile, and proved it again."""
    await one.block(ATTACKER)
    await one.step()
    await other.step()
    await other.enforce()
    other.line.away = True
    one.path.clock.advance(10)
    await one.lift(ATTACKER)
    await one.enforce()
    await one.step()
    one.path.clock.advance(10)
    await other.path.firewall.delete(Table.BLOCK, [ip_address(ATTACKER)])
    await other.enforce()
    assert {ATTACKER} == other.live

    other.line.away = False
    await other.step()
    await one.step()

    assert [set(), set()] == [one.live, other.live]


async def test_a_later_decision_stands_before_an_earlier_lift(
    one: Instance, other: Instance
) -> None:
    """Whoever returns is blocked by all again."""
    await one.block(ATTACKER)
    await one.step()
    await other.step()
    await one.lift(ATTACKER)
    await one.enforce()
    one.path.clock.advance(1)
    await one.block(ATTACKER)
    await one.step()
    await other.step()

    assert [{ATTACKER}, {ATTACKER}] == [one.live, other.live]


@pytest.mark.parametrize("proved", [False, True])
async def test_a_later_decision_of_another_leaves_open_what_we_have_proved(
    one: Instance,
    other: Instance,
    proved: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Both decided while they were cut off: the end is theirs, the state of our firewall ours."""
    await one.block(ATTACKER)
    if proved:
        await one.enforce()
    one.path.clock.advance(100)
    await other.block(ATTACKER)
    if not proved:
        await other.enforce()
    await other.step()
    await one.step()

    entry = one.path.ledger.latest(ATTACKER, Table.BLOCK)
    assert entry is not None
    expected = LedgerState.ENFORCED if proved else LedgerState.REQUESTED
    assert (expected, NOW + 700) == (entry.state, entry.expires_at)


@pytest.mark.parametrize("state", [LedgerState.FORGOTTEN, LedgerState.REFUSED])
async def test_what_another_forgets_or_refuses_ends_nothing_here(
    one: Instance, state: LedgerState
) -> None:
    """Whoever tells of it, and however late it was decided."""
    await one.block(ATTACKER)
    told = LedgerEntry(decision(at=NOW + 5), state, NOW + 9, NOW + 605)

    assert [] == await one.path.ledger.adopt([told])

    assert {ATTACKER} == one.live


async def test_a_lift_outlives_a_kill_and_the_loss_of_the_copy(
    one: Instance, other: Instance
) -> None:
    """Though our firewall has not answered yet, so that the block still waits to be taken out."""
    await one.block(ATTACKER)
    await one.step()
    await other.step()
    one.line.away = True
    one.path.clock.advance(1)
    await one.lift(ATTACKER)
    await one.restart()
    one.path.clock.advance(1)
    one.line.away = False

    await one.step()
    await other.step()

    assert set() == other.live


async def test_what_is_watched_is_known_to_all(one: Instance, other: Instance) -> None:
    """A return costs the next step wherever it is seen."""
    await one.block(ATTACKER)
    await one.lift(ATTACKER)
    await one.enforce()
    await one.step()

    await other.step()

    assert (LedgerState.WATCHED, "by hand") == other.state()


async def test_the_expiry_of_a_block_is_nobodys_news(one: Instance, other: Instance) -> None:
    """Each lets it end by itself; the copy of one that expired blocks nobody."""
    await one.block(ATTACKER)
    await one.step()
    one.path.clock.advance(600)
    await other.path.ledger.adopt(one.line.board.held.values())
    await other.step()

    assert set() == other.live
    assert [] == other.path.disk.lines


async def test_our_never_block_stands_before_a_block_of_another(
    one: Instance, other: Instance
) -> None:
    """It is recorded here, once, with the reason; there it goes on."""
    other.path.protect(ATTACKER)
    await one.block(ATTACKER)
    await one.step()
    for _ in range(3):
        await other.step()
        await one.step()

    note = f"never blocked: NEVER_BLOCK: {ATTACKER}/32"
    assert (LedgerState.REFUSED, note) == other.state()
    assert [LedgerState.REFUSED] == other.path.disk.states()
    assert [] == other.line.writes
    assert {ATTACKER} == one.live


async def test_a_list_that_no_longer_names_a_target_lets_it_be_blocked(
    one: Instance, other: Instance
) -> None:
    """A refusal lasts no longer than its reason."""
    other.path.protect(ATTACKER)
    await one.block(ATTACKER)
    await one.step()
    await other.step()

    other.path.protect()
    await other.step()

    assert {ATTACKER} == other.live


async def test_what_one_refuses_the_other_goes_on_to_block(one: Instance, other: Instance) -> None:
    """A refusal, and its being forgotten, is a matter of who refused."""
    await one.block(ATTACKER)
    await one.path.ledger.refuse([(decision(OTHER), "never blocked: loopback")])
    await one.step()
    await other.block(OTHER, at=NOW - 1)
    await other.step()
    one.path.clock.advance(600)
    await one.path.ledger.forget()
    await one.step()
    await other.step()

    assert {(ATTACKER, Table.BLOCK), (OTHER, Table.BLOCK)} == one.line.board.held.keys()
    assert LedgerState.REQUESTED == one.line.board.held[OTHER, Table.BLOCK].state


async def test_what_one_spares_the_other_goes_on_to_block(one: Instance, other: Instance) -> None:
    """The list of one has grown to name what both block."""
    await one.block(ATTACKER)
    await one.step()
    await other.step()
    one.path.protect(ATTACKER)

    await one.enforce()
    await one.step()
    await other.step()

    assert set() == one.live
    assert {ATTACKER} == other.live


async def test_what_is_spared_before_it_was_told_is_never_told(one: Instance) -> None:
    """The copy was away when it was decided."""
    one.line.away = True
    await one.block(ATTACKER)
    one.path.protect(ATTACKER)
    await one.enforce()
    one.line.away = False
    await one.step()

    assert {} == one.line.board.held


async def test_what_is_released_at_a_stop_stays_blocked_elsewhere(
    one: Instance, other: Instance
) -> None:
    """One instance stops for good; the other goes on."""
    await one.block(ATTACKER)
    await one.enforce()
    await one.step()
    await other.step()

    assert await one.path.enforcer.release_all("released at stop")
    await one.step()
    await other.step()

    assert {ATTACKER} == other.live


async def test_an_absence_is_told_once_and_what_waits_is_written_after(one: Instance) -> None:
    """What changes meanwhile is coalesced."""
    one.line.away = True
    async with running(one):
        await one.block(ATTACKER, OTHER)
        await one.enforce()
        await one.lift(OTHER)
        await until(lambda: 3 <= one.line.tries)
        assert 2 == one.sharing.waiting
        one.line.away = False
        await until(lambda: not one.sharing.waiting)

    assert ["nothing listens there; start Redis", None] == one.said
    assert 1 == len(one.line.writes)
    assert {ATTACKER: False, OTHER: True} == {
        target: precedence(entry)[1] for (target, _), entry in one.line.board.held.items()
    }


async def test_what_changes_while_it_is_written_is_written_again(one: Instance) -> None:
    """The answer that comes is to the earlier entry."""
    one.line.writing = asyncio.Event()
    async with running(one):
        await one.block(ATTACKER)
        await until(lambda: one.line.writes)
        await one.lift(ATTACKER)
        one.line.writing.set()
        await until(lambda: not one.sharing.waiting)

    assert precedence(one.line.board.held[ATTACKER, Table.BLOCK])[1]


async def test_a_copy_that_is_back_is_read_at_once(one: Instance, other: Instance) -> None:
    """What was told meanwhile was missed, and the next comparison is far."""
    async with running(one, other):
        await until(lambda: one.said and other.said)
        other.line.away = True
        await one.block(ATTACKER)
        await other.block(OTHER)
        await until(lambda: other.said[-1] is not None)
        assert {OTHER} == other.live

        other.line.away = False
        await until(lambda: {ATTACKER, OTHER} == other.live, limit=3)


async def test_what_is_forgotten_does_not_wait(one: Instance) -> None:
    """A copy that is away for weeks costs no memory."""
    one.line.away = True
    await one.block(ATTACKER)
    one.path.clock.advance(600)
    await one.enforce()
    assert 1 == one.sharing.waiting
    one.path.clock.advance(600)

    assert 1 == await one.path.ledger.forget()

    assert 0 == one.sharing.waiting


async def test_an_emptied_copy_is_filled_again(one: Instance, other: Instance) -> None:
    """A Redis without persistence was restarted: nothing is forgotten."""
    await one.block(ATTACKER)
    await one.step()
    await other.step()
    one.line.board.held.clear()

    await other.step()

    assert {(ATTACKER, Table.BLOCK)} == one.line.board.held.keys()
    await one.step()
    assert {ATTACKER} == one.live


async def test_what_was_not_heard_is_read(board: Board) -> None:
    """What is told while a connection is lost is missed."""
    one, other = Instance(board), Instance(board, every=0.05)
    other.line.deaf = True
    async with running(one, other):
        await one.block(ATTACKER)
        await until(lambda: other.live)


async def test_a_disk_that_is_full_delays_adoption_and_is_no_absence_of_the_copy(
    board: Board,
) -> None:
    """Nothing is adopted that is not durable; it is tried again."""
    one, other = Instance(board), Instance(board, every=0.05)
    other.path.disk.full = True
    with capture_logs() as logs:
        async with running(one, other):
            await one.block(ATTACKER)
            await until(lambda: logs)
            assert set() == other.live
            other.path.disk.full = False
            await until(lambda: other.live)

    assert [None] == other.said


async def test_a_stop_writes_what_waits(one: Instance) -> None:
    """The decisions of the last verdicts are told, too."""
    async with running(one):
        await until(lambda: one.said)
        await one.block(ATTACKER)
        one.sharing.stop()

    assert {(ATTACKER, Table.BLOCK)} == one.line.board.held.keys()


async def test_a_stop_does_not_wait_for_a_copy_that_is_away(one: Instance) -> None:
    """What was not told is in our ledger, and told by the next start."""
    one.line.away = True
    async with asyncio.timeout(5), running(one):
        await one.block(ATTACKER)

    one.line.away = False
    await one.restart()
    await one.step()
    assert {(ATTACKER, Table.BLOCK)} == one.line.board.held.keys()


@pytest.mark.parametrize("swallowed", [False, True])
async def test_a_cancelled_run_ends(one: Instance, swallowed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A second signal does not wait, also where the client swallows it (cpython, gh-86296)."""
    one.line.writing = asyncio.Event()
    one.line.swallows = swallowed
    task = asyncio.create_task(one.sharing.run())
    await one.block(ATTACKER)
    await until(lambda: one.line.writes)
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([task])

    assert task.cancelled()


async def test_whose_entry_it_was_elsewhere_says_nothing_about_our_table(
    one: Instance, other: Instance
) -> None:
    """There somebody else had put it in before; here it is ours, and goes at its end."""
    await one.path.ledger.confirm(
        await one.path.ledger.request([decision(ATTACKER, NOW)]), {ATTACKER}
    )
    await one.step()
    await other.step()

    entry = other.path.ledger.latest(ATTACKER, Table.BLOCK)
    assert entry is not None
    assert not entry.foreign


async def test_while_paused_no_block_of_another_is_taken_over(
    one: Instance, other: Instance
) -> None:
    """`pause` means no new blocks here, whoever decides them; after `resume` they come."""
    other.path.responder.paused = True
    await one.block(ATTACKER)
    await one.step()
    await other.step()
    assert (LedgerState.REFUSED, "paused by the operator") == other.state()

    other.path.responder.paused = False
    await other.step()
    assert {ATTACKER} == other.live
