"""What the attackers of `benchmarks/enforce.py` leave in eve.json, and the clients around them.

An attacker leaves `BEFORE` lines first: he is then just short of being rate-limited. One more line,
the deciding one, makes him critical. Every address has a /24 or a /64 of its own, so that none is
blocked because of its neighbours.
"""

from __future__ import annotations

import random
import time
from itertools import count
from typing import TYPE_CHECKING

from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BEFORE = 11
"""A source is scored at each event up to its eighth, then at its twelfth: `features.schedule`."""
CLIENTS = 2000
_VISITS = 6
_SIXTH = 10  # one attacker in so many comes over IPv6
_NOW = b"2000-01-01T00:00:00.000000+0000"  # what a template has in place of its time
_MOST = 1 << 16


def attackers(first: int, number: int) -> list[str]:
    """Return so many addresses in canonical form; `first`: the number of the first one."""
    if first + number > _MOST:
        raise ValueError(f"there are {_MOST} attackers at most")
    return [_address(place) for place in range(first, first + number)]


def before(attacker: str) -> list[bytes]:
    """Return all that an attacker leaves before his deciding line, of one moment: just now.

    Six ordinary visits and two alerts make eight events and a score below RATE_LIMIT; the three
    alerts that follow are counted, and looked at only with the twelfth event. The visits come
    first: of one who has only raised alerts, each of them weighs more.
    """
    at = time.time() - eve.START
    records = [eve.flow(attacker, at=at, seconds=0.1, written=at) for _ in range(_VISITS)]
    records += [_alert(attacker, number, at) for number in range(BEFORE - _VISITS)]
    return [eve.line(record) for record in records]


def deciding(attacker: str) -> bytes:
    """Return the deciding line; `stamped` gives it its time."""
    return eve.line({**_alert(attacker, BEFORE, 0.0), "timestamp": _NOW.decode()})


def stamped(line: bytes, now: float) -> bytes:
    """Return a line of `deciding` as if written `now`, in wall-clock seconds, with its end."""
    return line.replace(_NOW, eve.stamp(now - eve.START).encode()) + b"\n"


def clients(seed: int) -> Iterator[bytes]:
    """Yield the lines of clients who behave, without end."""
    chance = random.Random(seed)
    for number in count():
        client = chance.randrange(CLIENTS)
        source = f"198.18.{client // 256}.{client % 256}"
        at = time.time() - eve.START
        if number % 3:
            record = eve.flow(source, at=at, seconds=0.1, written=at)
        else:
            record = eve.http(source, at=at, url=f"/page/{chance.randrange(50)}")
        yield eve.line(record) + b"\n"


class Feed:
    """Appends to an eve.json, and counts its lines."""

    def __init__(self, path: Path) -> None:
        """`path`: made where it is not there."""
        self._path = path
        self.lines = 0
        """How many have been written so far."""
        path.touch()

    def prepare(self, addresses: Sequence[str]) -> None:
        """Write what comes before the deciding lines."""
        with self._path.open("ab") as file:
            for address in addresses:
                file.writelines(line + b"\n" for line in before(address))
        self.lines += len(addresses) * BEFORE

    def steadily(
        self, addresses: Sequence[str], rate: float, traffic: float, seed: int
    ) -> dict[str, float]:
        """Write `rate` deciding lines a second, at uneven moments, among `traffic` others.

        Returns for each address the wall-clock seconds just before its line was written.
        """
        chance, others = random.Random(seed), clients(seed)
        written: dict[str, float] = {}
        started, fed = time.monotonic(), 0
        with self._path.open("ab", buffering=0) as file:
            for number, address in enumerate(addresses):
                line, moment = deciding(address), (number + chance.random()) / rate
                time.sleep(max(0.0, started + moment - time.monotonic()))
                behind = int(traffic * moment) - fed
                file.write(b"".join(next(others) for _ in range(behind)))
                fed += behind
                written[address] = time.time()
                file.write(stamped(line, written[address]))
        self.lines += fed + len(addresses)
        return written

    def at_once(self, addresses: Sequence[str]) -> tuple[float, float]:
        """Write all deciding lines in one go; return the wall-clock seconds before and after."""
        lines = [deciding(address) for address in addresses]
        with self._path.open("ab", buffering=0) as file:
            started = time.time()
            file.write(b"".join(stamped(line, started) for line in lines))
            ended = time.time()
        self.lines += len(lines)
        return started, ended


def _address(place: int) -> str:
    if place % _SIXTH == 0:
        return f"2a0e:{place:x}::7" if place else "2a0e::7"
    return f"45.{place >> 8}.{place & 255}.7"


def _alert(attacker: str, number: int, at: float) -> eve.Record:
    """Return an alert inside a completed handshake, each number of another signature."""
    signature = {"sid": 2_010_000 + number, "signature": f"ET WEB_SERVER attack {number}"}
    return eve.alert(attacker, at=at, app_proto="http", opener=attacker, **signature)  # type: ignore[arg-type]
