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

    `client`: of one server. Where MULTI may not be run, that alone is told: without it the others
    would be carried out. Raises `StateError` where the connection broke.
    """
    try:
        answers = await _queued(client, wanted)
    except ERRORS as error:
        sentence = describe(error)
        if sentence.startswith(f"{_REFUSAL} run MULTI;"):
            return ["MULTI"], []
        raise StateError(sentence) from error
    names: list[str] = []
    others: list[str] = []
    for (name, *_), answer in zip(wanted, answers, strict=True):
        sentence = describe(answer) if isinstance(answer, Exception) else ""
        if sentence.startswith(f"{_REFUSAL} run "):
            names.append(name)
        elif sentence.startswith(_REFUSAL) and sentence not in others:
            others.append(sentence)
    return names, others


async def _queued(client: Client, wanted: Sequence[Command]) -> list[Any]:
    """Queue all in one MULTI, discard it, and return the answers, errors among them."""
    pool: Any = client.connection_pool  # type: ignore[union-attr] # of one server, not a Cluster
    connection = await pool.get_connection()
    try:
        await connection.send_command("MULTI")
        await connection.read_response()  # raises: nothing is sent unless it is to be queued
        await connection.send_packed_command(connection.pack_commands([*wanted, ("DISCARD",)]))
        answers = [await _answer(connection) for _ in wanted]
        end = await _answer(connection)
        if isinstance(end, Exception) and not describe(end).startswith(_REFUSAL):
            raise end
        return answers
    finally:
        # Whatever state it is in, nobody gets it after us; a lost connection discards as well.
        await connection.disconnect()
        await pool.release(connection)


async def _answer(connection: Any) -> Any:  # noqa: ANN401 - redis-py's, of several kinds
    try:
        return await connection.read_response()
    except ERRORS as error:
        return error
