"""When an address was blocked: as the daemon says, and as the firewall's log shows."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import orjson

from fakes.sshd import BLOCK_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from fakes.sshd import PfStandIn, Received

PATIENCE = 90.0
"""Seconds that anything may take here."""
_LOOK = 0.1  # seconds between two looks: each costs the machine that is measured
_KINDS = {
    "-T add": "add",
    "-T test": "test",
    "-T show": "show",
    "-T delete": "delete",
    "-sr": "rules",
    "-s info": "info",
    "-ss": "states",
    "-k ": "kill",
}


class MissedError(Exception):
    """Something that must happen did not, in time."""


class Audit:
    """The daemon's audit log, read on from where the last look ended."""

    def __init__(self, path: Path) -> None:
        """`path`: of the file, which may not be there yet."""
        self._path = path
        self._read = 0
        self.enforced: dict[str, float] = {}
        """When the daemon had first proved an address: wall-clock seconds."""
        self.decided: dict[str, str] = {}
        """The table for which an address was first decided upon."""

    def look(self) -> dict[str, float]:
        """Read what was added; return `enforced`."""
        if not self._path.exists():
            return self.enforced
        with self._path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            self._take(orjson.loads(line))
        return self.enforced

    def _take(self, told: dict[str, object]) -> None:
        target, table = str(told["target"]), str(told["table"])
        self.decided.setdefault(target, table)
        if (told["state"], table) == ("enforced", "block"):
            moment = datetime.fromisoformat(str(told["time"])).timestamp()
            self.enforced.setdefault(target, moment)


@dataclass
class Figures:
    """Seconds of many addresses, or of many runs."""

    seconds: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """Return the seconds that this share of all took at most (nearest rank)."""
        ordered = sorted(self.seconds)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    @property
    def median(self) -> float:
        """Return the middle one."""
        return statistics.median(self.seconds)


def added(commands: Iterable[Received]) -> dict[str, float]:
    """Return when each address first arrived at pfctl to be blocked: wall-clock seconds."""
    moments: dict[str, float] = {}
    for one in commands:
        if f"-t {BLOCK_TABLE} " in one.command and " -T add" in one.command:
            for word in one.stdin.split():
                moments.setdefault(word, one.time)
    return moments


def by_kind(commands: Iterable[Received]) -> Counter[str]:
    """Count commands by what they ask."""
    return Counter(
        next((kind for part, kind in _KINDS.items() if part in one.command), "other")
        for one in commands
    )


def kill_times(commands: Iterable[Received], victims: Collection[str]) -> list[float]:
    """Return when the commands arrived that end the connections of these addresses."""
    return [
        one.time for one in commands if " -k " in one.command and one.command.split()[-1] in victims
    ]


def connected(pf: PfStandIn, victims: Collection[str]) -> set[tuple[str, str]]:
    """Return the connections in which one of these addresses takes part."""
    return {pair for pair in pf.states() if not set(pair).isdisjoint(victims)}


def wait(reached: Callable[[], object], what: str, limit: float = PATIENCE) -> None:
    """Wait until the condition holds; MissedError after `limit` seconds."""
    until = time.monotonic() + limit
    while not reached():
        if time.monotonic() > until:
            raise MissedError(f"not within {limit:.0f} s: {what}")
        time.sleep(_LOOK)
