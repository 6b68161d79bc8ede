"""How events arrive where they are not in a local file: over SSH, a socket or Redis."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from ai_suricata.core.errors import ConfigError, FirewallRefusedError, FirewallUnreachableError
from ai_suricata.doctor.finding import ok, warning, wrong
from ai_suricata.doctor.sight import MOST, judge, sight_of, sight_of_lines
from ai_suricata.source.redis.input import client_of
from ai_suricata.source.redis.reader import explain
from ai_suricata.source.ssh.session import Session, SessionLostError
from ai_suricata.state.clients import ERRORS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from ai_suricata.config.firewall import FirewallSettings
    from ai_suricata.config.settings import RedisSettings
    from ai_suricata.config.source import SourceSettings
    from ai_suricata.core.clock import Clock
    from ai_suricata.doctor.finding import Finding

_SAMPLE = 1000  # entries at the new end of a list or stream that are looked at
_TYPES = {"list": b"list", "rpush": b"list", "stream": b"stream"}


async def over_ssh(
    settings: SourceSettings, firewall: FirewallSettings, clock: Clock
) -> list[Finding]:
    """Log in as the source does, and look at the end of each file."""
    session = Session(firewall)
    try:
        await session.open()
        return [found for path in settings.paths for found in await _far(session, path, clock)]
    except (FirewallRefusedError, FirewallUnreachableError, SessionLostError) as error:
        sentence, _, remedy = str(error).rpartition(": ")
        return [wrong(session.place, sentence or remedy, remedy if sentence else "see its sshd")]
    finally:
        session.close()


async def _far(session: Session, path: str, clock: Clock) -> list[Finding]:
    part = f"{session.place}:{path}"
    if any(sign in path for sign in "*?["):
        return [ok(part, "a pattern: what matches it is looked for while the daemon runs")]
    try:
        file = await session.open_file(path)
        size = (await file.status()).size
        start = max(0, size - MOST)
        content = await _read(file, start, size)
        await file.close()
    except OSError as error:
        remedy = "correct EVE_PATH, or let the user read that file"
        return [wrong(part, f"it can't be read ({error.strerror})", remedy)]
    return list(judge(part, sight_of(content, is_whole=not start), clock))


async def _read(file: Any, start: int, end: int) -> bytes:  # noqa: ANN401 - of the session
    parts: list[bytes] = []
    while start < end:
        block = await file.read(start, min(256 * 1024, end - start))
        if not block:
            break
        parts.append(block)
        start += len(block)
    return b"".join(parts)


def over_socket(settings: SourceSettings) -> list[Finding]:
    """See whether the socket can be made, without making it."""
    path = settings.socket_path
    part = str(path)
    if not path.parent.is_dir():
        remedy = f"make {path.parent} for this user and Suricata's (RuntimeDirectory= in the unit)"
        return [wrong(part, "its folder is not there", remedy)]
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return [wrong(part, "no socket can be made there", f"grant write on {path.parent}")]
    kind = "unix_stream" if settings.socket_type == "stream" else "unix_dgram"
    wanted = f"`filetype: {kind}` and `filename: {path}` in suricata.yaml's eve-log"
    try:
        status = path.lstat()
    except FileNotFoundError:
        return [ok(part, f"it can be made; Suricata needs {wanted}")]
    if not stat.S_ISSOCK(status.st_mode):
        return [wrong(part, "something else is there", "move it away, or set EVE_SOCKET")]
    return [ok(part, f"it is there: the daemon runs, or takes it over; Suricata needs {wanted}")]


async def over_redis(settings: SourceSettings, redis: RedisSettings, clock: Clock) -> list[Finding]:
    """See whether the key is what EVE_REDIS_MODE says, and what the newest entries are."""
    part = f"redis key {settings.redis_key}"
    try:
        client: Any = client_of(settings, redis)
    except ConfigError as error:
        return [wrong(part, problem, "correct EVE_REDIS_URL") for problem in error.problems]
    try:
        return [found async for found in _key(client, part, settings, clock)]
    except ERRORS as error:
        told = explain(error, settings).removeprefix("events in Redis: ")
        sentence, _, remedy = told.rpartition("; ")
        return [wrong(part, sentence or remedy, remedy if sentence else "see the server's log")]
    finally:
        await client.aclose()


async def _key(
    client: Any,  # noqa: ANN401 - redis-py
    part: str,
    settings: SourceSettings,
    clock: Clock,
) -> AsyncIterator[Finding]:
    key, mode = settings.redis_key, settings.redis_mode
    await client.ping()
    if mode == "channel":
        yield ok(part, "the server answers; what is published while nobody listens is lost")
        return
    kind = await client.type(key)
    if kind == b"none":
        yield _empty(part, key, mode)
    elif kind != _TYPES[mode]:
        sentence = f"it is a {kind.decode()}, and EVE_REDIS_MODE is {mode}"
        yield wrong(part, sentence, "set EVE_REDIS_MODE to Suricata's `mode`")
    else:
        for found in judge(part, sight_of_lines(await _newest(client, key, mode)), clock):
            yield found


def _empty(part: str, key: str, mode: str) -> Finding:
    """Say what an absent key means: a list that was emptied is gone, a stream never goes."""
    wanted = f"`mode: {mode}` and `key: {key}` under eve-log, redis"
    if mode == "stream":
        remedy = f"set {wanted}; then restart Suricata"
        return warning(part, "the server answers, and the key is not there yet", remedy)
    return ok(part, f"empty: all was taken, or Suricata has not written yet; it needs {wanted}")


async def _newest(client: Any, key: str, mode: str) -> list[bytes]:  # noqa: ANN401 - redis-py
    """Return the newest entries, the latest last."""
    if mode == "list":
        return list(reversed(await client.lrange(key, 0, _SAMPLE - 1)))
    if mode == "rpush":
        return list(await client.lrange(key, -_SAMPLE, -1))
    entries = reversed(await client.xrevrange(key, count=_SAMPLE))
    return list(_values(entries))


def _values(entries: Iterable[tuple[bytes, dict[bytes, bytes]]]) -> Iterator[bytes]:
    for _, fields in entries:
        yield from fields.values()
