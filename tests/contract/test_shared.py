"""Cache, top sources, alert store and rate limiter: alike in memory and on every kind of Redis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import structs

from contract.shared_alert import alert
from contract.shared_backends import LONG, SHORT, eventually

if TYPE_CHECKING:
    from contract.shared_backends import Backend, Shared

NOW = 1_700_000_000.0


# The metrics cache


async def test_a_value_is_read_as_it_was_put(one: Shared, other: Shared) -> None:
    """Whatever JSON holds comes back, also to another instance."""
    value = {"rate": 0.125, "top": [["203.0.113.7", 12]], "name": "é", "none": None, "on": True}

    await one.cache.put("summary", value, LONG)

    assert value == await other.cache.get("summary")


async def test_a_value_that_was_never_put_is_none(one: Shared) -> None:
    """A cache that knows nothing says so."""
    assert await one.cache.get("unknown") is None


async def test_the_later_value_takes_the_place_of_the_earlier(one: Shared) -> None:
    """One name, one value; other names keep theirs."""
    await one.cache.put("a", 1, LONG)
    await one.cache.put("b", 2, LONG)
    await one.cache.put("a", [3], LONG)

    assert [[3], 2] == [await one.cache.get("a"), await one.cache.get("b")]


async def test_a_value_ends_with_its_time(shared_backend: Backend, one: Shared) -> None:
    """What is older than its seconds is gone; what has longer is not."""
    await one.cache.put("brief", 1, SHORT)
    await one.cache.put("lasting", 2, LONG)

    async def gone() -> bool:
        return await one.cache.get("brief") is None

    assert not await gone()
    await eventually(shared_backend, gone)
    assert 2 == await one.cache.get("lasting")


# The sources with the most alerts


async def test_the_counts_of_all_instances_add_up(one: Shared, other: Shared) -> None:
    """Two instances count the same address: it has the sum."""
    await one.top.count({"203.0.113.7": 5, "203.0.113.8": 1})
    await other.top.count({"203.0.113.7": 2})
    await other.top.count({})

    assert [("203.0.113.7", 7), ("203.0.113.8", 1)] == await one.top.top(10)


async def test_the_most_come_first_and_equal_ones_by_address(one: Shared) -> None:
    """The order is whole: a limit that cuts through equal ones always keeps the same."""
    await one.top.count({"192.0.2.3": 4, "192.0.2.1": 4, "192.0.2.2": 4, "192.0.2.9": 8})

    assert [("192.0.2.9", 8), ("192.0.2.1", 4), ("192.0.2.2", 4)] == await one.top.top(3)
    assert [] == await one.top.top(0)


async def test_the_least_go_where_there_are_too_many(shared_backend: Backend) -> None:
    """A bounded list keeps those with the most alerts."""
    top = (await shared_backend.instance(most=3)).top
    await top.count({"a": 3, "b": 9, "c": 5})

    await top.count({"d": 4, "e": 1, "b": 1})

    assert [("b", 10), ("c", 5), ("d", 4)] == await top.top(10)


# The alert store


async def test_alerts_come_back_whole_and_the_newest_first(one: Shared, other: Shared) -> None:
    """Batches of two instances are one list, by the time at which they were added."""
    await one.alerts.add([alert(1), alert(2)])
    await other.alerts.add([])
    await other.alerts.add([alert(3)])

    assert [alert(3), alert(2), alert(1)] == await one.alerts.newest(10)


async def test_pages_of_alerts_follow_each_other(one: Shared) -> None:
    """Limit and offset cut the list; beyond its end there is nothing."""
    await one.alerts.add([alert(number) for number in range(5)])

    pages = [await one.alerts.newest(2, offset) for offset in (0, 2, 4, 6)]

    assert [[alert(4), alert(3)], [alert(2), alert(1)], [alert(0)], []] == pages
    assert [] == await one.alerts.newest(0)


async def test_the_oldest_alerts_go_where_there_are_too_many(shared_backend: Backend) -> None:
    """A store of three holds the last three, also of a batch larger than itself."""
    alerts = (await shared_backend.instance(most=3)).alerts
    await alerts.add([alert(1), alert(2)])
    await alerts.add([alert(3), alert(4)])

    assert [alert(4), alert(3), alert(2)] == await alerts.newest(10)

    await alerts.add([alert(number) for number in range(5, 15)])

    assert [alert(14), alert(13), alert(12)] == await alerts.newest(10)


async def test_an_alert_is_found_by_its_id(shared_backend: Backend) -> None:
    """From the newest to the oldest of many; one that went, or never was, is not."""
    alerts = (await shared_backend.instance(most=1200)).alerts
    await alerts.add([alert(number) for number in range(1300)])
    await alerts.add([structs.replace(alert(1300), category=alert(700).id)])

    found = [await alerts.find(alert(number).id) for number in (1299, 700, 101, 100)]

    assert [alert(1299), alert(700), alert(101), None] == found
    assert await alerts.find("sensor-1") is None


# The rate limiter


async def test_a_window_has_so_many_places(one: Shared, other: Shared) -> None:
    """One window for all instances; each key has its own."""
    asked = [await each.limiter.allow("key", 3, LONG, NOW) for each in (one, other, one, other)]

    assert [True, True, True, False] == asked
    assert await one.limiter.allow("another", 3, LONG, NOW)


async def test_a_window_slides(one: Shared) -> None:
    """A place is free again when it is as old as the window, and not before."""

    async def at(seconds: float) -> bool:
        return await one.limiter.allow("key", 2, 10.0, NOW + seconds)

    assert [True, True] == [await at(0.0), await at(6.0)]
    assert [False, True, False] == [await at(9.999), await at(10.0), await at(15.999)]
    assert await at(16.0)


async def test_who_is_refused_takes_no_place(one: Shared) -> None:
    """Asking again and again does not lengthen the wait."""
    assert await one.limiter.allow("key", 1, 10.0, NOW)
    for seconds in range(1, 10):
        assert not await one.limiter.allow("key", 1, 10.0, NOW + seconds)

    assert await one.limiter.allow("key", 1, 10.0, NOW + 10)


async def test_a_clock_that_is_behind_gets_no_place_more(one: Shared, other: Shared) -> None:
    """Places that lie in another instance's future count as taken."""
    assert await one.limiter.allow("key", 2, 10.0, NOW + 3)
    assert await other.limiter.allow("key", 2, 10.0, NOW)

    assert not await other.limiter.allow("key", 2, 10.0, NOW + 1)
    assert await other.limiter.allow("key", 2, 10.0, NOW + 10.5)
    assert not await one.limiter.allow("key", 2, 10.0, NOW + 11)


async def test_a_window_is_exact_for_all_who_ask_at_once(one: Shared, other: Shared) -> None:
    """Of forty at the same time, ten get the ten places."""
    asked = (each.limiter.allow("key", 10, LONG, NOW) for each in (one, other) for _ in range(20))

    assert 10 == sum(await asyncio.gather(*asked))
