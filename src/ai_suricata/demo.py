"""The demonstration: the real daemon follows a file into which the project's sample is played.

Nothing is made up for it: the sample is what Suricata wrote of real attackers and clients in the
project's lab, and the daemon is the one that `ai-suricata run` starts, with a dry-run firewall.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import socket
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ai_suricata.config.load import load
from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.core.timestamp import MICROSECONDS
from ai_suricata.daemon import Daemon
from ai_suricata.playback import ending_at, recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ai_suricata.config.settings import Settings
    from ai_suricata.core.verdict import Verdict

HOME_NET = "192.0.2.0/24, 2001:db8:1::/64"
"""The protected network of the sample."""
PACKAGED, IN_TREE = Path(__file__).parent / "samples", Path(__file__).parents[2] / "samples"
METRICS_PORT = 9100
_STEPS_A_SECOND = 10
_LONGEST_WAIT = 30.0


@dataclass(slots=True)
class Label:
    """What the lab knows of an address."""

    label: str
    """malicious, benign or spoofed."""
    role: str
    handshake: bool
    """Whether it completes its TCP handshakes."""


@dataclass(slots=True)
class Board:
    """What the demonstration shows while it runs."""

    worst: dict[str, Verdict] = field(default_factory=dict)
    verdicts: int = 0
    written: int = 0
    total: int = 0

    def take(self, verdicts: Sequence[Verdict]) -> None:
        """Keep the worst verdict of each source."""
        self.verdicts += len(verdicts)
        for verdict in verdicts:
            before = self.worst.get(verdict.address)
            if before is None or verdict.score > before.score:
                self.worst[verdict.address] = verdict


class Demo:
    """One run of the demonstration, in a folder of its own."""

    def __init__(self, folder: Path, seconds: float) -> None:
        """Play the sample over so many `seconds`; `folder` takes eve.json and the state."""
        samples = PACKAGED if PACKAGED.is_dir() else IN_TREE
        self.labels = read_labels(samples / "lab.labels.csv")
        self.eve = folder / "eve.json"
        self.seconds = seconds
        self.board = Board()
        self._events = recorded(samples / "lab.json.gz")
        self.board.total = len(self._events)
        self.daemon = Daemon(_settings(folder, self.eve), self.board.take)
        self.port = 0
        """Where the metrics are served; 0 before that."""

    async def run(self) -> None:
        """Start the daemon, play the sample, wait until all of it was decided on, and stop."""
        self.eve.touch()
        serving = asyncio.ensure_future(self.daemon.run())
        playing = asyncio.ensure_future(self._play())
        await asyncio.wait((serving, playing), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            playing.cancel()
        else:
            self.daemon.stop()
        await serving
        with contextlib.suppress(asyncio.CancelledError):
            await playing

    async def _play(self) -> None:
        await self._until(lambda: self.daemon.health.ready)
        self.port = self.daemon.server.port
        lines = ending_at(self._events, int(self.daemon.clock.now() * MICROSECONDS))
        steps = max(1, int(self.seconds * _STEPS_A_SECOND))
        with self.eve.open("ab", buffering=0) as file:
            for step in range(steps):
                part = lines[len(lines) * step // steps : len(lines) * (step + 1) // steps]
                file.write(b"".join(part))
                self.board.written += len(part)
                await asyncio.sleep(1 / _STEPS_A_SECOND)
        await self._until(self._settled)

    async def _until(self, reached: Callable[[], bool]) -> None:
        """Wait for what the daemon tells nobody, for a bounded time."""
        for _ in range(int(_LONGEST_WAIT * _STEPS_A_SECOND)):
            if reached():
                return
            await asyncio.sleep(1 / _STEPS_A_SECOND)

    def _settled(self) -> bool:
        pending = any(self.daemon.assembly.ledger.pending(table) for table in Table)
        return self.daemon.lag() == 0 and not pending

    def would_be(self, table: Table) -> set[str]:
        """Return the addresses that the firewall would hold in a table."""
        entries = self.daemon.assembly.ledger.entries(table)
        return {entry.target for entry in entries if entry.state is LedgerState.ENFORCED}

    def summary(self) -> Counter[tuple[str, str]]:
        """Count addresses by (kind, what would have been done); kinds come from the labels."""
        blocked, limited = self.would_be(Table.BLOCK), self.would_be(Table.LIMIT)
        counted: Counter[tuple[str, str]] = Counter()
        for address, label in self.labels.items():
            done = (
                "blocked"
                if address in blocked
                else "limited"
                if address in limited
                else "left alone"
            )
            counted[kind_of(label), done] += 1
        return counted


def kind_of(label: Label) -> str:
    """Name the kind of an address in the summary."""
    if label.label == "malicious":
        return (
            "attackers, handshakes completed" if label.handshake else "attackers, half-open scans"
        )
    return "forged sources" if label.label == "spoofed" else "ordinary clients and servers"


def read_labels(path: Path) -> dict[str, Label]:
    """Return the labels by address."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["ip"]: Label(row["label"], row["role"], row["handshake"] == "yes")
            for row in csv.DictReader(file)
        }


def _settings(folder: Path, eve: Path) -> Settings:
    return load(
        environment={
            "EVE_PATH": str(eve),
            "EVE_START": "beginning",
            "STATE_DIR": str(folder / "state"),
            "HOME_NET": HOME_NET,
            "AUTO_BLOCK": "true",
            "FIREWALL": "dry_run",
            "METRICS_PORT": str(_free_port()),
            "LOG_LEVEL": "ERROR",
            "TRAINING_EVENTS": "2000",
            "FLUSH_INTERVAL": "1",
        }
    )


def _free_port() -> int:
    """Return the usual port, or 0 (any) where somebody, such as node_exporter, has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", METRICS_PORT))
        except OSError:
            return 0
    return METRICS_PORT
