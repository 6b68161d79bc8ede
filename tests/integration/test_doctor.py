"""The doctor and the alerts against real servers: Redis of each kind, and a firewall."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from ai_suricata.backend import fleet_of
from ai_suricata.cli.app import app
from ai_suricata.core.clock import ManualClock, SystemClock
from ai_suricata.doctor import firewall as firewall_check
from ai_suricata.doctor import right
from ai_suricata.doctor.finding import Status
from ai_suricata.doctor.redis import examine
from ai_suricata.state.clients import connect
from ai_suricata.state.redis.alerts import RedisAlertStore
from ai_suricata.state.redis.keys import Keys
from contract.shared_alert import alert
from contract.shared_backends import RedisBackend, Shared
from fakes import eve
from fakes.redis_servers import PASSWORD, cluster, sentinel, standalone_tls, valkey
from fakes.sshd import BLOCK_TABLE, running_pf

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.config.settings import RedisSettings
    from ai_suricata.core.clock import Clock
    from ai_suricata.doctor.finding import Finding
    from fakes.redis_servers import Standalone

PREFIX = "ai_suricata"
BEGINNING = ("on", ">secret", "-@all", "+@connection")


def examined(settings: RedisSettings, clock: Clock | None = None) -> list[Finding]:
    """Examine these servers."""
    return asyncio.run(examine(settings, clock or SystemClock()))


def trouble(found: list[Finding]) -> list[str]:
    """Return the sentences of all that is not well."""
    return [one.sentence for one in found if one.status != Status.OK]


def as_user(server: Standalone, name: str) -> RedisSettings:
    """Return settings with which this user comes."""
    return server.settings(username=name, password="secret")  # noqa: S106 - of the test


def test_a_server_that_is_set_up_well_is_well() -> None:
    """And nothing is left on it."""
    with valkey() as server:
        found = examined(server.settings())

        assert [] == trouble(found)
        assert 8 == len(found)
        assert 0 == server.client().dbsize()


def test_what_threatens_blocks_is_told() -> None:
    """Eviction and no persistence, as warnings."""
    with valkey(
        ("maxmemory", "100mb"), ("maxmemory-policy", "volatile-lru"), ("appendonly", "no")
    ) as server:
        found = examined(server.settings())

    assert [
        "maxmemory-policy volatile-lru may drop blocks at 100.0 MiB",
        "nothing is saved: a restart of Redis forgets all of it",
    ] == trouble(found)
    assert {Status.OK, Status.WARNING} == {one.status for one in found}


def test_missing_rights_are_named_one_by_one() -> None:
    """As the server sees them: commands, keys and channels."""
    rights = " ".join(f"+{words[0].lower()}" for words in right.commands(PREFIX)).split()
    full = (*BEGINNING, *rights, "+multi", "+discard", "+info", "+config|get")
    users = [
        ("user", "lacking", *full, f"~{PREFIX}:*", f"&{PREFIX}:*", "-eval", "-hgetall"),
        ("user", "elsewhere", *full, "~other:*", f"&{PREFIX}:*"),
        ("user", "deaf", *full, f"~{PREFIX}:*", "resetchannels"),
        ("user", "blind", *full, f"~{PREFIX}:*", f"&{PREFIX}:*", "-info", "-config"),
    ]
    with valkey(*users) as server:
        told = {user[1]: trouble(examined(as_user(server, user[1]))) for user in users}
        assert 0 == server.client().dbsize()

    assert {
        "lacking": ["the ACL user may not run HGETALL, EVAL"],
        "elsewhere": ["the ACL user may not touch our keys"],
        "deaf": ["the ACL user may not use our channels"],
        "blind": ["INFO is not allowed: memory and persistence are not known"],
    } == told


def test_without_multi_nothing_is_tried() -> None:
    """Outside of a transaction the questions would be carried out."""
    user = ("user", "direct", "on", ">secret", "+@all", "-multi", f"~{PREFIX}:*", f"&{PREFIX}:*")
    with valkey(user) as server:
        assert ["the ACL user may not run MULTI"] == trouble(examined(as_user(server, "direct")))
        assert 0 == server.client().dbsize()


async def test_the_rights_that_are_asked_for_are_enough() -> None:
    """A user with these and no others can do all that the stores do."""
    rights = {f"+{words[0].lower()}" for words in right.commands(PREFIX)}
    user = ("user", "exact", *BEGINNING, *rights, "+multi", "+exec", "+unwatch")
    with valkey((*user, f"~{PREFIX}:*", f"&{PREFIX}:*")) as server:
        backend = RedisBackend(lambda: connect(as_user(server, "exact")))
        # Not `backend.listeners`: PUBSUB is a question of the tests alone.
        shared = await backend.instance()
        await _use(shared, backend.keys)
        await backend.close()


async def _use(shared: Shared, keys: Keys) -> None:
    await shared.cache.put("summary", 1, 60)
    assert 1 == await shared.cache.get("summary")
    await shared.top.count({"203.0.113.7": 1})
    assert [("203.0.113.7", 1)] == await shared.top.top(1)
    await shared.alerts.add([alert(1)])
    assert [alert(1)] == await shared.alerts.newest(1)
    assert await shared.limiter.allow("key", 1, 60, 1_700_000_000.0)
    grant = await shared.lease.take("train", "one", 60)
    assert grant is not None
    assert await shared.lease.write(grant, "model", b"x")
    assert await shared.lease.renew(grant, 60)
    await shared.lease.give_up(grant)
    await shared.notifier.publish(keys.threat_channel, b"x")


def test_clocks_that_differ_are_told() -> None:
    """Redis's is held against ours."""
    with valkey() as server:
        behind = ManualClock(SystemClock().now() - 600)
        assert ["its clock is 10 min ahead of ours"] == trouble(examined(server.settings(), behind))


def test_a_server_that_hangs_is_told_in_time() -> None:
    """One line, with the setting that bounds the wait."""
    with valkey() as server:
        server.pause()
        [told] = examined(server.settings(socket_timeout=0.3))
        server.resume()

    assert Status.WRONG == told.status
    assert "REDIS_SOCKET_TIMEOUT" in told.sentence


def test_a_server_that_is_gone_is_told() -> None:
    """And what to do."""
    with valkey() as server:
        settings = server.settings()
    [told] = examined(settings)

    assert (Status.WRONG, "nothing listens there: the connection was refused") == (
        told.status,
        told.sentence,
    )
    assert "start Redis" in told.remedy


def test_a_wrong_password_is_told_and_not_shown() -> None:
    """Nor the right one."""
    with valkey(("requirepass", PASSWORD), access={"password": PASSWORD}) as server:
        [told] = examined(server.settings(password="pa$$"))  # noqa: S106 - a wrong one

    assert Status.WRONG == told.status
    assert "REDIS_PASSWORD" in told.remedy
    assert "pa$$" not in repr(told)


def test_alerts_are_read_from_redis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where REDIS_ENABLED is true, those of all instances."""
    monkeypatch.chdir(tmp_path)
    with valkey() as server:
        monkeypatch.setenv("REDIS_ENABLED", "true")
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{server.port}")

        async def fill() -> None:
            client = connect(server.settings())
            await RedisAlertStore(client, Keys(PREFIX), 100).add([alert(1), alert(2)])
            await client.aclose()

        asyncio.run(fill())
        listed = CliRunner().invoke(app, ["alerts", "list"])
        shown = CliRunner().invoke(app, ["alerts", "show", alert(1).id])
    gone = CliRunner().invoke(app, ["alerts", "list"])

    ids = [json.loads(line)["id"] for line in listed.stdout.splitlines()]
    assert [alert(2).id, alert(1).id] == ids
    assert alert(1).signature == json.loads(shown.stdout)["signature"]
    assert 1 == gone.exit_code
    assert "ai-suricata: nothing listens there" in gone.stderr


@pytest.mark.system
def test_tls_certificates_and_acl_users_are_used() -> None:
    """The same client is used as in the daemon."""
    with standalone_tls() as server:
        assert [] == trouble(examined(server.settings()))
        reader = examined(server.settings(username="reader"))

    assert "the ACL user may not run MULTI" in trouble(reader)


@pytest.mark.system
def test_each_sentinel_is_asked() -> None:
    """One that is away is a warning: the others find the master."""
    with sentinel() as group:
        settings = group.settings()
        assert [] == trouble(examined(settings))
        group.sentinels[0].kill()
        found = examined(settings)

    [told] = [one for one in found if one.status != Status.OK]
    assert (Status.WARNING, f"sentinel 127.0.0.1:{group.sentinels[0].port}") == (
        told.status,
        told.part,
    )
    assert "it is a master with 2 replicas" in [one.sentence for one in found]


@pytest.mark.system
def test_each_node_of_a_cluster_is_asked() -> None:
    """Masters are examined, replicas answer; one that is away is a warning."""
    with cluster() as group:
        settings = group.settings()
        found = examined(settings)
        replica = next(
            each for each in group.processes if each.info("replication")["role"] != "master"
        )
        replica.kill()
        later = examined(settings)

    assert [] == trouble(found)
    assert "a Cluster of 3 masters and 3 replicas" == found[0].sentence
    assert [1, 1, 1, 1, 8, 8, 8] == sorted(Counter(one.part for one in found).values())
    assert [(Status.WARNING, f"redis 127.0.0.1:{replica.port}")] == [
        (one.status, one.part) for one in later if one.status != Status.OK
    ]


def pf_found(environment: dict[str, str]) -> list[Finding]:
    """Examine the firewall of this environment."""
    settings = eve.settings(**environment)
    [member] = fleet_of(settings).members
    return asyncio.run(firewall_check.examine(member, settings.firewall))


@pytest.mark.system
def test_a_firewall_is_asked_and_not_changed(tmp_path: Path) -> None:
    """It lets us in, both tables have a rule, and both stay as they are."""
    with running_pf(tmp_path / "pf") as pf:
        found = pf_found(pf.environment())
        verbs = {one.command for one in pf.commands()}

        assert [] == trouble(found)
        assert set() == pf.table(BLOCK_TABLE)
    assert not [verb for verb in verbs if "-T add" in verb or "-k" in verb.split()]


@pytest.mark.system
def test_a_table_without_a_rule_is_wrong(tmp_path: Path) -> None:
    """With the way to the rule; the other table is told all the same."""
    with running_pf(tmp_path / "pf") as pf:
        pf.set_rules(f"block drop in inet from <{BLOCK_TABLE}> to any")
        found = pf_found(pf.environment())

    assert ["ok", "ok", "wrong", "ok"] == [one.status for one in found]
    assert "no firewall rule refers to the table ai_suricata_limit" == found[2].sentence
    assert found[2].remedy.startswith("make an alias ai_suricata_limit")


@pytest.mark.system
def test_a_firewall_that_is_away_is_wrong(tmp_path: Path) -> None:
    """With what to look at."""
    with running_pf(tmp_path / "pf") as pf:
        environment = pf.environment()
    [told] = pf_found(environment)

    assert Status.WRONG == told.status
    assert "can't be reached" in told.sentence
    assert told.remedy.startswith("check PFSENSE_HOST and PFSENSE_PORT")
