"""The benign of the lab. Run inside a namespace: `python -m lab.client PLAN`.

PLAN is a JSON file: who plays which role, the seed, the seconds they have, and what they need to
reach the servers. Each client draws its timing from the seed and its own address.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab import visit
from lab.label import Role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_QUIET_END = 0.92  # of the time: after that nobody begins anything new


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """What one client process plays."""

    cast: Sequence[tuple[str, str]]
    """Address and role of each client."""
    seed: int
    duration: float
    """Seconds."""
    certificate: str
    known_hosts: str
    work: str
    """Folder for the small files that ssh needs."""

    def write(self, path: Path) -> Path:
        """Write the plan as JSON and return its path."""
        path.write_text(json.dumps(asdict(self)), encoding="ascii")
        return path


class Client:
    """One address that behaves as its role does, for as long as the plan says."""

    def __init__(self, plan: ClientPlan, address: str, role: Role) -> None:
        """`address`: an address that this namespace owns."""
        self._plan = plan
        self._rng = random.Random(f"{plan.seed}/{address}")
        self._role = role
        tls = ssl.create_default_context(cafile=plan.certificate)
        self._means = visit.Means(address, self._rng, tls, plan.known_hosts, plan.work)

    async def play(self) -> None:
        """Behave until the time is up; what the network refuses is a client's everyday life."""
        act, rounds = _ACTS[self._role]
        end = asyncio.get_running_loop().time() + self._plan.duration * _QUIET_END
        for pause in self._pauses(rounds):
            if asyncio.get_running_loop().time() + pause >= end:
                return
            await asyncio.sleep(pause)
            try:
                await act(self._means)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                print(f"{self._role} {self._means.source}: {error!r}", flush=True)

    def _pauses(self, rounds: tuple[int, int] | float) -> list[float]:
        """Return the seconds before each visit: a beat with jitter, or so many visits at random."""
        duration = self._plan.duration * _QUIET_END
        if isinstance(rounds, float):
            beat = [rounds * self._rng.uniform(0.9, 1.1) for _ in range(int(duration / rounds))]
            return [rounds * self._rng.random(), *beat]
        count = self._rng.randint(*rounds)
        moments = sorted(self._rng.uniform(0, duration * 0.85) for _ in range(count))
        return [b - a for a, b in zip([0.0, *moments], moments, strict=False)]


_ACTS: dict[Role, tuple[Callable[[visit.Means], Awaitable[None]], tuple[int, int] | float]] = {
    Role.WEB_CLIENT: (visit.browse, (1, 5)),
    Role.SSH_USER: (visit.log_in, (1, 3)),
    Role.MAIL_SENDER: (visit.send_mail, (1, 5)),
    Role.DNS_CLIENT: (visit.resolve, (4, 20)),
    Role.MONITOR: (visit.check, 5.0),
    Role.API_CLIENT: (visit.call_api, 2.5),
    Role.HOME_CLIENT: (visit.go_out, (1, 4)),
    Role.MISTAKEN: (visit.knock, (1, 2)),
}
"""For each role what it does, and how often: so many times, or every so many seconds."""


async def play(plan: ClientPlan) -> None:
    """Let the whole cast play, all at the same time."""
    async with asyncio.TaskGroup() as group:
        for address, role in plan.cast:
            group.create_task(Client(plan, address, Role(role)).play(), name=f"{role} {address}")


if __name__ == "__main__":
    asyncio.run(play(ClientPlan(**json.loads(Path(sys.argv[1]).read_text(encoding="ascii")))))
