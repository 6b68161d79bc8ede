"""Which rights of an ACL user are missing, asked without doing anything.

Every command that the stores send is queued in a MULTI that is discarded. The server checks rights
when it queues (redis.io, "Transactions" and "ACL"), so this asks for the very rights that the work
needs, takes none besides, changes nothing, and works on every version; ACL DRYRUN would need Redis
7 and a right that an application hardly has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_suricata.core.errors import StateError
from ai_suricata.state.clients import ERRORS, describe
from ai_suricata.state.redis.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.state.clients import Client

    Command = tuple[str, ...]

_REFUSAL = "the ACL user may not"
"""How `describe` begins its sentence on a right that is missing."""


def commands(prefix: str) -> list[Command]:
    """Return each command that we send, with keys and channels behind the prefix."""
    keys = Keys(prefix)
    key, channel = f"{prefix}:doctor", keys.threat_channel
    return [
        ("PING",),
        ("GET", key),
        ("SET", key, ""),
        ("DEL", key),
        ("EXPIRE", key, "1"),
        ("PEXPIRE", key, "1"),
        ("HGET", key, "field"),
        ("HMGET", key, "field"),
        ("HGETALL", key),
        ("HSET", key, "field", ""),
        ("HDEL", key, "field"),
        ("HINCRBY", key, "field", "1"),
        ("LPUSH", keys.alerts, ""),
        ("LTRIM", keys.alerts, "0", "-1"),
        ("LRANGE", keys.alerts, "0", "0"),
        ("SADD", keys.ledger, ""),
        ("SREM", keys.ledger, ""),
        ("SSCAN", keys.ledger, "0"),
        ("ZADD", key, "1", "member"),
        ("ZCOUNT", key, "-inf", "+inf"),
        ("ZINCRBY", keys.top_sources, "1", "member"),
        ("ZRANGE", keys.top_sources, "0", "0"),
        ("ZREMRANGEBYRANK", keys.top_sources, "0", "0"),
        ("ZREMRANGEBYSCORE", key, "-inf", "-inf"),
        ("EVAL", "return 1", "1", key),
        ("TIME",),
        ("WATCH", key),
        ("PUBLISH", channel, ""),
        ("SUBSCRIBE", channel),
        ("UNSUBSCRIBE", channel),
    ]


async def missing(client: Client, wanted: Sequence[Command]) -> tuple[list[str], list[str]]:
    """Return (commands that may not be run, sentences on keys and channels that may not be used).

    `client`: of one server. Raises `StateError` where the connection broke.
    """
    try:
        *answers, end = await _queued(client, wanted)
    except ERRORS as error:
        raise StateError(describe(error)) from error
    if isinstance(end, Exception) and not describe(end).startswith(_REFUSAL):
        raise StateError(describe(end)) from end
    names: list[str] = []
    others: list[str] = []
    # The answer to MULTI comes first; DISCARD, which whoever may MULTI hardly lacks, is the end.
    for (name, *_), answer in zip([("MULTI",), *wanted], answers, strict=True):
        sentence = describe(answer) if isinstance(answer, Exception) else ""
        if sentence.startswith(f"{_REFUSAL} run "):
            names.append(name)
        elif sentence.startswith(_REFUSAL) and sentence not in others:
            others.append(sentence)
    return names, others


async def _queued(client: Client, wanted: Sequence[Command]) -> list[Any]:
    """Send all in one MULTI and return the answers, errors among them."""
    pool: Any = getattr(client, "connection_pool", None)
    if pool is None:
        raise TypeError("a Cluster is asked node by node")
    connection = await pool.get_connection()
    try:
        sent = [("MULTI",), *wanted, ("DISCARD",)]
        await connection.send_packed_command(connection.pack_commands(sent))
        return [await _answer(connection) for _ in sent]
    finally:
        # Whatever state it is in, nobody gets it after us.
        await connection.disconnect()
        await pool.release(connection)


async def _answer(connection: Any) -> Any:  # noqa: ANN401 - redis-py's, of several kinds
    try:
        return await connection.read_response()
    except ERRORS as error:
        return error
