"""Instances that share their ledgers by a copy in memory, from which each can be cut off."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from ai_suricata.core.clock import ManualClock
from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.core.precedence import matters_until, precedence
from ai_suricata.respond.sharing import Sharing
from ai_suricata.state.local import LocalNotifier
from fakes.response import ATTACKER, NOW, ResponsePath, decision, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

CHANNEL = "changes"


@dataclass
class Board:
    """What Redis holds, for all instances."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    notifier: LocalNotifier = field(default_factory=LocalNotifier)
    held: dict[tuple[str, Table], LedgerEntry] = field(default_factory=dict)


class Line:
    """Implements `SharedLedger` and `Notifier`: one instance's way to the board; it can break."""

    channel = CHANNEL

    def __init__(self, board: Board) -> None:
        self.board = board
        self.away = False
        self.deaf = False
        self.writes: list[list[LedgerEntry]] = []
        self.tries = 0
        self.writing: asyncio.Event | None = None
        """Where set, a write that was carried out is answered once it is set."""
        self.swallows = False
        """Whether a cancelled write returns as if nothing had been."""

    async def write(self, entries: Sequence[LedgerEntry]) -> None:
        """Write what stands before what is there, and tell."""
        self._ask()
        self.writes.append(list(entries))
        for entry in entries:
            key = (entry.target, entry.decision.table)
            held = self.board.held.get(key)
            if held is None or precedence(entry) >= precedence(held):
                self.board.held[key] = entry
        await self.publish(CHANNEL, msgspec.json.encode(entries))
        if self.writing is not None:
            with suppress(asyncio.CancelledError) if self.swallows else nullcontext():
                await self.writing.wait()

    async def read_all(self) -> list[LedgerEntry]:
        """Return what has not expired."""
        self._ask()
        now = self.board.clock.now()
        return [entry for entry in self.board.held.values() if matters_until(entry) > now]

    def told(self, message: bytes) -> list[LedgerEntry]:
        """Return the entries, unless this instance hears nothing."""
        lost = self.deaf or self.away
        return [] if lost else msgspec.json.decode(message, type=list[LedgerEntry])

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell all."""
        await self.board.notifier.publish(channel, message)

    def listen(self, channel: str) -> AsyncGenerator[bytes, None]:
        """Hear what is told."""
        return self.board.notifier.listen(channel)

    def _ask(self) -> None:
        self.tries += 1
        if self.away:
            raise StateError("nothing listens there; start Redis")


class Instance:
    """A response path of its own, joined to the others by a board."""

    def __init__(self, board: Board, every: float = 60.0) -> None:
        self.path = ResponsePath(clock=board.clock)
        self.line = Line(board)
        self.every = every
        self.said: list[str | None] = []
        self.adopted: list[LedgerEntry] = []
        self.sharing = self._joined()

    @property
    def live(self) -> set[str]:
        """Return whom this instance blocks, or is about to."""
        return {entry.target for entry in self.path.ledger.live(Table.BLOCK)}

    def state(self, target: str = ATTACKER) -> tuple[LedgerState, str] | None:
        """Return state and note of a target."""
        entry = self.path.ledger.latest(target, Table.BLOCK)
        return None if entry is None else (entry.state, entry.note)

    async def block(self, *targets: str, at: float | None = None) -> None:
        """Decide on a block now."""
        now = self.path.clock.now() if at is None else at
        await self.path.ledger.request([decision(target, now) for target in targets])

    async def lift(self, *targets: str) -> None:
        """End blocks before their time."""
        latest = (self.path.ledger.latest(target, Table.BLOCK) for target in targets)
        await self.path.ledger.end([entry for entry in latest if entry is not None], "by hand")

    async def enforce(self) -> None:
        """Bring the firewall to what the ledger says."""
        await self.path.enforcer.work(reconcile=True)

    async def restart(self) -> None:
        """Begin anew as after a kill."""
        self.path.restart()
        await self.path.ledger.load()
        self.sharing = self._joined()

    async def step(self) -> None:
        """Compare and write, as after a reconnect."""
        self.sharing._compare_at = 0
        await self.sharing._step()

    def _refusal(self, target: str) -> str | None:
        return self.path.responder.refusal(target)

    def _joined(self) -> Sharing:
        return Sharing(
            self.path.ledger,
            self.line,
            self.line,
            self.said.append,
            refusal=self._refusal,
            adopted=self.adopted.extend,
            every=self.every,
        )


@asynccontextmanager
async def running(*instances: Instance) -> AsyncIterator[None]:
    """Let the instances share until the block ends; raises what went wrong in one."""
    async with asyncio.TaskGroup() as group:
        for each in instances:
            group.create_task(each.sharing.run())
        await until(lambda: all(each.line.tries for each in instances))
        yield
        for each in instances:
            each.sharing.stop()
