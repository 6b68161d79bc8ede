"""Writes an eve.json as Suricata and logrotate do, and knows what must be counted of it.

Thousands of clients behave; each attacker leaves a hundred short ssh sessions, which is guessing
passwords, and ten alerts. Which event comes next follows from the seed alone; only the timestamps,
and where the disk is written to, follow the clock.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

CLIENTS = 2000
MOST_ATTACKERS = 2 * 250
GUESSES, ALERTS_OF_ATTACKER = 100, 10
EVENTS_OF_ATTACKER = GUESSES + ALERTS_OF_ATTACKER
_TICK = 0.02  # seconds between two writes
_TORN = 0.3  # part of the writes that end in the middle of a line
_ATTACKER_NETS = ("198.51.100", "203.0.113")


@dataclass
class Expected:
    """What has been written, by address."""

    events: Counter[str] = field(default_factory=Counter)
    """All events, alerts among them."""
    alerts: Counter[str] = field(default_factory=Counter)
    attackers: list[str] = field(default_factory=list)


class Feeder:
    """Appends at a steady pace, in a thread of its own (`run`), and rotates now and then."""

    def __init__(self, path: Path, events: int, rate: float, seed: int) -> None:
        """`events`: how many at least; `rate`: events a second; `path` is made at once."""
        self.path = path
        self.events = events
        self.expected = Expected()
        self.rotations = 0
        self._rate = rate
        self._random = random.Random(seed)
        self._lock = threading.RLock()
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._renamed = False
        self._torn = b""
        self._due: list[bytes] = []
        self._attacks: list[int] = []
        self._held_back = False
        self._released = threading.Event()
        self._broken_off = threading.Event()

    @property
    def written(self) -> int:
        """Return how many events have been written."""
        return self.expected.events.total()

    def run(self, background: int, rotations: int) -> None:
        """Write until all is written and `release` was called.

        `background`: attackers that come by themselves, `rotations`: of the file, both spread
        evenly; `attack` and `rotate` add to them.
        """
        started, number = time.monotonic(), 0
        self._attacks = _spread(self.events, background)
        turns = _spread(self.events, rotations)
        while not self._is_done():
            number += 1
            with self._lock:
                self._write(int(self._rate * _TICK * number) - self.written)
                if self._attacks and self.written >= self._attacks[0] and not self._held_back:
                    self._attacks.pop(0)
                    self._due += self._attacker()
                if turns and self.written >= turns[0] and not self._renamed:
                    turns.pop(0)
                    self.rotate()
            time.sleep(max(0.0, started + _TICK * number - time.monotonic()))
        self._end()

    def release(self) -> None:
        """Let it end once all is written; until then it feeds on, and every kill is under load."""
        self._released.set()

    def break_off(self) -> None:
        """End now."""
        self._broken_off.set()

    def attack(self) -> str:
        """Write all that one more attacker leaves, in one go; return its address."""
        with self._lock:
            self._append(self._attacker())
            return self.expected.attackers[-1]

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Let no attacker begin by itself meanwhile; those who are due then come afterwards.

        All else goes on, and so does who has begun: he is among the expected attackers already.
        """
        with self._lock:
            self._held_back = True
        try:
            yield
        finally:
            with self._lock:
                self._held_back = False

    def rename(self) -> None:
        """Move the file aside. Suricata does not know yet: what follows still goes into it."""
        with self._lock:
            self.rotations += 1
            self.path.rename(self.path.with_name(f"{self.path.name}.{self.rotations}"))
            self._renamed = True

    def reopen(self) -> None:
        """Begin the new file, as Suricata does on SIGHUP; a line is never spread over two."""
        with self._lock:
            self._file.write(self._torn)
            self._torn = b""
            self._file.close()
            self._file = self.path.open("ab", buffering=0)
            self._renamed = False

    def rotate(self) -> None:
        """Move the file aside and begin the new one at once."""
        with self._lock:
            self.rename()
            self.reopen()

    def _is_done(self) -> bool:
        owes = self._due or self._attacks
        over = self.written >= self.events and self._released.is_set() and not owes
        return over or self._broken_off.is_set()

    def _end(self) -> None:
        with self._lock:
            self._file.write(self._torn)
            self._torn = b""
            self._file.close()

    def _write(self, count: int) -> None:
        """Write so many events: what attackers owe goes first."""
        lines, self._due = self._due[: max(0, count)], self._due[max(0, count) :]
        lines += [self._client() for _ in range(count - len(lines))]
        if lines:
            self._append(lines)

    def _append(self, lines: list[bytes]) -> None:
        content = self._torn + b"".join(line + b"\n" for line in lines)
        torn = self._random.random() < _TORN
        cut = len(content) - self._random.randrange(1, len(lines[-1])) if torn else len(content)
        self._file.write(content[:cut])
        self._torn = content[cut:]
        self._count(lines)

    def _count(self, lines: list[bytes]) -> None:
        """Note whose they are; the sender is the first address of a line."""
        for line in lines:
            address = line.partition(b'"src_ip": "')[2].partition(b'"')[0].decode()
            self.expected.events[address] += 1
            self.expected.alerts[address] += b'"event_type": "alert"' in line

    def _client(self) -> bytes:
        """Return one event of somebody who does no harm."""
        number = self._random.randrange(CLIENTS)
        address = f"198.18.{number // 250}.{number % 250 + 1}"
        at = time.time() - eve.START
        kind = self._random.choices(("flow", "http", "tls", "alert"), (6, 2, 1, 3))[0]
        if kind == "flow":
            return eve.line(eve.flow(address, at=at - 1, written=at))
        if kind == "http":
            return eve.line(eve.http(address, at=at))
        if kind == "tls":
            return eve.line(eve.other("tls", address, at=at))
        return eve.line(eve.alert(address, at=at, category="Misc activity", severity=3))

    def _attacker(self) -> list[bytes]:
        """Return all that the next attacker leaves."""
        number = len(self.expected.attackers)
        address = f"{_ATTACKER_NETS[number // 250]}.{number % 250 + 1}"
        self.expected.attackers.append(address)
        now = time.time() - eve.START
        logins = [eve.login(address, at=now - 3 + n / GUESSES) for n in range(GUESSES)]
        alerts = [eve.alert(address, at=now, port=22) for _ in range(ALERTS_OF_ATTACKER)]
        return [eve.line(record) for record in (*logins, *alerts)]


def _spread(events: int, count: int) -> list[int]:
    """Return so many moments, as numbers of events, evenly apart."""
    return [events * (number + 1) // (count + 1) for number in range(count)]
