"""Redis: every server that the settings lead to, asked what it is and judged.

`Facts` is what was asked, `judge` what it means: the second needs no server.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ai_suricata.core.errors import ConfigError, StateError
from ai_suricata.doctor import right
from ai_suricata.doctor.finding import Finding, duration, ok, size, warning, wrong
from ai_suricata.doctor.node import members, sentinels
from ai_suricata.state.clients import ERRORS, connect, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_suricata.config.settings import RedisSettings
    from ai_suricata.core.clock import Clock
    from ai_suricata.doctor.node import Node
    from ai_suricata.state.clients import Client

PART = "redis"
_LOG = "see the log of Redis"
PINGS = 5
OLDEST = (6, 2)
SKEW = 1.0
"""Seconds that Redis's clock may differ from ours: blocks end by one and leases by the other."""
FULL = 0.9
"""Share of maxmemory from which it is said."""
SLOW = 0.1
"""Share of REDIS_SOCKET_TIMEOUT that an answer may take before it is said."""


@dataclass
class Facts:
    """What one server says of itself; what it would not tell is None."""

    latency: float
    """Seconds, the median of a few."""
    timeout: float
    """REDIS_SOCKET_TIMEOUT."""
    info: dict[str, Any] | None = None
    save: str | None = None
    """RDB's points in time, empty for none (CONFIG GET save)."""
    skew: float | None = None
    """Seconds that its clock is ahead of ours."""
    commands: list[str] = field(default_factory=list)
    """Commands that we send and may not run."""
    others: list[str] = field(default_factory=list)
    """Sentences on keys and channels that we may not use."""


async def examine(settings: RedisSettings, clock: Clock) -> list[Finding]:
    """Examine the server, or Sentinel's master and the Sentinels, or every node of the Cluster."""
    try:
        if settings.cluster:
            return await _cluster(settings, clock)
        parts = _sentinels(settings), _server(settings, clock, PART)
        return [one for found in await asyncio.gather(*parts) for one in found]
    except ConfigError as error:
        return [_told(PART, problem) for problem in error.problems]


async def _server(settings: RedisSettings, clock: Clock, part: str) -> list[Finding]:
    client = connect(settings)
    try:
        return list(judge(part, await _facts(client, settings, clock)))
    except ERRORS as error:
        return [_told(part, describe(error))]
    except StateError as error:
        return [_told(part, str(error))]
    finally:
        await client.aclose()


async def _facts(client: Client, settings: RedisSettings, clock: Clock) -> Facts:
    """Ask one server. Raises redis-py's errors where it does not let us in."""
    await client.ping()  # the first one makes the connection, so it says nothing of the latency
    times = [await _timed(client) for _ in range(PINGS)]
    facts = Facts(statistics.median(times), settings.socket_timeout)
    wanted = right.commands(settings.key_prefix)
    facts.commands, facts.others = await right.missing(client, wanted)
    facts.info = await _asked(client, "INFO")
    points = await _asked(client, "CONFIG", "GET", "save")
    if points:
        [value] = points.values()
        facts.save = value.decode() if isinstance(value, bytes) else str(value)
    before = clock.now()
    moment = await _asked(client, "TIME")
    if moment:
        facts.skew = moment[0] + moment[1] / 1e6 - (before + clock.now()) / 2
    await client.ping()  # raises where the connection broke, and not a right was missing
    return facts


async def _timed(client: Client) -> float:
    start = time.perf_counter()
    await client.ping()
    return time.perf_counter() - start


async def _asked(client: Client, *command: str) -> Any:  # noqa: ANN401 - as redis-py reads it
    """Return the answer, or None where the ACL, or a service that hides it, forbids to ask."""
    try:
        return await client.execute_command(*command)
    except ERRORS:
        return None


def judge(part: str, facts: Facts) -> Iterator[Finding]:
    """Yield what the facts mean, the rights first: they explain what else is not known."""
    yield from _latency(part, facts)
    yield from _rights(part, facts)
    if facts.skew is not None:
        yield _clock(part, facts.skew)
    if facts.info is None:
        remedy = "allow it with ACL SETUSER <user> +info, or look there with redis-cli"
        yield warning(part, "INFO is not allowed: memory and persistence are not known", remedy)
        return
    yield _version(part, facts.info)
    yield from _role(part, facts.info)
    yield _eviction(part, facts.info)
    yield from _fullness(part, facts.info)
    yield _persistence(part, facts.info, facts.save)


def _latency(part: str, facts: Facts) -> Iterator[Finding]:
    sentence = f"answers in {duration(facts.latency)}"
    if facts.latency > SLOW * facts.timeout:
        remedy = "bring Redis nearer, see its SLOWLOG, or raise REDIS_SOCKET_TIMEOUT"
        yield warning(part, f"{sentence}; REDIS_SOCKET_TIMEOUT is {facts.timeout:g} s", remedy)
    else:
        yield ok(part, sentence)


def _rights(part: str, facts: Facts) -> Iterator[Finding]:
    if facts.commands:
        words = " ".join(f"+{name.lower()}" for name in facts.commands)
        sentence = f"the ACL user may not run {', '.join(facts.commands)}"
        yield wrong(part, sentence, f"allow it with ACL SETUSER <user> {words}")
    for sentence in facts.others:
        yield _told(part, sentence)
    if not facts.commands and not facts.others:
        yield ok(part, "the user may run every command that is sent")


def _clock(part: str, skew: float) -> Finding:
    way = "ahead of" if skew > 0 else "behind"
    sentence = f"its clock is {duration(abs(skew))} {way} ours"
    if abs(skew) > SKEW:
        return warning(part, sentence, "synchronise both clocks (NTP): blocks end by them")
    return ok(part, sentence)


def _version(part: str, info: dict[str, Any]) -> Finding:
    """Judge by the version of Redis whose commands it has: Valkey tells that beside its own."""
    version = str(info.get("redis_version", "0"))
    own = info.get("valkey_version")
    name = f"Valkey {own} (as Redis {version})" if own else f"Redis {version}"
    numbers = tuple(int(word) for word in version.split(".")[:2] if word.isdecimal())
    if numbers < OLDEST:
        return wrong(part, f"{name} is too old", "install Redis 6.2 or later, or Valkey")
    return ok(part, name)


def _role(part: str, info: dict[str, Any]) -> Iterator[Finding]:
    if info.get("role") != "master":
        remedy = "name the master in REDIS_HOST, or let REDIS_SENTINELS find it"
        yield wrong(part, "it is a replica, which takes no writes", remedy)
        return
    yield ok(part, f"it is a master with {info.get('connected_slaves', 0)} replicas")


def _eviction(part: str, info: dict[str, Any]) -> Finding:
    """Blocks have a TTL, so `volatile` policies drop them as well as `allkeys` ones."""
    policy, most = str(info.get("maxmemory_policy", "unknown")), int(info.get("maxmemory", 0))
    if policy == "noeviction":
        return ok(part, "maxmemory-policy is noeviction: no key is dropped")
    remedy = "set it: CONFIG SET maxmemory-policy noeviction, and the same in redis.conf"
    when = f"at {size(most)}" if most else "as soon as maxmemory is set"
    return warning(part, f"maxmemory-policy {policy} may drop blocks {when}", remedy)


def _fullness(part: str, info: dict[str, Any]) -> Iterator[Finding]:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        yield ok(part, f"{size(used)} of memory are used, maxmemory is not set")
    elif used >= FULL * most:
        sentence = f"{size(used)} of {size(most)} of memory are used"
        yield warning(part, sentence, "raise maxmemory: at the limit Redis takes no writes")
    else:
        yield ok(part, f"{size(used)} of {size(most)} of memory are used")


def _persistence(part: str, info: dict[str, Any], save: str | None) -> Finding:
    for name in ("aof_last_write_status", "rdb_last_bgsave_status"):
        if info.get(name, "ok") != "ok":
            remedy = "free disk space there, or put right the folder that CONFIG GET dir shows"
            return wrong(part, f"it could not save its data ({name} is not ok)", remedy)
    if info.get("aof_enabled"):
        return ok(part, "the append-only file is on")
    remedy = "set appendonly to yes"
    if save:
        return ok(part, f"the append-only file is off, RDB saves at {save}: later changes may go")
    if save is None:
        sentence = "the append-only file is off; whether RDB saves is not known (CONFIG GET)"
        return warning(part, sentence, remedy)
    return warning(part, "nothing is saved: a restart of Redis forgets all of it", remedy)


async def _cluster(settings: RedisSettings, clock: Clock) -> list[Finding]:
    """Examine all masters; of replicas, whether they answer. The list itself may not be had."""
    try:
        nodes = await members(settings)
    except ERRORS as error:
        return [_told(PART, describe(error))]
    tasks = [
        _server(node.settings, clock, node.name) if node.master else _alive(node) for node in nodes
    ]
    found = [one for each in await asyncio.gather(*tasks) for one in each]
    masters = sum(node.master for node in nodes)
    summary = f"a Cluster of {masters} masters and {len(nodes) - masters} replicas"
    return [ok(PART, summary), *found]


async def _sentinels(settings: RedisSettings) -> list[Finding]:
    found = await asyncio.gather(*map(_alive, sentinels(settings)))
    return [one for each in found for one in each]


async def _alive(node: Node) -> list[Finding]:
    """Say whether a Sentinel or a replica answers: without one of them the work goes on."""
    client = connect(node.settings)
    try:
        await client.ping()
    except ERRORS as error:
        sentence, _, remedy = describe(error).partition("; ")
        return [warning(node.name, sentence, remedy or _LOG)]
    finally:
        await client.aclose()
    return [ok(node.name, "it answers")]


def _told(part: str, text: str) -> Finding:
    """Part a sentence of `describe` from its remedy, which stands after the first semicolon."""
    sentence, _, remedy = text.partition("; ")
    return wrong(part, sentence, remedy or _LOG)
