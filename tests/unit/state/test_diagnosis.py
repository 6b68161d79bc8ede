"""What is said when Redis refuses or fails: provoked on a real server out of a wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from ai_suricata.config.settings import RedisSettings
from fakes.redis_client import VALUE, round_trip, said, said_of_pipeline, until
from fakes.redis_process import free_port
from fakes.redis_servers import PASSWORD, Standalone, proxy, valkey
from fakes.redis_stub import stub

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = ("requirepass", PASSWORD)


@pytest.fixture
def server() -> Iterator[Standalone]:
    """Return a server without a password."""
    with valkey(("enable-protected-configs", "yes")) as running:
        yield running


async def test_a_refused_connection_is_told(server: Standalone) -> None:
    """By address and by a name with two addresses; and it works again afterwards."""
    async with proxy(server.port) as between:
        await between.refuse()
        for host in ("127.0.0.1", "localhost"):
            settings = server.settings(host=host, port=between.port)
            assert "nothing listens there" in await said(settings, "PING")
        await between.open()
        assert VALUE == await round_trip(server.settings(port=between.port))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"host": "nowhere.invalid"}, "correct REDIS_HOST"),
        ({"url": SecretStr("unix:///nowhere/redis.sock")}, "no such unix socket"),
        ({"db": 99}, "REDIS_DB is higher"),
        ({"tls": True, "socket_timeout": 0.3}, "REDIS_TLS is set for a port without TLS"),
        ({"cluster": True}, "set REDIS_CLUSTER to false"),
    ],
)
async def test_a_wrong_setting_is_told_with_its_name(
    server: Standalone, changes: dict[str, Any], told: str
) -> None:
    """Where only the server can tell that it is wrong."""
    assert told in await said(server.settings(**changes), "GET", "key")


async def test_wrong_and_missing_credentials_are_told() -> None:
    """Redis does not say whether the user or the password is wrong, so the sentence names both."""
    with valkey(SECRET, access={"password": PASSWORD}) as server:
        wrong = await said(server.settings(password=SecretStr("guess")), "PING")
        unknown = await said(server.settings(username="nobody"), "PING")
        missing = await said(server.settings(password=None), "PING")

    assert "check REDIS_USERNAME and REDIS_PASSWORD" in wrong
    assert wrong == unknown
    assert "Redis asks for a password" in missing


async def test_a_missing_right_is_told_with_the_command_that_grants_it(server: Standalone) -> None:
    """Commands, keys and channels have different remedies."""
    right = ("ACL", "SETUSER", "reader", "on", ">pw", "+@all", "-incr", "~ai_suricata:*")
    server.client().execute_command(*right)  # type: ignore[no-untyped-call]
    settings = server.settings(username="reader", password=SecretStr("pw"))

    assert "+incr" in await said(settings, "INCR", "ai_suricata:key")
    assert "~<REDIS_KEY_PREFIX>:*" in await said(settings, "GET", "other")
    assert "&<REDIS_KEY_PREFIX>:*" in await said(settings, "PUBLISH", "channel", "message")


async def test_a_full_server_is_told(server: Standalone) -> None:
    """On its own and in a pipeline, where redis-py hides the code in a longer text."""
    server.client().config_set("maxmemory", 1)
    told = await said(server.settings(), "SET", "key", "value")

    assert "raise maxmemory" in told
    assert told == await said_of_pipeline(server.settings())


async def test_a_server_with_too_many_clients_is_told() -> None:
    """It says so in plain text at once, which a client that begins with TLS takes for no TLS."""
    with valkey(("maxclients", "1")) as server:
        server.client().ping()
        plain = await said(server.settings(), "PING")
        encrypted = await said(server.settings(tls=True), "PING")

    assert "raise maxclients" in plain
    assert "does not speak TLS on this port" in encrypted


async def test_a_server_that_cannot_save_is_told(server: Standalone) -> None:
    """It refuses writes (stop-writes-on-bgsave-error), and the sentence says why."""
    gone = server.master().folder / "gone"
    gone.mkdir()
    raw: Any = server.client()
    raw.config_set("dir", str(gone))
    raw.config_set("save", "3600 1")
    gone.rmdir()
    raw.bgsave()
    await until(lambda: "err" == raw.info("persistence")["rdb_last_bgsave_status"])

    assert "can't save its data" in await said(server.settings(), "SET", "key", "value")
    assert "can't save its data" in await said_of_pipeline(server.settings())


async def test_a_replica_is_told(server: Standalone) -> None:
    """It takes no writes; and no reads either, where it has lost its master and may not be old."""
    raw: Any = server.client()
    raw.replicaof("127.0.0.1", free_port())
    assert "is a replica and takes no writes" in await said(server.settings(), "SET", "key", "1")

    raw.config_set("replica-serve-stale-data", "no")
    assert "lost its master" in await said(server.settings(), "GET", "key")


async def test_a_node_of_a_cluster_without_its_slots_is_told() -> None:
    """To the client of a Cluster and to one that takes it for a plain server."""
    with valkey(("cluster-enabled", "yes"), ("cluster-port", str(free_port()))) as server:
        plain = await said(server.settings(), "GET", "key")
        clustered = await said(server.settings(cluster=True), "GET", "key")

    assert "some of its slots have no master" in plain
    assert "no node of the Cluster knows a master for every slot" in clustered


async def test_a_server_that_loads_its_data_is_told(server: Standalone) -> None:
    """It answers pings with LOADING until then."""
    raw: Any = server.client()
    for number in range(300):
        raw.set(number, "x" * 10_000)
    raw.config_set("key-load-delay", 100_000)
    raw.config_set("loading-process-events-interval-bytes", 1024)
    raw.config_rewrite()
    raw.bgrewriteaof()
    await until(lambda: not raw.info("persistence")["aof_rewrite_in_progress"])
    process = server.master()
    process.kill()
    process.start(wait=False)
    answers: list[str] = []

    async def loading() -> bool:
        answers.append(await said(server.settings(), "GET", "0"))
        return "still loading" in answers[-1]

    await until(loading)


async def test_what_an_old_server_quotes_is_not_told() -> None:
    """Redis 5 does not know HELLO, and its answer quotes the password."""
    quoted = b"`3`, `AUTH`, `default`, `hunter2`,"
    reply = b"-ERR unknown command `HELLO`, with args beginning with: %s \r\n" % quoted
    async with stub(lambda _request: reply) as port:
        settings = RedisSettings(host="127.0.0.1", port=port, password=SecretStr("hunter2"))
        told = await said(settings, "PING")

    assert "does not know HELLO" in told
    assert "hunter2" not in told


async def test_an_unknown_error_is_told_by_its_code_alone(server: Standalone) -> None:
    """The text of a server may quote anything."""
    told = await said(server.settings(), "CONFIG", "hunter2")
    server.client().set("key", "value")
    kind = await said(server.settings(), "HGET", "key", "field")

    assert "hunter2" not in told
    assert "WRONGTYPE" in kind
