"""Two instances, each with its own disk and firewall, and a copy that can be away."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ai_suricata.core.clock import ManualClock
from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.core.precedence import matters_until, precedence
from ai_suricata.respond.adoption import LIFTED, SHARED
from ai_suricata.respond.never_block import NeverBlock
from ai_suricata.respond.sharing import Sharing
from ai_suricata.state.local import LocalNotifier
from fakes.response import ATTACKER, NOW, OTHER, ResponsePath, decision, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

CHANNEL = "changes"


@dataclass
class Board:
    """What Redis holds, for all instances."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    notifier: LocalNotifier = field(default_factory=LocalNotifier)
    held: dict[tuple[str, Table], LedgerEntry] = field(default_factory=dict)


class Line:
    """Implements `SharedLedger` and `Notifier`: one instance's way to the board; it can break."""

    channel = CHANNEL

    def __init__(self, board: Board) -> None:
        self.board = board
        self.away = False
        self.deaf = False
        self.writes: list[list[LedgerEntry]] = []
        self.tries = 0
        self.writing: asyncio.Event | None = None
        """Where set, a write that was carried out is answered once it is set."""

    async def write(self, entries: Sequence[LedgerEntry]) -> None:
        """Write what stands before what is there, and tell."""
        self._ask()
        self.writes.append(list(entries))
        for entry in entries:
            key = (entry.target, entry.decision.table)
            held = self.board.held.get(key)
            if held is None or precedence(entry) >= precedence(held):
                self.board.held[key] = entry
        await self.publish(CHANNEL, msgspec.json.encode(entries))
        if self.writing is not None:
            await self.writing.wait()

    async def read_all(self) -> list[LedgerEntry]:
        """Return what has not expired."""
        self._ask()
        now = self.board.clock.now()
        return [entry for entry in self.board.held.values() if matters_until(entry) > now]

    def told(self, message: bytes) -> list[LedgerEntry]:
        """Return the entries, unless this instance hears nothing."""
        lost = self.deaf or self.away
        return [] if lost else msgspec.json.decode(message, type=list[LedgerEntry])

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell all."""
        await self.board.notifier.publish(channel, message)

    def listen(self, channel: str) -> AsyncGenerator[bytes, None]:
        """Hear what is told."""
        return self.board.notifier.listen(channel)

    def _ask(self) -> None:
        self.tries += 1
        if self.away:
            raise StateError("nothing listens there; start Redis")


class Instance:
    """A response path of its own, joined to the others by a board."""

    def __init__(self, board: Board, every: float = 60.0) -> None:
        self.path = ResponsePath(clock=board.clock)
        self.line = Line(board)
        self.every = every
        self.said: list[str | None] = []
        self.adopted: list[LedgerEntry] = []
        self.sharing = self._joined()

    @property
    def live(self) -> set[str]:
        """Return whom this instance blocks, or is about to."""
        return {entry.target for entry in self.path.ledger.live(Table.BLOCK)}

    def state(self, target: str = ATTACKER) -> tuple[LedgerState, str] | None:
        """Return state and note of a target."""
        entry = self.path.ledger.latest(target, Table.BLOCK)
        return None if entry is None else (entry.state, entry.note)

    async def block(self, *targets: str, at: float | None = None) -> None:
        """Decide on a block now."""
        now = self.path.clock.now() if at is None else at
        await self.path.ledger.request([decision(target, now) for target in targets])

    async def lift(self, *targets: str) -> None:
        """End blocks before their time."""
        latest = (self.path.ledger.latest(target, Table.BLOCK) for target in targets)
        await self.path.ledger.end([entry for entry in latest if entry is not None], "by hand")

    async def enforce(self) -> None:
        """Bring the firewall to what the ledger says."""
        await self.path.enforcer.work(reconcile=True)

    async def restart(self) -> None:
        """Begin anew as after a kill."""
        self.path.restart()
        await self.path.ledger.load()
        self.sharing = self._joined()

    async def step(self) -> None:
        """Compare and write, as after a reconnect."""
        self.sharing._compare_at = 0
        await self.sharing._step()

    def _refusal(self, target: str) -> str | None:
        return self.path.enforcer.never_block.reason_for_text(target)

    def _joined(self) -> Sharing:
        return Sharing(
            self.path.ledger,
            self.line,
            self.line,
            self.said.append,
            refusal=self._refusal,
            adopted=self.adopted.extend,
            every=self.every,
        )


@asynccontextmanager
async def running(*instances: Instance) -> AsyncIterator[None]:
    """Let the instances share until the block ends; raises what went wrong in one."""
    async with asyncio.TaskGroup() as group:
        for each in instances:
            group.create_task(each.sharing.run())
        await until(lambda: all(each.line.tries for each in instances))
        yield
        for each in instances:
            each.sharing.stop()


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


async def test_what_is_watched_is_known_to_all(one: Instance, other: Instance) -> None:
    """A return costs the next step wherever it is seen."""
    await one.block(ATTACKER)
    await one.lift(ATTACKER)
    await one.enforce()
    await one.step()

    await other.step()

    assert (LedgerState.WATCHED, "its time has ended") == other.state()


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
    other.path.enforcer.never_block = NeverBlock({"NEVER_BLOCK": [ip_network(ATTACKER)]})
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
    other.path.enforcer.never_block = NeverBlock({"NEVER_BLOCK": [ip_network(ATTACKER)]})
    await one.block(ATTACKER)
    await one.step()
    await other.step()

    other.path.enforcer.never_block = NeverBlock({})
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
    one.path.enforcer.never_block = NeverBlock({"NEVER_BLOCK": [ip_network(ATTACKER)]})

    await one.enforce()
    await one.step()
    await other.step()

    assert set() == one.live
    assert {ATTACKER} == other.live


async def test_what_is_spared_before_it_was_told_is_never_told(one: Instance) -> None:
    """The copy was away when it was decided."""
    one.line.away = True
    await one.block(ATTACKER)
    one.path.enforcer.never_block = NeverBlock({"NEVER_BLOCK": [ip_network(ATTACKER)]})
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

    assert await one.path.enforcer.release_all()
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


async def test_a_cancelled_run_ends(one: Instance) -> None:
    """A second signal does not wait."""
    task = asyncio.create_task(one.sharing.run())
    await until(lambda: one.said)
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([task])

    assert task.cancelled()


TARGETS = ("203.0.113.1", "203.0.113.2", "2001:db8::3")
instances = st.integers(0, 1)
targets = st.sampled_from(TARGETS)
operations = st.one_of(
    st.tuples(st.just("block"), instances, targets),
    st.tuples(st.just("lift"), instances, targets),
    st.tuples(st.sampled_from(["enforce", "forget", "part", "join", "step", "kill"]), instances),
    st.tuples(st.just("wait"), st.sampled_from([30.0, 300.0, 601.0])),
    st.tuples(st.just("empty")),
)


class History:
    """Carries out operations, and knows what must be blocked in the end."""

    def __init__(self) -> None:
        self.board = Board()
        self.pair = (Instance(self.board), Instance(self.board))
        self.decided: dict[str, float] = {}
        self.lifted: set[tuple[str, float]] = set()

    async def do(self, name: str, which: object = None, target: str = "") -> None:
        """Carry out one operation, a second after the one before."""
        self.board.clock.advance(1)
        if name == "wait":
            assert isinstance(which, float)
            self.board.clock.advance(which)
        elif name == "empty":
            self.board.held.clear()
        elif isinstance(which, int):
            await self._do(name, self.pair[which], target)

    async def _do(self, name: str, at: Instance, target: str) -> None:
        if name == "block" and target not in at.live:
            self.decided[target] = self.board.clock.now()
            await at.block(target)
        elif name == "lift" and target in at.live:
            entry = at.path.ledger.latest(target, Table.BLOCK)
            assert entry is not None
            self.lifted.add((target, entry.decision.decided_at))
            await at.lift(target)
        elif name in {"part", "join"}:
            at.line.away = name == "part"
        elif name == "forget":
            await at.path.ledger.forget()
        elif name == "kill":
            await at.restart()
        elif name in {"enforce", "step"}:
            await getattr(at, name)()

    async def settle(self) -> None:
        """Join both, and let all be told and done."""
        for _ in range(3):
            for each in self.pair:
                each.line.away = False
                await each.step()
                await each.enforce()

    def expected(self) -> set[str]:
        """Return whose latest decision lasts and was not lifted."""
        now = self.board.clock.now()
        return {
            target
            for target, at in self.decided.items()
            if at + 600 > now and (target, at) not in self.lifted
        }


@settings(max_examples=300, deadline=None)
@given(st.lists(operations, max_size=40))
def test_in_any_order_of_events_both_come_to_block_the_same(
    done: list[tuple[str, ...]],
) -> None:
    """Nothing that lasts is forgotten, and nothing returns that was lifted.

    Whatever was cut off, killed or emptied meanwhile.
    """

    async def lived() -> None:
        history = History()
        for operation in done:
            await history.do(*operation)
        await history.settle()
        for each in history.pair:
            assert history.expected() == each.live
            held = await each.path.firewall.entries(Table.BLOCK)
            assert history.expected() == {str(target) for target in held}

    asyncio.run(lived())
