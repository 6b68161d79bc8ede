"""Two instances on one Redis that hangs, dies, is emptied, or moves: they block the same."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from ai_suricata.core.clock import SystemClock
from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.respond.ledger import Ledger
from ai_suricata.respond.sharing import Sharing
from ai_suricata.state.clients import connect
from ai_suricata.state.memory import LedgerJournal
from ai_suricata.state.redis.ledger import RedisLedger
from ai_suricata.state.redis.notifier import RedisNotifier
from contract.shared_backends import RedisBackend, on
from fakes.redis_servers import cluster, sentinel, valkey
from fakes.response import ATTACKER, OTHER, decision, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from fakes.redis_servers import Standalone

THIRD = "2001:db8::3"
AT_MOST = 30.0
"""Seconds for what has to wait for a pause, a restart or a failover."""


class Instance:
    """A ledger with a journal of its own, shared through Redis."""

    def __init__(self, journal: Path, redis: RedisBackend) -> None:
        client = redis.client()
        self.clock = SystemClock()
        self.ledger = Ledger(LedgerJournal(journal), self.clock)
        self.said: list[str | None] = []
        self.sharing = Sharing(
            self.ledger,
            RedisLedger(client, redis.keys, self.clock),
            RedisNotifier(client, quiet=0.2, patience=0.3),
            self.said.append,
            refusal=lambda _target: None,
            adopted=lambda _entries: None,
            every=1.0,
        )

    @property
    def live(self) -> set[str]:
        """Return whom this instance blocks, or is about to."""
        return {entry.target for entry in self.ledger.live(Table.BLOCK)}

    @property
    def up(self) -> bool:
        """Say whether the latest that was told is that Redis is there."""
        return bool(self.said) and self.said[-1] is None

    async def block(self, target: str) -> None:
        """Decide on a block, and have it proved."""
        wished = await self.ledger.request([decision(target, self.clock.now())])
        await self.ledger.confirm(wished)

    async def lift(self, target: str) -> None:
        """End a block, and have it taken out."""
        latest = self.ledger.latest(target, Table.BLOCK)
        assert latest is not None
        await self.ledger.release(await self.ledger.end([latest], "by hand"))


@asynccontextmanager
async def sharing(*instances: Instance) -> AsyncIterator[None]:
    """Let the instances share until the block ends."""
    async with asyncio.TaskGroup() as group:
        for each in instances:
            await each.ledger.load()
            group.create_task(each.sharing.run())
        await until(lambda: all(each.up for each in instances), AT_MOST)
        yield
        for each in instances:
            each.sharing.stop()


async def listened(backend: RedisBackend, channel: str, number: int) -> None:
    """Wait until so many listen."""
    async with asyncio.timeout(AT_MOST):
        while await backend.listeners(channel) < number:
            await backend.tick()


@pytest.fixture
def server() -> Iterator[Standalone]:
    """Yield a server that the test may ill-treat."""
    with valkey() as running:
        yield running
        running.resume()


@pytest.fixture
async def redis(server: Standalone) -> AsyncIterator[RedisBackend]:
    """Yield its backend, with little patience."""
    made = RedisBackend(lambda: connect(server.settings(socket_timeout=0.3)))
    yield made
    await made.close()


@pytest.fixture
def pair(redis: RedisBackend, tmp_path: Path) -> tuple[Instance, Instance]:
    """Return two instances, each with its own journal."""
    return Instance(tmp_path / "one.jsonl", redis), Instance(tmp_path / "other.jsonl", redis)


async def test_a_block_and_its_lift_are_known_to_the_other_within_a_second(
    redis: RedisBackend, pair: tuple[Instance, Instance]
) -> None:
    """By message, not by comparing: nobody compares within this time."""
    one, other = pair
    for each in pair:
        each.sharing._every = 600.0
    async with sharing(*pair):
        await listened(redis, redis.keys.ledger_channel, 2)
        await one.block(ATTACKER)
        await until(lambda: ATTACKER in other.live, limit=1)

        await one.lift(ATTACKER)
        await until(lambda: ATTACKER not in other.live, limit=1)


async def test_a_new_machine_knows_all_blocks(
    pair: tuple[Instance, Instance], tmp_path: Path
) -> None:
    """From Redis alone: its own journal is empty. Each is proved anew by its own firewall."""
    one, other = pair
    async with sharing(one):
        for target in (ATTACKER, OTHER, THIRD):
            await one.block(target)
        await one.lift(OTHER)

    async with sharing(other):
        await until(lambda: {ATTACKER, THIRD} == other.live)

    states = {entry.target: entry.state for entry in other.ledger.entries()}
    wish = LedgerState.REQUESTED
    assert {ATTACKER: wish, OTHER: LedgerState.WATCHED, THIRD: wish} == states
    journal = LedgerJournal(tmp_path / "other.jsonl")
    assert states == {entry.target: entry.state for entry in journal.read()}


async def hung(server: Standalone) -> None:
    """Let it hang."""
    server.pause()


async def killed(server: Standalone) -> None:
    """Kill it."""
    server.stop()


async def emptied(server: Standalone) -> None:
    """Kill it, and take all that it had."""
    server.client().flushall()
    server.stop()


@pytest.mark.parametrize("break_off", [hung, killed, emptied])
async def test_nothing_is_forgotten_and_nothing_returns_while_redis_is_away(
    server: Standalone, pair: tuple[Instance, Instance], break_off: Callable[..., Any]
) -> None:
    """Each instance goes on; both come to the same when Redis is back. It is told once."""
    one, other = pair
    async with sharing(*pair):
        await one.block(ATTACKER)
        await one.block(THIRD)
        await until(lambda: {ATTACKER, THIRD} == other.live)
        await until(lambda: not one.sharing.waiting)

        await break_off(server)
        await one.lift(ATTACKER)
        await other.block(OTHER)
        await other.ledger.renew(other.ledger.live(Table.BLOCK), "gone from the table")
        await other.ledger.confirm(other.ledger.pending(Table.BLOCK))
        await until(lambda: not one.up and not other.up, AT_MOST)
        assert [{THIRD}, {ATTACKER, OTHER, THIRD}] == [one.live, other.live]
        if break_off is hung:
            server.resume()
        else:
            server.start()

        await until(lambda: [{OTHER, THIRD}] * 2 == [one.live, other.live], AT_MOST)
        await until(lambda: one.up and other.up and not other.sharing.waiting, AT_MOST)

    assert [None, True, None] == [said and bool(said) for said in one.said]
    assert [None, True, None] == [said and bool(said) for said in other.said]


async def test_a_redis_that_comes_back_empty_is_filled_again(
    server: Standalone, redis: RedisBackend, pair: tuple[Instance, Instance]
) -> None:
    """Also where nobody noticed, as nothing was written: both compare."""
    one, other = pair
    client: Any = server.client()
    key = redis.keys.blocked(ATTACKER, Table.BLOCK)
    async with sharing(*pair):
        await one.block(ATTACKER)
        await until(lambda: ATTACKER in other.live)
        await until(lambda: not one.sharing.waiting)
        client.flushall()
        await until(lambda: bool(client.exists(key)), AT_MOST)

        assert [{ATTACKER}, {ATTACKER}] == [one.live, other.live]


async def test_an_old_copy_that_comes_back_revives_nothing(
    server: Standalone, redis: RedisBackend, pair: tuple[Instance, Instance]
) -> None:
    """As after a failover to a replica that had not heard of the lift."""
    one, other = pair
    client: Any = server.client()
    key = redis.keys.blocked(ATTACKER, Table.BLOCK)
    async with sharing(*pair):
        await one.block(ATTACKER)
        await until(lambda: ATTACKER in other.live)
        await until(lambda: not one.sharing.waiting)
        old = client.get(key)
        await one.lift(ATTACKER)
        await until(lambda: ATTACKER not in other.live)
        client.set(key, old)
        await until(lambda: old != client.get(key), AT_MOST)

        assert [set(), set()] == [one.live, other.live]


@pytest.mark.system
@pytest.mark.parametrize("group", [sentinel, cluster])
async def test_a_killed_master_is_survived(group: Callable[[], Any], tmp_path: Path) -> None:
    """What is decided meanwhile is known to both when a replica is promoted."""
    with group() as servers:
        backend = on(servers)()
        one = Instance(tmp_path / "one.jsonl", backend)
        other = Instance(tmp_path / "other.jsonl", backend)
        async with sharing(one, other):
            await one.block(ATTACKER)
            await one.block(THIRD)
            await until(lambda: {ATTACKER, THIRD} == other.live, AT_MOST)

            # Of three masters it is the one that holds an entry.
            held = [backend.keys.blocked(ATTACKER, Table.BLOCK)] if group is cluster else []
            servers.master(*held).kill()
            await one.lift(ATTACKER)
            await other.block(OTHER)

            await until(lambda: [{OTHER, THIRD}] * 2 == [one.live, other.live], 2 * AT_MOST)
            idle = [one.sharing, other.sharing]
            await until(lambda: not any(each.waiting for each in idle), 2 * AT_MOST)
        await backend.close()
