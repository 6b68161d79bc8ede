"""The attacks of a run: which tools, from which addresses, and when.

Each is a real tool in a namespace of its own, so that every packet is its own. The forger's
packets are made in `lab.forger`, those of swarms in `lab.swarm`.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import brute, estate, scan, webattack
from lab.forger import FloodPlan
from lab.label import Role
from lab.take import Take, tools_for
from lab.wordlist import Wordlists

if TYPE_CHECKING:
    from pathlib import Path

    from lab.scenario import Scenario

_EARLIEST, _LATEST = 0.06, 0.7
"""Between these parts of the time attacks begin."""
_ENDED = 0.95
"""Of the time: by then every tool is ended."""


@dataclass(frozen=True, slots=True)
class Attack:
    """A take, its address and its time."""

    address: str
    """The attacker's own address."""
    take: Take
    start: float
    """Seconds after the traffic's beginning."""
    limit: float
    """Seconds after which it is ended."""

    @property
    def prefix(self) -> str:
        """The network that is the address alone."""
        return f"{self.address}/{128 if self.take.v6 else 32}"

    @property
    def command(self) -> tuple[str, ...]:
        """The command to run in the attacker's namespace."""
        return self.take.words(self.address, self.limit)


def takes(seed: int, work: Path) -> list[Take]:
    """Return the takes of a seed; `work` is where `prepare` writes what the tools read."""
    rng = random.Random(f"{seed}/takes")
    tools, words = tools_for(seed), Wordlists.inside(work)
    return [
        *scan.takes(rng, work),
        *brute.takes(rng, words, tools),
        *webattack.takes(rng, work, words, tools),
    ]


def prepare(seed: int, work: Path) -> None:
    """Write the lists that the tools read."""
    Wordlists.inside(work).write(seed)
    webattack.write_requests(work, seed)
    (work / "nobody").touch()


def attacks(cast: Scenario, work: Path, seed: int, seconds: float) -> list[Attack]:
    """Return the attacks by tools in the order of their beginning.

    None begins in the first moments, which are normal, and each is ended before the traffic is.
    """
    rng = random.Random(f"{seed}/starts")
    planned = zip(cast.takers, takes(seed, work), strict=True)
    starts = [seconds * rng.uniform(_EARLIEST, _LATEST) for _ in cast.takers]
    made = [
        Attack(address, take, start, min(take.limit, seconds * _ENDED - start))
        for start, (address, take) in zip(starts, planned, strict=True)
    ]
    return sorted(made, key=lambda attack: attack.start)


def floods(cast: Scenario, seed: int, seconds: float) -> list[FloodPlan]:
    """Return the plans of the forged floods, of SYNs and of datagrams: a sixth of the time each."""
    rng = random.Random(f"{seed}/floods")
    syns = (*cast.addresses(Role.SYN_FLOOD), *cast.forged_clients)
    datagrams = (*cast.addresses(Role.UDP_FLOOD), *cast.forged_clients[::2])
    port = rng.choice((53, 123, 1194, 5060, 4500))
    return [
        FloodPlan(syns, estate.WEB, rng.choice((80, 443)), seconds / 6, seed),
        FloodPlan(
            datagrams, rng.choice((estate.DNS, estate.VPN)), port, seconds / 6, seed, udp=True
        ),
    ]


def forge(plan: Path) -> tuple[str, ...]:
    """Return the command that sends the flood of a plan's file."""
    return (sys.executable, "-m", "lab.forger", str(plan))
