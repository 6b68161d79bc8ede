"""All checks side by side: each bounded in time, none in the way of the others."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from ai_suricata.backend import fleet_of
from ai_suricata.doctor import disk, eve, firewall, port
from ai_suricata.doctor.finding import wrong

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ai_suricata.config.settings import Settings
    from ai_suricata.core.clock import Clock
    from ai_suricata.doctor.finding import Finding

    Check = Callable[[], Awaitable[list[Finding]]]

AT_MOST = 30.0
"""Seconds that one check may take in all; each step of it has a shorter limit of its own."""


def checks(settings: Settings, clock: Clock, *, redis: bool) -> dict[str, Check]:
    """Return the checks by part, in the order in which they are told.

    `redis`: examine Redis, be it enabled or not.
    """
    found: dict[str, Check] = {
        "state directory": lambda: apart(lambda: disk.examine(settings)),
        "events": lambda: _events(settings, clock),
        "metrics port": lambda: apart(lambda: port.examine(settings.telemetry)),
        "firewall": lambda: _firewalls(settings),
    }
    if redis or settings.state.redis_enabled:
        from ai_suricata.doctor.redis import examine  # noqa: PLC0415 - redis-py, only where used

        found["redis"] = lambda: examine(settings.redis, clock)
    return found


async def _firewalls(settings: Settings) -> list[Finding]:
    """Look at each firewall: decisions count once all of them have them."""
    members, parts = fleet_of(settings).members, settings.firewall.each()
    found = [await firewall.examine(*each) for each in zip(members, parts, strict=False)]
    return [finding for findings in found for finding in findings]


async def _events(settings: Settings, clock: Clock) -> list[Finding]:
    """Look at where events come from, which is not always a file of this machine."""
    source = settings.source
    if source.eve_source == "file":
        return await apart(lambda: eve.examine(source, clock))
    # asyncssh and redis-py, only where they are used
    from ai_suricata.doctor import arrival  # noqa: PLC0415 - as above

    if source.eve_source == "socket":
        return await apart(lambda: arrival.over_socket(source))
    if source.eve_source == "ssh":
        return await arrival.over_ssh(source, settings.firewall.each()[0], clock)
    return await arrival.over_redis(source, settings.redis, clock)


async def examine(checks: Mapping[str, Check], limit: float = AT_MOST) -> list[Finding]:
    """Run the checks and return all findings, in the order of the checks."""
    found = await asyncio.gather(*(_one(part, check, limit) for part, check in checks.items()))
    return [finding for each in found for finding in each]


async def _one(part: str, check: Check, limit: float) -> list[Finding]:
    try:
        async with asyncio.timeout(limit):
            return await check()
    except TimeoutError:
        sentence = f"no answer within {limit:g} seconds"
        return [wrong(part, sentence, "see whether that disk, server or network hangs")]
    except Exception as error:  # noqa: BLE001 - a check that fails must not hide the others
        # The kind alone: the text of an error that nobody foresaw may hold anything.
        sentence = f"the check itself failed ({type(error).__name__})"
        return [wrong(part, sentence, "report this as a fault of ai-suricata")]


async def apart(call: Callable[[], list[Finding]]) -> list[Finding]:
    """Run what may block in a thread of its own, for which the program's end does not wait.

    A disk that hangs (a lost NFS server) keeps its thread for good.
    """
    promise: Future[list[Finding]] = Future()
    promise.set_running_or_notify_cancel()

    def work() -> None:
        try:
            promise.set_result(call())
        except Exception as error:  # noqa: BLE001 - handed to the task that waits
            promise.set_exception(error)

    threading.Thread(target=work, name="doctor", daemon=True).start()
    return await asyncio.wrap_future(promise)
