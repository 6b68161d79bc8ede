"""Ends the connections of those who are blocked: a rule stops new ones only.

It runs beside the enforcing, since a firewall can know half a million connections, and listing
them takes seconds in which further blocks must not wait.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.address import Target, parse_target
from ai_suricata.core.cancellation import within
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.firewall.base import Firewall

log = structlog.get_logger(__name__)

EVERY = 0.5
"""Seconds between two passes: what is blocked meanwhile waits for the next one, since each of them
has the firewall list all connections that it knows."""
RETRY = 1.0
"""Seconds before a firewall that did not answer is asked again; doubles with each failure: a pass
that takes longer than a command may cuts the connection that blocks need, too."""
RAREST = 60.0
"""Seconds that a retry waits at most."""
TRIES = 5
"""Passes that a target gets before it is given up: no new connection of it comes about anyway."""


class Sweep:
    """Once a pass, each firewall's connections are read, and those of the blocked are ended."""

    def __init__(
        self,
        members: Sequence[Firewall],
        told: Callable[[int, int, float], None],
        *,
        wanted: Callable[[Target], bool] = lambda _target: True,
        failed: Callable[[str], None] = lambda _problem: None,
    ) -> None:
        """`told` is handed (targets, connections ended, seconds) after each pass of a member.

        `wanted` says whether a target is blocked still, at the time of the pass; `failed` hears in
        words when targets are given up.
        """
        self._lanes = [_Lane(member, told, wanted, failed) for member in members]
        self._stopping = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many targets wait, the most of any firewall."""
        return max((len(lane.waiting) for lane in self._lanes), default=0)

    def add(self, entries: Iterable[LedgerEntry]) -> None:
        """Let the connections of the entries' targets be ended with the next pass."""
        targets = {parse_target(entry.target) for entry in entries}
        for lane in self._lanes:
            lane.add(targets)

    async def run(self) -> None:
        """Work whenever there is something to do, until `stop`; then once more."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(lane.run(self._stopping))

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()
        for lane in self._lanes:
            lane.wake.set()

    async def work(self) -> bool:
        """Do one pass; return whether every firewall has answered."""
        return all(await asyncio.gather(*(lane.work() for lane in self._lanes)))


class _Lane:
    """What waits for one firewall, which holds up no other."""

    def __init__(
        self,
        member: Firewall,
        told: Callable[[int, int, float], None],
        wanted: Callable[[Target], bool],
        failed: Callable[[str], None],
    ) -> None:
        self._member = member
        self._told = told
        self._wanted = wanted
        self._failed = failed
        self._retry = 0.0
        """Seconds before the next try, or 0 where the firewall has answered."""
        self.waiting: dict[Target, int] = {}
        """How often the connections of each target could not be ended."""
        self.wake = asyncio.Event()

    def add(self, targets: Iterable[Target]) -> None:
        for target in targets:
            self.waiting.setdefault(target, 0)
        if self.waiting:
            self.wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self.wake.wait()
            self.wake.clear()
            await self.work()
            await within(self._retry or EVERY, stopping)
            if self.waiting:
                self.wake.set()
        await self.work()

    async def work(self) -> bool:
        """Do one pass; return whether the firewall has answered.

        Where it says no, a block without this is still a block.
        """
        tries = {target: n for target, n in self.waiting.items() if self._wanted(target)}
        self.waiting.clear()
        if not tries:
            return True
        started = asyncio.get_running_loop().time()
        try:
            killed = await self._member.kill_states(list(tries))
        except FirewallUnreachableError as error:
            self._keep(tries, str(error))
            return False
        except FirewallRefusedError as error:
            log.warning(
                "connections can't be ended", firewall=self._member.place, problem=str(error)
            )
        else:
            self._told(len(tries), killed, asyncio.get_running_loop().time() - started)
        self._retry = 0.0
        return True

    def _keep(self, tries: Mapping[Target, int], problem: str) -> None:
        """Let the targets wait for the next pass, but for those that have had their tries."""
        self._retry = min(2 * self._retry or RETRY, RAREST)
        again = {target: n + 1 for target, n in tries.items() if n + 1 < TRIES}
        self.waiting.update(again)
        if len(again) < len(tries):
            self._give_up(len(tries) - len(again), problem)

    def _give_up(self, count: int, problem: str) -> None:
        place = self._member.place
        text = (
            f"the connections of {count} blocked targets could not be ended on {place}, and go on "
            f"until they end by themselves: {problem}. Where it has too many connections to list "
            "in that time, raise PFSENSE_TIMEOUT"
        )
        log.warning("connections go on", firewall=place, problem=text)
        self._failed(text)
