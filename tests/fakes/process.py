"""The daemon as a process of its own, as an operator starts it: environment in, signals, files out.

with running(tmp_path, AUTO_BLOCK="true") as daemon:
    daemon.write(lines)
    wait_for(lambda: daemon.metric("suricata_ai_events_total") == 3)
    assert daemon.terminate() == 0
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.error import HTTPError
from urllib.request import urlopen

import ai_suricata
from ai_suricata.config.load import load
from ai_suricata.features.extract import Extractor
from ai_suricata.features.table import LAYOUT
from ai_suricata.state.memory import MemoryState
from fakes import eve
from fakes.forked import Forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

LIMIT = 30.0
"""Seconds that anything may take."""
_SOURCES = str(Path(ai_suricata.__file__).parents[1])


def wait_for(reached: Callable[[], object], what: str = "", limit: float = LIMIT) -> None:
    """Wait until the condition holds; AssertionError after `limit` seconds."""
    until = time.monotonic() + limit
    while not reached():
        assert time.monotonic() < until, f"not within {limit} s: {what or reached}"
        time.sleep(0.02)


def guesses(attacker: str) -> list[bytes]:
    """Return what a password guesser leaves in two seconds, of just now."""
    now = time.time() - eve.START
    return [eve.line(eve.login(attacker, at=now - 3 + number / 100)) for number in range(200)]


class DaemonProcess:
    """One `ai-suricata run`; may be started again on the same folder after its end."""

    forked: ClassVar[bool] = False
    """Whether it is a fork of what has been imported already (`fakes.forked`)."""

    def __init__(self, folder: Path, variables: dict[str, str], **options: Any) -> None:  # noqa: ANN401 - of Popen
        """`folder`: takes eve.json, state and log; `options`: of `subprocess.Popen`."""
        self.folder = folder
        self.eve = folder / "eve.json"
        self.state = folder / "state"
        self.log = folder / "log.jsonl"
        self.process: subprocess.Popen[bytes] | Forked | None = None
        self._options = options
        self._log_start = 0
        self.variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": _SOURCES,
            "EVE_PATH": str(self.eve),
            "EVE_START": "beginning",
            "STATE_DIR": str(self.state),
            "METRICS_PORT": "0",
            "LOG_FORMAT": "json",
            **variables,
        }

    def start(self, *arguments: str) -> None:
        """Start it; `arguments` of `run`."""
        self.log.touch()
        self._log_start = self.log.stat().st_size
        if self.forked and not self._options:
            self.process = Forked(("run", *arguments), self.variables, self.folder, self.log)
            return
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ai_suricata", "run", *arguments],
                env=self.variables,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._options,
            )

    def start_ready(self, *arguments: str) -> None:
        """Start it, and wait until it does its work."""
        self.start(*arguments)
        wait_for(self.is_ready, "ready")

    def write(self, lines: Iterable[bytes]) -> None:
        """Append to the followed file, as Suricata does."""
        with self.eve.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))

    # -- what it says -----------------------------------------------------------------------------

    def text(self) -> str:
        """Return what it logged since its latest start."""
        return self.log.read_bytes()[self._log_start :].decode()

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return the log entries of one kind since its latest start."""
        lines = [line for line in self.text().splitlines() if line.startswith("{")]
        entries = [json.loads(line) for line in lines if line.endswith("}")]
        return [entry for entry in entries if entry.get("event") == event]

    def port(self) -> int:
        """Return the port of its metrics; 0 before it listens."""
        served = self.told("metrics are served")
        return int(served[-1]["port"]) if served else 0

    def get(self, path: str) -> str:
        """Return what it answers over HTTP, also where that is an error; '' without an answer."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port()}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except HTTPError as error:
            with error:
                return error.read().decode()
        except OSError:
            return ""

    def is_ready(self) -> bool:
        """Whether /ready says so. AssertionError where the process has ended."""
        assert self.process is not None
        assert self.process.poll() is None, self.text()
        return self.get("/ready") == "ready\n"

    def health(self, part: str) -> tuple[str, str]:
        """Return (status, detail) of a part; empty where it is not known yet."""
        answer = self.get("/health")
        found = json.loads(answer)["parts"].get(part, {}) if answer else {}
        return found.get("status", ""), found.get("detail", "")

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels; -1 where there is none."""
        pattern = re.compile(rf"^{name}(?:{{[^}}]*}})? (\S+)$", re.MULTILINE)
        values = pattern.findall(self.get("/metrics"))
        return sum(map(float, values)) if values else -1.0

    def events(self) -> int:
        """Return how many events it has worked through since its start."""
        return int(max(0.0, self.metric("suricata_ai_events_total")))

    # -- how it ends ------------------------------------------------------------------------------

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, limit: float = LIMIT) -> int:
        """Wait for its end; return the exit code, or minus the signal that ended it."""
        assert self.process is not None
        return self.process.wait(limit)

    def terminate(self) -> int:
        """Send SIGTERM and wait."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Send SIGKILL and wait."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()

    # -- what it leaves ---------------------------------------------------------------------------

    def counted(self) -> dict[str, tuple[int, int]]:
        """Return (events, alerts) of each address, as the stored snapshot has them."""
        snapshot = asyncio.run(MemoryState(self.state, "dry_run", LAYOUT).behaviour.load())
        assert snapshot is not None
        table = Extractor(load(environment={}).features).table
        table.restore(snapshot.rows, snapshot.clock)
        summaries = map(table.summary, table.row_of.values())
        return {one.address: (one.events, one.alerts) for one in summaries}

    def ledger(self, name: str = "dry_run") -> dict[tuple[str, str], str]:
        """Return the state of each (address, table) in the stored ledger."""
        entries = MemoryState(self.state, name, LAYOUT).ledger.read()
        return {(e.target, e.decision.table.value): e.state.value for e in entries}


@contextmanager
def running(
    folder: Path,
    arguments: Sequence[str] = (),
    options: dict[str, Any] | None = None,
    variables: Mapping[str, str] | None = None,
    **more: str,
) -> Iterator[DaemonProcess]:
    """Yield a daemon that is ready; it is killed at the end, if it still runs."""
    daemon = DaemonProcess(folder, {**(variables or {}), **more}, **(options or {}))
    try:
        daemon.start_ready(*arguments)
        yield daemon
    finally:
        daemon.kill()


class NotifySocket:
    """What systemd listens on: NOTIFY_SOCKET of sd_notify(3)."""

    def __init__(self, path: Path) -> None:
        """`path`: of the socket."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(LIMIT)

    def next(self) -> list[str]:
        """Wait for a message; return its lines."""
        return self._socket.recv(4096).decode().split("\n")

    def until(self, line: str) -> list[str]:
        """Wait for a message with this line; return all lines up to it."""
        seen: list[str] = []
        while line not in seen:
            seen += self.next()
        return seen

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
