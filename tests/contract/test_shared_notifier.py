"""The notifier, in memory and on every kind of Redis: who listens is told, now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from contract.shared_backends import eventually
from contract.shared_ear import CHANNEL, listening

if TYPE_CHECKING:
    from contract.shared_backends import Backend, Shared

ELSEWHERE = "ai_suricata:other"


async def test_all_who_listen_are_told_in_order(
    shared_backend: Backend, one: Shared, other: Shared
) -> None:
    """Every listener of the channel hears all of it, and nothing of another channel."""
    ears = [await listening(shared_backend, one), await listening(shared_backend, other)]
    aside = await listening(shared_backend, one, ELSEWHERE)
    told = [b"%d\x00\xff" % number for number in range(100)]

    for message in told:
        await other.notifier.publish(CHANNEL, message)

    async def all_heard() -> bool:
        return all(len(told) <= len(ear.heard) for ear in ears)

    await eventually(shared_backend, all_heard)
    assert [told, told, []] == [ear.heard for ear in [*ears, aside]]
    for ear in [*ears, aside]:
        await ear.close()


async def test_what_was_told_before_is_missed(
    shared_backend: Backend, one: Shared, other: Shared
) -> None:
    """Nobody listens: nothing is kept for later."""
    await other.notifier.publish(CHANNEL, b"early")
    ear = await listening(shared_backend, one)
    await other.notifier.publish(CHANNEL, b"now")

    async def heard() -> bool:
        return bool(ear.heard)

    await eventually(shared_backend, heard)
    assert [b"now"] == ear.heard
    await ear.close()


async def test_who_is_cancelled_listens_no_more(shared_backend: Backend, one: Shared) -> None:
    """A task that waits for messages ends at once and lets its connection go."""
    ear = await listening(shared_backend, one)

    await ear.close()

    async def gone() -> bool:
        return 0 == await shared_backend.listeners(CHANNEL)

    assert ear.task.cancelled()
    await eventually(shared_backend, gone)


async def test_who_closes_listens_no_more(
    shared_backend: Backend, one: Shared, other: Shared
) -> None:
    """A loop that is left in the middle lets its connection go when it is closed."""
    messages = one.notifier.listen(CHANNEL)
    first = asyncio.ensure_future(anext(messages))

    async def heard() -> bool:
        await other.notifier.publish(CHANNEL, b"now")
        return first.done()

    async def gone() -> bool:
        return 0 == await shared_backend.listeners(CHANNEL)

    await eventually(shared_backend, heard)
    await messages.aclose()

    assert b"now" == await first
    await eventually(shared_backend, gone)
