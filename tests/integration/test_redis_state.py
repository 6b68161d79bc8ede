"""The daemon with a real Redis that is there, absent, killed, hanging, full, closed or read-only.

Whatever happens to either of them, in the end Redis has counted every alert once.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from fakes import eve
from fakes.process import DaemonProcess, wait_for
from fakes.redis_process import HOST
from fakes.redis_servers import valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redis import Redis

    from fakes.redis_servers import Standalone

TIMEOUT = 0.5
AWAY = "Redis is away; going on without it"
BACK = "Redis is back; what it lacks is written"


@dataclass
class Feed:
    """Writes alerts of many addresses, and knows how many of each."""

    daemon: DaemonProcess
    expected: Counter[str] = field(default_factory=Counter)
    _seed: random.Random = field(default_factory=lambda: random.Random(11))  # noqa: S311 - a fixed choice

    def write(self, count: int, addresses: int = 40) -> None:
        """Append alerts of so many addresses."""
        start = self.expected.total()
        chosen = [self._seed.randrange(addresses) for _ in range(count)]
        sources = [f"198.51.{number // 200}.{number % 200}" for number in chosen]
        self.expected.update(sources)
        lines = (eve.alert(each, at=start + at) for at, each in enumerate(sources))
        self.daemon.write(map(eve.line, lines))


def process(folder: Path, server: Standalone, **more: str) -> DaemonProcess:
    """Return a daemon that shares its state on the server, not started yet."""
    folder.mkdir(exist_ok=True)
    variables = {
        "REDIS_ENABLED": "true",
        "REDIS_HOST": HOST,
        "REDIS_PORT": str(server.port),
        "REDIS_SOCKET_TIMEOUT": str(TIMEOUT),
        "FLUSH_INTERVAL": "0.1",
        "INSTANCE_NAME": "one",
    }
    daemon = DaemonProcess(folder, variables | more)
    daemon.eve.touch()
    return daemon


@contextmanager
def following(folder: Path, server: Standalone, **more: str) -> Iterator[Feed]:
    """Yield a feed into a daemon that is ready; it is killed at the end, if it still runs."""
    daemon = process(folder, server, **more)
    try:
        daemon.start_ready()
        yield Feed(daemon)
    finally:
        daemon.kill()


@pytest.fixture(scope="module")
def running() -> Iterator[Standalone]:
    """Yield the server of all tests; it keeps what it has acknowledged."""
    with valkey(("appendfsync", "always")) as server:
        yield server


@pytest.fixture
def server(running: Standalone) -> Iterator[Standalone]:
    """Yield a server that holds nothing."""
    blocking(running).flushall()
    yield running
    running.resume()
    running.restart()


def blocking(server: Standalone) -> Redis:
    """Return a client for assertions."""
    return server.processes[0].client()


def counted(server: Standalone) -> Counter[str]:
    """Return what Redis says that each address has raised."""
    client, prefix = blocking(server), "ai_suricata:ip_behavior:"
    keys = list(client.scan_iter(f"{prefix}*", count=1000))
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.hget(key, "alert_count")
    values = pipe.execute()
    return Counter(
        {key.decode().removeprefix(prefix): int(n) for key, n in zip(keys, values, strict=True)}
    )


def wait_until_counted(server: Standalone, expected: Counter[str]) -> None:
    """Wait until Redis has counted so many alerts, then compare each address."""
    wait_for(lambda: counted(server).total() >= expected.total(), "all alerts are in Redis")
    assert expected == counted(server)


@pytest.mark.slow
def test_killed_again_and_again_every_alert_counts_once(tmp_path: Path, server: Standalone) -> None:
    """SIGKILL at whatever moment, with files that grow meanwhile: nothing is lost or doubled."""
    moment = random.Random(5)  # noqa: S311 - no secret
    with following(tmp_path, server) as feed:
        for _ in range(6):
            feed.write(400)
            after = moment.randrange(400)
            wait_for(lambda after=after: feed.daemon.events() >= after)  # type: ignore[misc]
            feed.daemon.kill()
            feed.write(50)
            feed.daemon.start_ready()

        wait_until_counted(server, feed.expected)
        assert 0 == feed.daemon.terminate()
    assert feed.expected == counted(server)


def test_addresses_that_come_and_go_are_counted_once(tmp_path: Path, server: Standalone) -> None:
    """Far more of them than the table has room for, over a hanging Redis and a SIGKILL."""
    with following(tmp_path, server, MAX_SOURCES="200") as feed:
        sizes = {3: 10, 4: 120, 5: 120}  # while it hangs, more than the table has room for
        for turn in range(12):
            if turn == 4:
                server.pause()
            feed.write(sizes.get(turn, 100), addresses=800)
            wait_for(lambda: feed.daemon.metric("suricata_ai_source_lag_bytes") == 0, "all is read")
            if turn == 4:
                wait_for(lambda: feed.daemon.health("redis")[0] == "degraded")
            if turn == 5:
                server.resume()
            if turn == 8:
                feed.daemon.kill()
                feed.daemon.start_ready()
            if turn != 4:
                wait_until_counted(server, feed.expected)


def test_a_state_folder_that_is_lost_is_made_up_for_by_redis(
    tmp_path: Path, server: Standalone
) -> None:
    """It goes on from the position in Redis, and from the counts there."""
    with following(tmp_path, server) as feed:
        feed.write(300)
        wait_until_counted(server, feed.expected)
        assert 0 == feed.daemon.terminate()

        shutil.rmtree(feed.daemon.state)
        feed.write(300)
        feed.daemon.start_ready()

        assert feed.daemon.told("local state is lost; going on from Redis")
        wait_until_counted(server, feed.expected)
        assert 300 == feed.daemon.events()


def test_what_was_counted_shortly_before_the_end_is_in_redis(
    tmp_path: Path, server: Standalone
) -> None:
    """SIGTERM writes what is left, however long the flush interval is."""
    with following(tmp_path, server, FLUSH_INTERVAL="3600") as feed:
        feed.write(200)
        wait_for(lambda: feed.daemon.events() == 200)
        assert 0 == feed.daemon.terminate()

    assert feed.expected == counted(server)


def _lose_data(server: Standalone) -> None:
    server.stop()
    shutil.rmtree(server.processes[0].folder / "appendonlydir")


def _shut_out(server: Standalone) -> None:
    client = blocking(server)
    client.config_set("requirepass", "other")
    client.execute_command("CLIENT KILL TYPE normal SKIPME yes")  # type: ignore[no-untyped-call] # redis-py's


def _fill(server: Standalone) -> None:
    blocking(server).config_set("maxmemory-policy", "noeviction")
    blocking(server).config_set("maxmemory", "1")


TROUBLES: dict[str, tuple[Callable[[Standalone], object], Callable[[Standalone], object], str]] = {
    "killed": (lambda s: s.stop(), lambda s: s.start(), "connection"),
    "killed, and its data lost": (_lose_data, lambda s: s.start(), "connection"),
    "hanging": (lambda s: s.pause(), lambda s: s.resume(), "REDIS_SOCKET_TIMEOUT"),
    "full": (_fill, lambda s: blocking(s).config_set("maxmemory", "0"), "memory limit"),
    "closed": (_shut_out, lambda s: blocking(s).config_set("requirepass", ""), "REDIS_PASSWORD"),
    "read-only": (
        lambda s: blocking(s).replicaof(HOST, "1"),
        lambda s: blocking(s).replicaof("NO", "ONE"),
        "replica",
    ),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_without_redis_it_goes_on_and_makes_up_for_it_later(
    tmp_path: Path, server: Standalone, name: str
) -> None:
    """Nobody waits; it is said once in the log, in /health and as a metric, and then unsaid."""
    begin, end, words = TROUBLES[name]
    with following(tmp_path, server) as feed:
        daemon = feed.daemon
        feed.write(100)
        wait_until_counted(server, feed.expected)
        assert ("ok", 1) == (daemon.health("redis")[0], state_up(daemon))

        begin(server)
        feed.write(2000)
        wait_for(lambda: daemon.events() == 2100, "full rate", TIMEOUT + 5)
        wait_for(lambda: daemon.health("redis")[0] == "degraded")
        assert words in daemon.health("redis")[1]
        assert 0 == state_up(daemon)
        feed.write(10)
        wait_for(lambda: daemon.events() == 2110, "full rate", TIMEOUT + 2)

        end(server)
        wait_until_counted(server, feed.expected)
        wait_for(lambda: daemon.health("redis")[0] == "ok")
        assert 1 == state_up(daemon)
        assert [1, 1] == [len(daemon.told(event)) for event in (AWAY, BACK)]
        assert 0 == daemon.terminate()


def state_up(daemon: DaemonProcess) -> float:
    """Return what the metric says of Redis."""
    return daemon.metric("suricata_ai_state_backend_up")


def test_absent_at_the_start_redis_gets_all_when_it_comes(
    tmp_path: Path, server: Standalone
) -> None:
    """The daemon is ready without it, also over a restart of its own."""
    server.stop()
    with following(tmp_path, server) as feed:
        feed.write(200)
        wait_for(lambda: feed.daemon.events() == 200)
        assert "degraded" == feed.daemon.health("redis")[0]
        assert 0 == feed.daemon.terminate()
        feed.daemon.start_ready()
        feed.write(200)
        wait_for(lambda: feed.daemon.events() == 200)

        server.start()
        wait_until_counted(server, feed.expected)


def test_a_redis_that_still_loads_its_data_is_waited_for(tmp_path: Path) -> None:
    """LOADING is an answer, and not yet the one that counts."""
    slow = (("appendonly", "no"), ("loading-process-events-interval-bytes", "1024"))
    with valkey(*slow) as server, following(tmp_path, server) as feed:
        feed.write(400)
        wait_until_counted(server, feed.expected)
        blocking(server).save()
        server.stop()
        with (server.processes[0].folder / "redis.conf").open("a") as file:
            file.write("key-load-delay 50000\n")  # microseconds for each of some forty keys
        server.processes[0].start(wait=False)
        feed.write(400)
        wait_for(lambda: "loading" in feed.daemon.health("redis")[1], "LOADING is told")
        wait_for(lambda: feed.daemon.events() == 800)

        wait_for(server.processes[0]._answers, "loaded")
        wait_until_counted(server, feed.expected)


def test_the_counts_of_two_instances_add_up(tmp_path: Path, server: Standalone) -> None:
    """Each follows its own file; one of them is killed on the way."""
    with (
        following(tmp_path / "one", server) as one,
        following(tmp_path / "two", server, INSTANCE_NAME="two") as two,
    ):
        one.write(300)
        two.write(500)
        wait_for(lambda: two.daemon.events() > 100)
        two.daemon.kill()
        one.write(100)
        two.daemon.start_ready()

        wait_until_counted(server, one.expected + two.expected)


@pytest.mark.parametrize("fresh", [True, False], ids=["both new", "after the first has ended"])
def test_two_of_the_same_name_are_told_apart(
    tmp_path: Path, server: Standalone, *, fresh: bool
) -> None:
    """One of them says so in words and writes nothing more: counts would go to and fro."""
    with following(tmp_path / "one", server) as one:
        one.write(100)
        wait_until_counted(server, one.expected)
        second = process(tmp_path / "two", server)
        if not fresh:
            sockets = shutil.ignore_patterns("*.sock")
            shutil.copytree(one.daemon.state, second.state, ignore=sockets)
            (second.state / "lineage").write_text("another")
        try:
            second.start_ready()
            one.write(100)
            told = {"one": one.daemon, "two": second}
            wait_for(
                lambda: any("INSTANCE_NAME" in each.health("redis")[1] for each in told.values()),
                "told in words",
            )
            conflicted = [n for n, each in told.items() if "degraded" == each.health("redis")[0]]
            assert ["one" if fresh else "two"] == conflicted
        finally:
            second.kill()
