"""The checks run side by side, each bounded, and none hides another."""

from __future__ import annotations

import asyncio
import threading

from ai_suricata.core.clock import ManualClock
from ai_suricata.doctor.examination import apart, checks, examine
from ai_suricata.doctor.finding import Finding, Status, ok
from fakes import eve


async def well() -> list[Finding]:
    """Find nothing wrong."""
    return [ok("well", "it is well")]


async def test_a_check_that_fails_hides_nothing() -> None:
    """It is told by its kind alone: the text of an unforeseen error may hold a secret."""

    async def broken() -> list[Finding]:
        raise KeyError("pa$$word")

    told = await examine({"first": broken, "second": well})

    assert ["first", "well"] == [one.part for one in told]
    assert (Status.WRONG, "the check itself failed (KeyError)") == (
        told[0].status,
        told[0].sentence,
    )


async def test_a_check_that_hangs_ends_at_the_limit() -> None:
    """Also one that blocks its thread, for which nobody waits."""
    release = threading.Event()

    def blocked() -> list[Finding]:
        release.wait(30)
        return []

    async def silent() -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async with asyncio.timeout(5):
        told = await examine(
            {"disk": lambda: apart(blocked), "net": silent, "well": well}, limit=0.05
        )
    release.set()

    assert ["disk", "net", "well"] == [one.part for one in told]
    assert ["no answer within 0.05 seconds"] * 2 == [one.sentence for one in told[:2]]


async def test_checks_run_side_by_side() -> None:
    """Each waits for the other: one after the other they would never end."""
    met = asyncio.Barrier(2)

    async def meeting() -> list[Finding]:
        await met.wait()
        return await well()

    assert 2 == len(await examine({"a": meeting, "b": meeting}, limit=5))


async def test_an_error_in_a_thread_reaches_the_report() -> None:
    """As one of a task does."""

    def broken() -> list[Finding]:
        raise ZeroDivisionError

    [told] = await examine({"disk": lambda: apart(broken)})

    assert "ZeroDivisionError" in told.sentence


def test_redis_is_examined_where_it_is_enabled_or_asked_for() -> None:
    """Else there need not be one."""
    clock = ManualClock()
    enabled = eve.settings(REDIS_ENABLED="true")

    assert "redis" not in checks(eve.settings(), clock, redis=False)
    assert "redis" in checks(eve.settings(), clock, redis=True)
    assert "redis" in checks(enabled, clock, redis=False)
