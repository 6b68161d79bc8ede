"""One Redis process of the tests: started in a folder, awaited, paused, killed by its pid."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import string
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HOST = "127.0.0.1"
READY_AT_MOST = 30.0
"""Seconds until a server or a group of servers is ready; more than a loaded machine needs."""
_PORTS = range(20_000, 32_000)
"""Below the ports that Linux gives to clients: a server that restarts finds its own one free."""
_given: set[int] = set()


def program(name: str) -> Path:
    """Return where a program is; skips the test without it (fails in CI)."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is missing: install the package of that name"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return Path(found)


def free_port() -> int:
    """Return a port of loopback that nothing listens on, another one at each call."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        _given.add(port)
        return port


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds; raises TimeoutError that says what was waited for."""
    until = time.monotonic() + READY_AT_MOST
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {READY_AT_MOST:g} seconds: {what}")
        time.sleep(0.02)


def quoted(word: str) -> str:
    """Quote a word for redis.conf, whatever characters it has."""
    plain = string.ascii_letters + string.digits + "/._:-"
    escaped = "".join(
        chr(byte) if chr(byte) in plain else f"\\x{byte:02x}" for byte in word.encode()
    )
    return f'"{escaped}"'


class Process:
    """A server that runs on loopback, on the same port after a restart."""

    def __init__(
        self,
        folder: Path,
        binary: Path,
        config: Sequence[Sequence[str]],
        access: Mapping[str, Any],
    ) -> None:
        """`config`: directives of redis.conf, word by word; `access`: what a client needs."""
        folder.mkdir(parents=True)
        self.folder = folder
        self.port = free_port()
        self._access = access
        self._process: subprocess.Popen[bytes] | None = None
        port = "tls-port" if access.get("ssl") else "port"
        own = [("bind", HOST), ("dir", str(folder)), ("port", "0"), (port, str(self.port))]
        lines = (" ".join([name, *map(quoted, words)]) for name, *words in [*own, *config])
        (folder / "redis.conf").write_text("\n".join(lines) + "\n")
        self._command = [str(binary), str(folder / "redis.conf")]
        self._client: Redis | None = None

    @property
    def pid(self) -> int:
        """Return the pid; raises RuntimeError where it does not run."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Say whether it was started and not killed since."""
        return self._process is not None

    @property
    def awake(self) -> bool:
        """Say whether it runs and is not paused."""
        return self.running and self._state() != "T"

    def client(self) -> Redis:
        """Return a blocking client for assertions, with no code of ours between."""
        if self._client is None:
            few = Retry(ConstantBackoff(0.05), 5)
            self._client = Redis(
                host=HOST, port=self.port, socket_timeout=5, retry=few, **self._access
            )
        return self._client

    def start(self, *, wait: bool = True) -> None:
        """Start, and wait until it answers (`wait`)."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        if wait:
            wait_until(self._answers, f"answer of {self._command}")

    def kill(self) -> None:
        """Kill it as a crash would; does nothing where it does not run."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it hang: its port still takes connections, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: self._state() == "T", "pause")

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def info(self, section: str) -> dict[str, Any]:
        """Return a section of INFO."""
        return dict(self.client().info(section))

    def _state(self) -> str:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"it did not start:\n{(self.folder / 'log').read_text()}")
        once = Retry(NoBackoff(), 0)
        with Redis(host=HOST, port=self.port, retry=once, **self._access) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False
