"""The daemon with each way in which events arrive: each counted once, whatever is killed."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from ai_suricata.config.load import load
from ai_suricata.core.clock import SystemClock
from ai_suricata.doctor import arrival
from ai_suricata.doctor.finding import Status
from fakes import eve
from fakes.process import DaemonProcess, guesses, running, wait_for
from fakes.redis_process import HOST
from fakes.redis_servers import valkey
from fakes.sshd import running_sftp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from ai_suricata.doctor.finding import Finding
    from fakes.redis_servers import Standalone
    from fakes.sshd import SftpStandIn


def flows(count: int, first: int = 0) -> list[bytes]:
    """Return connections of forty addresses."""
    return [eve.line(eve.flow(f"198.51.100.{n % 40 + 1}", at=n)) for n in range(first, count)]


def expected(lines: list[bytes]) -> dict[str, int]:
    """Return how many of the lines are of each address."""
    return dict(Counter(json.loads(line)["src_ip"] for line in lines))


def fresh(count: int) -> list[bytes]:
    """Return alerts of just now."""
    now = time.time() - eve.START
    return [eve.line(eve.alert(at=now)) for _ in range(count)]


def counted(daemon: DaemonProcess) -> dict[str, int]:
    """Return how many events the state holds of each address."""
    return {address: events for address, (events, _) in daemon.counted().items()}


# -- several files --------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_two_interfaces_tell_of_counts_once_whatever_is_killed(tmp_path: Path) -> None:
    """Both files hold every connection; one of them has a backlog when the other has none."""
    choice = random.Random(8)  # noqa: S311 - a fixed choice
    files = [tmp_path / name / "eve.json" for name in ("wan", "lan")]
    for file in files:
        file.parent.mkdir()
    paths = ", ".join(map(str, files))
    variables = {"EVE_PATH": paths, "FLUSH_INTERVAL": "0.05", "BATCH_SIZE": "70"}
    daemon = DaemonProcess(tmp_path, variables)
    lines = flows(6000)
    written = [0, 0]
    try:
        for _ in range(6):
            for which, file in enumerate(files):
                start, end = written[which], written[which] + choice.randrange(400, 1000)
                written[which] = end
                with file.open("ab") as writer:
                    writer.write(b"".join(line + b"\n" for line in lines[start:end]))
            daemon.start_ready()
            wait_for(lambda: counted(daemon))
            daemon.kill()
        for which, file in enumerate(files):
            with file.open("ab") as writer:
                writer.write(b"".join(line + b"\n" for line in lines[written[which] :]))
        daemon.start_ready()
        wait_for(lambda: sum(counted(daemon).values()) >= len(lines))
        assert 0 == daemon.terminate()
    finally:
        daemon.kill()
    assert expected(lines) == counted(daemon)


# -- socket ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["stream", "datagram"])
def test_suricata_connects_and_what_it_sends_is_counted_and_acted_on(
    tmp_path: Path, kind: str
) -> None:
    """Over a stream or as datagrams; the socket is gone after the end."""
    path = tmp_path / "eve.sock"
    lines = flows(500) + guesses("203.0.113.9")
    with running(
        tmp_path,
        EVE_SOURCE="socket",
        EVE_SOCKET=str(path),
        EVE_SOCKET_TYPE=kind,
        AUTO_BLOCK="true",
    ) as daemon:
        send(path, kind, lines)
        wait_for(lambda: daemon.events() == len(lines))
        wait_for(lambda: daemon.ledger().get(("203.0.113.9", "block")) == "enforced")
        assert 0 == daemon.terminate()
    assert expected(lines) == counted(daemon)
    assert not path.exists()


def send(path: Path, kind: str, lines: list[bytes]) -> None:
    """Send as Suricata does: each record with its line end, in one write."""
    kinds = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM}
    with socket.socket(socket.AF_UNIX, kinds[kind]) as sender:
        sender.connect(str(path))
        for line in lines:
            sender.send(line + b"\n")


def test_a_path_that_another_process_holds_ends_the_start_with_its_remedy(tmp_path: Path) -> None:
    """Exit code 2, and the other one keeps its socket."""
    path = tmp_path / "eve.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen()
        daemon = DaemonProcess(tmp_path, {"EVE_SOURCE": "socket", "EVE_SOCKET": str(path)})
        daemon.start()

        assert 2 == daemon.wait()
        assert f"another process listens on {path}" in daemon.text()
        assert path.is_socket()


# -- redis ----------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Standalone]:
    """Return a real server of its own."""
    with valkey() as running_server:
        yield running_server


def push(client: Redis, mode: str, lines: list[bytes]) -> None:
    """Write as Suricata does in that mode."""
    with client.pipeline(transaction=False) as pipe:
        for line in lines:
            if mode == "list":
                pipe.lpush("suricata", line)
            elif mode == "rpush":
                pipe.rpush("suricata", line)
            else:
                pipe.xadd("suricata", {"eve": line})
        pipe.execute()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["list", "rpush", "stream"])
def test_killed_at_any_moment_it_counts_each_entry_exactly_once(
    tmp_path: Path, server: Standalone, mode: str
) -> None:
    """What is counted and what is removed from Redis are one, over six kills."""
    choice = random.Random(5)  # noqa: S311 - a fixed choice
    variables = {
        "EVE_SOURCE": "redis",
        "EVE_REDIS_MODE": mode,
        "EVE_REDIS_URL": f"redis://{HOST}:{server.port}/0",
        "FLUSH_INTERVAL": "0.05",
        "BATCH_SIZE": "50",
    }
    daemon = DaemonProcess(tmp_path, variables)
    sent: list[bytes] = []
    with server.client() as client:
        try:
            for _ in range(6):
                daemon.start_ready()
                for _ in range(choice.randrange(1, 12)):
                    lines = flows(len(sent) + 150, first=len(sent))
                    push(client, mode, lines)
                    sent += lines
                daemon.kill()
            daemon.start_ready()
            wait_for(lambda: sum(counted(daemon).values()) >= len(sent))
            assert 0 == daemon.terminate()
        finally:
            daemon.kill()
        assert expected(sent) == counted(daemon)
        if mode != "stream":
            assert client.llen("suricata") <= 50


def test_a_channel_is_heard(tmp_path: Path, server: Standalone) -> None:
    """From the moment on at which it is listened to."""
    lines = flows(300)
    with (
        running(
            tmp_path,
            EVE_SOURCE="redis",
            EVE_REDIS_MODE="channel",
            REDIS_HOST=HOST,
            REDIS_PORT=str(server.port),
        ) as daemon,
        server.client() as client,
    ):
        wait_for(lambda: client.pubsub_numsub("suricata")[0][1] == 1)
        for line in lines:
            client.publish("suricata", line)
        wait_for(lambda: daemon.events() == len(lines))


# -- ssh ------------------------------------------------------------------------------------------


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[SftpStandIn]:
    """Return a host whose files are read."""
    with running_sftp(tmp_path / "sshd") as running_server:
        yield running_server


def far(tmp_path: Path, sshd: SftpStandIn) -> dict[str, str]:
    """Return the settings of a daemon that follows a file on that host."""
    settings = sshd.settings()
    return {
        "EVE_SOURCE": "ssh",
        "EVE_PATH": str(tmp_path / "far" / "eve.json"),
        "PFSENSE_HOST": settings.host,
        "PFSENSE_PORT": str(settings.port),
        "PFSENSE_USER": settings.user,
        "PFSENSE_KEY_FILE": str(settings.key_file),
        "PFSENSE_KNOWN_HOSTS": str(settings.known_hosts),
    }


@pytest.mark.system
def test_a_file_on_the_firewall_is_followed_over_ssh_through_kill_and_rotation(
    tmp_path: Path, sshd: SftpStandIn
) -> None:
    """The position in the state names the place there; nothing is lost or doubled."""
    file = tmp_path / "far" / "eve.json"
    file.parent.mkdir()
    daemon = DaemonProcess(tmp_path, {**far(tmp_path, sshd), "FLUSH_INTERVAL": "0.05"})
    lines = flows(3000)
    try:
        for start in range(0, 3000, 1000):
            part = b"".join(line + b"\n" for line in lines[start : start + 1000])
            with file.open("ab") as writer:
                writer.write(part)
            daemon.start_ready()
            wait_for(lambda start=start: sum(counted(daemon).values()) > start)  # type: ignore[misc]
            daemon.kill()
            file.rename(file.with_name(f"eve.json.2026_1120_10{start // 1000:02d}"))
        file.touch()
        daemon.start_ready()
        wait_for(lambda: sum(counted(daemon).values()) >= 3000)
        assert 0 == daemon.terminate()
    finally:
        daemon.kill()
    assert expected(lines) == counted(daemon)


# -- the doctor -----------------------------------------------------------------------------------


def examine_redis(server: Standalone, **variables: str) -> list[Finding]:
    """Return what the doctor finds of the key."""
    url = f"redis://{HOST}:{server.port}/0"
    settings = load(environment={"EVE_SOURCE": "redis", "EVE_REDIS_URL": url, **variables})
    return asyncio.run(arrival.over_redis(settings.source, settings.redis, SystemClock()))


def test_the_doctor_looks_at_the_newest_entries(server: Standalone) -> None:
    """How old they are, and what types arrive."""
    with server.client() as client:
        push(client, "list", [*fresh(4), eve.line(eve.flow()), *fresh(1)])
        client.xadd("a stream", {"eve": fresh(1)[0]})
    found = examine_redis(server)

    assert [Status.OK, Status.OK] == [finding.status for finding in found]
    assert "its last line is" in found[0].sentence
    assert "hold alert 5, flow 1" in found[1].sentence
    stream = examine_redis(server, EVE_REDIS_KEY="a stream", EVE_REDIS_MODE="stream")
    assert "hold alert 1" in stream[-1].sentence


@pytest.mark.parametrize(
    ("variables", "status", "says"),
    [
        ({}, Status.OK, "empty: all was taken, or Suricata has not written yet"),
        ({"EVE_REDIS_MODE": "stream"}, Status.WARNING, "the key is not there yet"),
        ({"EVE_REDIS_KEY": "text"}, Status.WRONG, "it is a string, and EVE_REDIS_MODE is list"),
        ({"EVE_REDIS_MODE": "channel"}, Status.OK, "the server answers"),
        ({"EVE_REDIS_URL": "redis://127.0.0.1:1/0"}, Status.WRONG, "nothing listens there"),
    ],
)
def test_the_doctor_names_what_is_wrong_with_the_key(
    server: Standalone, variables: dict[str, str], status: Status, says: str
) -> None:
    """Absent, of another type, or on a server that does not answer."""
    with server.client() as client:
        client.set("text", "x")
    [found] = examine_redis(server, **variables)

    assert (status, True) == (found.status, says in found.sentence), found
    assert found.remedy or status is Status.OK


@pytest.mark.system
def test_the_doctor_reads_the_end_of_a_file_on_the_firewall(
    tmp_path: Path, sshd: SftpStandIn
) -> None:
    """And names a file that is not there, and a login that is refused."""
    file = tmp_path / "far" / "eve.json"
    file.parent.mkdir()

    def examine(**changes: str) -> list[Finding]:
        settings = load(environment={**far(tmp_path, sshd), **changes})
        return asyncio.run(arrival.over_ssh(settings.source, settings.firewall, SystemClock()))

    assert "can't be read" in examine()[0].sentence
    file.write_bytes(b"".join(line + b"\n" for line in [eve.line(eve.flow()), *fresh(9)]))
    assert [Status.OK, Status.OK] == [finding.status for finding in examine()]
    [refused] = examine(PFSENSE_USER="nobody")
    assert (Status.WRONG, True) == (refused.status, bool(refused.remedy))
