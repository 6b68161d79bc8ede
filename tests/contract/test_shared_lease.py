"""The lease, in memory and on every kind of Redis: one holder, and late ones are refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from contract.shared_backends import LONG, SHORT, eventually

if TYPE_CHECKING:
    from ai_suricata.state.shared import Grant
    from contract.shared_backends import Backend, Shared


async def taken(shared: Shared, holder: str, seconds: float = LONG, name: str = "train") -> Grant:
    """Take the lease, which is free."""
    grant = await shared.lease.take(name, holder, seconds)
    assert grant is not None
    return grant


async def successor(shared_backend: Backend, shared: Shared, holder: str) -> Grant:
    """Take the lease as soon as it ends."""
    grants: list[Grant | None] = []

    async def replaced() -> bool:
        grants.append(await shared.lease.take("train", holder, LONG))
        return grants[-1] is not None

    await eventually(shared_backend, replaced)
    assert grants[-1] is not None
    return grants[-1]


async def test_one_holds_the_lease_at_a_time(one: Shared, other: Shared) -> None:
    """The second gets nothing while the first holds it; another lease is free."""
    await taken(one, "first")

    assert await other.lease.take("train", "second", LONG) is None
    await taken(other, "second", name="another")


async def test_one_of_many_who_ask_at_once_gets_the_lease(one: Shared, other: Shared) -> None:
    """The look and the taking are one step."""
    instances = [one, other] * 10
    asked = (each.lease.take("train", f"{n}", LONG) for n, each in enumerate(instances))

    assert 1 == sum(grant is not None for grant in await asyncio.gather(*asked))


async def test_a_holder_that_slept_is_replaced_and_refused(
    shared_backend: Backend, one: Shared, other: Shared
) -> None:
    """The second takes over, with a greater token; what the first writes then is not written."""
    first = await taken(one, "first", SHORT)
    assert await one.lease.write(first, "model", b"first")

    second = await successor(shared_backend, other, "second")
    assert await other.lease.write(second, "model", b"second")

    assert not await one.lease.write(first, "model", b"late")
    assert not await one.lease.renew(first, LONG)
    assert first.token < second.token
    assert b"second" == await one.lease.read("model")


async def test_a_holder_is_refused_before_its_successor_has_written(
    shared_backend: Backend, one: Shared, other: Shared
) -> None:
    """It is the grant that counts, not what was written under it."""
    first = await taken(one, "first", SHORT)
    await successor(shared_backend, other, "second")

    assert not await one.lease.write(first, "model", b"late")
    assert await one.lease.read("model") is None


async def test_a_lease_that_ended_is_not_renewed_yet_still_writes(
    shared_backend: Backend, one: Shared
) -> None:
    """While nobody has taken over, work that is done may be kept."""
    first = await taken(one, "first", SHORT)

    async def ended() -> bool:
        return not await one.lease.renew(first, SHORT / 100)

    await eventually(shared_backend, ended)
    assert not await one.lease.renew(first, LONG)
    assert await one.lease.write(first, "model", b"late, and alone")


async def test_a_renewed_lease_goes_on(shared_backend: Backend, one: Shared, other: Shared) -> None:
    """Past its first end it is still held: as long as one that began later has lasted."""
    first = await taken(one, "first", SHORT)
    assert await one.lease.renew(first, LONG)
    await taken(one, "first", SHORT, name="hourglass")

    async def over() -> bool:
        return await other.lease.take("hourglass", "second", LONG) is not None

    await eventually(shared_backend, over)
    assert await other.lease.take("train", "second", LONG) is None
    assert await one.lease.write(first, "model", b"\x00\xff\r\n")
    assert b"\x00\xff\r\n" == await other.lease.read("model")


async def test_what_is_given_up_is_free_at_once(one: Shared, other: Shared) -> None:
    """The next grant has a greater token, and the old one can neither write nor come back."""
    first = await taken(one, "first")
    await one.lease.give_up(first)

    assert [False, False] == [
        await one.lease.write(first, "model", b"late"),
        await one.lease.renew(first, LONG),
    ]
    second = await taken(other, "second")
    assert first.token < second.token


async def test_who_lost_the_lease_gives_up_nothing(
    shared_backend: Backend, one: Shared, other: Shared
) -> None:
    """A late give-up leaves the new holder alone."""
    first = await taken(one, "first", SHORT)
    second = await successor(shared_backend, other, "second")

    await one.lease.give_up(first)

    assert await one.lease.take("train", "third", LONG) is None
    assert await other.lease.renew(second, LONG)


async def test_a_holder_that_takes_again_has_a_new_grant(one: Shared, other: Shared) -> None:
    """A restarted instance need not wait for its own lease; what it left behind is refused."""
    before = await taken(one, "first")

    after = await taken(other, "first")

    assert before.token < after.token
    assert not await one.lease.write(before, "model", b"late")
    assert await other.lease.write(after, "model", b"new")


async def test_the_token_of_another_lease_opens_nothing(one: Shared) -> None:
    """A grant is good for the lease that it names, whoever shows it."""
    grant = await taken(one, "first")
    forged = type(grant)("another", grant.holder, grant.token)
    stolen = type(grant)(grant.name, "thief", grant.token)

    assert [False, False] == [await one.lease.write(each, "k", b"") for each in (forged, stolen)]
