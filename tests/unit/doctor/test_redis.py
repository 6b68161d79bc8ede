"""What the facts of a Redis server mean."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ai_suricata.state.redis
from ai_suricata.doctor import right
from ai_suricata.doctor.finding import Finding, Status
from ai_suricata.doctor.redis import Facts, judge

INFO = {
    "redis_version": "7.2.4",
    "role": "master",
    "connected_slaves": 2,
    "maxmemory": 0,
    "maxmemory_policy": "noeviction",
    "used_memory": 3 * 1024 * 1024,
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "rdb_last_bgsave_status": "ok",
}
WELL = Facts(latency=0.0004, timeout=2.0, info=INFO, save="3600 1", skew=0.01)


def judged(facts: Facts = WELL, **info: object) -> list[Finding]:
    """Judge these facts, with changes of INFO."""
    changed: dict[str, Any] | None = {**facts.info, **info} if facts.info is not None else None
    return list(judge("redis", replace(facts, info=changed)))


def trouble(facts: Facts = WELL, **info: object) -> Finding:
    """Return the one finding that is not well."""
    [told] = [one for one in judged(facts, **info) if one.status != Status.OK]
    return told


def test_a_server_that_is_set_up_well_is_well() -> None:
    """All of it is told all the same."""
    assert [
        "answers in 0.4 ms",
        "the user may run every command that is sent",
        "its clock is 10.0 ms ahead of ours",
        "Redis 7.2.4",
        "it is a master with 2 replicas",
        "maxmemory-policy is noeviction: no key is dropped",
        "3.0 MiB of memory are used, maxmemory is not set",
        "the append-only file is on",
    ] == [one.sentence for one in judged()]
    assert {Status.OK} == {one.status for one in judged()}


@pytest.mark.parametrize(
    "policy", ["allkeys-lru", "volatile-ttl", "volatile-lru", "allkeys-random"]
)
def test_a_policy_that_may_drop_blocks_is_a_warning(policy: str) -> None:
    """Blocks have a TTL: `volatile` ones drop them too."""
    told = trouble(maxmemory_policy=policy, maxmemory=2**30)

    assert Status.WARNING == told.status
    assert f"maxmemory-policy {policy} may drop blocks at 1.0 GiB" == told.sentence
    assert "maxmemory-policy noeviction" in told.remedy


def test_a_server_that_is_nearly_full_is_a_warning() -> None:
    """At the limit it takes no writes."""
    assert "3.0 MiB of 3.0 MiB of memory are used" == trouble(maxmemory=3 * 2**20).sentence
    assert all(one.status == Status.OK for one in judged(maxmemory=4 * 2**20))


@pytest.mark.parametrize(
    ("save", "sentence"),
    [("", "nothing is saved"), (None, "whether RDB saves is not known")],
)
def test_without_persistence_it_is_a_warning(save: str | None, sentence: str) -> None:
    """A restart of Redis would forget all."""
    told = trouble(replace(WELL, save=save), aof_enabled=0)

    assert Status.WARNING == told.status
    assert sentence in told.sentence
    assert "appendonly" in told.remedy


def test_rdb_alone_is_well_and_told() -> None:
    """What was changed after the last point in time may go."""
    assert "RDB saves at 3600 1" in judged(aof_enabled=0)[-1].sentence


@pytest.mark.parametrize("name", ["aof_last_write_status", "rdb_last_bgsave_status"])
def test_a_server_that_cannot_save_is_wrong(name: str) -> None:
    """It takes no writes, or soon won't."""
    told = trouble(WELL, **{name: "err"})

    assert (Status.WRONG, True) == (
        told.status,
        name in told.sentence,
    )


def test_a_replica_is_wrong() -> None:
    """It takes no writes."""
    told = trouble(role="slave")

    assert (Status.WRONG, "it is a replica, which takes no writes") == (told.status, told.sentence)


@pytest.mark.parametrize(
    ("version", "status"), [("6.0.16", "wrong"), ("6.2.0", "ok"), ("10.0.1", "ok")]
)
def test_an_old_server_is_wrong(version: str, status: str) -> None:
    """Before 6.2 it lacks commands."""
    [told] = [one for one in judged(redis_version=version) if version in one.sentence]

    assert status == told.status


def test_valkey_is_told_by_its_own_version() -> None:
    """And judged by the Redis that it stands for."""
    told = [one.sentence for one in judged(valkey_version="9.1.2")]

    assert "Valkey 9.1.2 (as Redis 7.2.4)" in told


@pytest.mark.parametrize(
    ("skew", "sentence"),
    [(3.0, "its clock is 3 s ahead of ours"), (-90.0, "its clock is 90 s behind ours")],
)
def test_clocks_that_differ_are_a_warning(skew: float, sentence: str) -> None:
    """Blocks end by them."""
    told = trouble(replace(WELL, skew=skew))

    assert (Status.WARNING, sentence) == (told.status, told.sentence)


def test_a_slow_server_is_a_warning() -> None:
    """Held against REDIS_SOCKET_TIMEOUT."""
    told = trouble(replace(WELL, latency=0.25))

    assert "answers in 250.0 ms; REDIS_SOCKET_TIMEOUT is 2 s" == told.sentence


def test_missing_rights_are_wrong_and_the_grant_is_named() -> None:
    """All commands in one line, keys and channels each in theirs."""
    others = ["the ACL user may not touch our keys; allow them with ACL SETUSER <user> ~x:*"]
    facts = replace(WELL, commands=["EVAL", "HGETALL"], others=others)
    first, second = [one for one in judged(facts) if one.status == Status.WRONG]

    assert "the ACL user may not run EVAL, HGETALL" == first.sentence
    assert "allow it with ACL SETUSER <user> +eval +hgetall" == first.remedy
    assert "the ACL user may not touch our keys" == second.sentence
    assert "allow them with ACL SETUSER <user> ~x:*" == second.remedy


def test_without_info_the_rest_is_told() -> None:
    """INFO is a right that an application may lack."""
    told = trouble(replace(WELL, info=None))

    assert Status.WARNING == told.status
    assert "+info" in told.remedy


def test_every_command_that_the_stores_send_is_asked_for() -> None:
    """Who adds one to a store adds it to the list of rights, too."""
    folder = Path(ai_suricata.state.redis.__path__[0])
    text = "\n".join(path.read_text() for path in folder.glob("*.py"))
    known = {words[0].lower() for words in right.commands("x")}
    # What redis-py has besides commands; MULTI and what belongs to it is asked for by its use.
    others = {"pipeline", "execute", "multi", "pubsub", "initialize", "get_nodes", "aclose"}

    sent = set(re.findall(r"(?:_client|\bclient|\bpipe|subscription)\.([a-z_]+)\(", text))
    scripted = {name.lower() for name in re.findall(r"redis\.call\('([A-Z]+)'", text)}
    commands = {name.removesuffix("_iter") for name in sent - others} | scripted
    commands = {"del" if name == "delete" else name for name in commands}  # redis-py's name for it

    assert {"hgetall", "lpush", "eval", "zadd", "publish"} <= commands
    assert set() == commands - known - {"get_message"}
