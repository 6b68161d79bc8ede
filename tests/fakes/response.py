"""Parts of the response path for the tests: verdicts, a firewall that fails, a witness."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from ai_suricata.config.load import load
from ai_suricata.core.address import parse_network
from ai_suricata.core.clock import ManualClock
from ai_suricata.core.decision import Decision, LedgerEntry, LedgerState, Table
from ai_suricata.core.errors import (
    FirewallRefusedError,
    FirewallUnreachableError,
    StateError,
    TableAbsentError,
)
from ai_suricata.core.verdict import Action, Level, Verdict
from ai_suricata.firewall.dry_run import DryRun
from ai_suricata.firewall.fleet import Fleet
from ai_suricata.respond.enforcer import Enforcer
from ai_suricata.respond.ledger import Ledger
from ai_suricata.respond.protection import Protection
from ai_suricata.respond.responder import Responder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from ai_suricata.config.respond import RespondSettings
    from ai_suricata.core.address import Address, Target
    from ai_suricata.firewall.base import Survey

NOW = 1_700_000_000.0
ATTACKER = "203.0.113.7"
OTHER = "198.51.100.9"

_VERDICT = Verdict(
    address=ATTACKER,
    time=int(NOW * 1_000_000),
    score=0.97,
    proven_score=0.97,
    level=Level.CRITICAL,
    action=Action.BLOCK,
    home=False,
    reasons=("brute force: 40 logins were denied in 10 minutes",),
    patterns=("brute_force",),
    model_version="none",
)
_DECISION = Decision(
    target=ATTACKER,
    table=Table.BLOCK,
    duration=600.0,
    step=0,
    decided_at=NOW,
    event_time=int(NOW * 1_000_000),
    score=0.97,
    reasons=_VERDICT.reasons,
    model_version="none",
)


def verdict(address: str = ATTACKER, at: float = NOW, **other: Any) -> Verdict:  # noqa: ANN401 - any field
    """Return a verdict that calls for a block, of an event `at` wall-clock seconds."""
    return msgspec.structs.replace(_VERDICT, address=address, time=int(at * 1_000_000), **other)


def decision(target: str = ATTACKER, at: float = NOW, **other: Any) -> Decision:  # noqa: ANN401 - any field
    """Return the decision that follows, made `at` wall-clock seconds."""
    return msgspec.structs.replace(
        _DECISION,
        **{"target": target, "decided_at": at, "event_time": int(at * 1_000_000), **other},
    )


def respond_settings(**variables: str) -> RespondSettings:
    """Return settings with AUTO_BLOCK on."""
    return load(environment={"AUTO_BLOCK": "true", **variables}).respond


class Disk:
    """A ledger store that keeps what was appended, and can be full."""

    def __init__(self) -> None:
        self.lines: list[LedgerEntry] = []
        self.full = False
        self.writing: asyncio.Event | None = None
        """Where set, an append waits for it."""

    async def load(self) -> list[LedgerEntry]:
        """Return the latest entry of each target and table."""
        latest: dict[tuple[str, Table], LedgerEntry] = {}
        for entry in self.lines:
            latest[entry.target, entry.decision.table] = entry
        return [e for e in latest.values() if e.state is not LedgerState.FORGOTTEN]

    async def append(self, entries: Sequence[LedgerEntry]) -> None:
        """Keep the entries, or raise where the disk is full."""
        if self.writing is not None:
            await self.writing.wait()
        if self.full:
            raise StateError("the disk is full; make room")
        self.lines.extend(entries)

    def states(self, target: str = ATTACKER) -> list[LedgerState]:
        """Return the states that a target went through."""
        return [entry.state for entry in self.lines if entry.target == target]


class FakeFirewall(DryRun):
    """A dry run whose methods fail as they are told to, and which keeps what it was asked."""

    name = "fake"

    def __init__(self, place: str = "fake") -> None:
        super().__init__()
        self.place = place
        self.surroundings: Survey = {}
        """What it says that it lives by."""
        self.calls: list[str] = []
        self.faults: dict[str, str] = {}
        """By method: unreachable, refused, or half (only the first target is done, then lost)."""
        self.hanging: dict[str, asyncio.Event] = {}
        """By method: it is carried out, and answers once the event is set."""
        self.room: int | None = None
        """How many targets of a batch fit in."""
        self.unproved: set[Target] = set()
        """Targets that no rule acts on."""
        self.absent = False
        """Whether the tables do not exist: they are listed as such."""
        self.opening: asyncio.Event | None = None
        """Where set, a connection stands once it is set."""
        self.lost: set[Target] = set()
        """Targets that never stay in a table."""
        self.stuck: set[Target] = set()
        """Targets that never leave a table."""
        self.own: frozenset[Address] = frozenset()
        self.on_call: Callable[[str], None] = lambda _name: None

    async def open(self) -> None:
        """Connect, at once or when the test says so."""
        if self.opening is not None:
            await self.opening.wait()

    async def add(self, table: Table, targets: Mapping[Target, float]) -> set[Target]:
        """Add all but the lost; with `half`, the first alone."""
        await self._called("add")
        if self.faults.get("add") == "half":
            await super().add(table, dict(list(targets.items())[:1]))
            raise FirewallUnreachableError("the connection was lost")
        fitting = list(targets)[: self.room]
        present = await super().add(table, {t: targets[t] for t in fitting if t not in self.lost})
        if len(fitting) < len(targets):
            raise FirewallRefusedError("pf's tables are full; make room")
        await self._answer("add")
        return present

    async def delete(self, table: Table, targets: Collection[Target]) -> None:
        """Delete all but the stuck."""
        await self._called("delete")
        await super().delete(table, [target for target in targets if target not in self.stuck])
        await self._answer("delete")

    async def missing(self, table: Table, targets: Collection[Target]) -> set[Target]:
        """Answer as a dry run."""
        await self._called("missing")
        return await super().missing(table, targets) | self.unproved.intersection(targets)

    async def entries(self, table: Table) -> set[Target]:
        """Answer as a dry run."""
        await self._called("entries")
        if self.absent:
            raise TableAbsentError("there is no such table; make it")
        return await super().entries(table)

    async def kill_states(self, targets: Collection[Target]) -> int:
        """Count as a dry run."""
        await self._called("kill_states")
        killed = await super().kill_states(targets)
        await self._answer("kill_states")
        return killed

    async def survey(self) -> Survey:
        """Answer what the test said."""
        await self._called("survey")
        return self.surroundings

    def own_addresses(self) -> frozenset[Address]:
        """Return what the test said."""
        return self.own

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        self.on_call(name)
        fault = self.faults.get(name, self.faults.get("", ""))
        if fault == "unreachable":
            raise FirewallUnreachableError("no answer")
        if fault == "refused":
            raise FirewallRefusedError("pf says no; make the rule")

    async def _answer(self, name: str) -> None:
        if name in self.hanging:
            await self.hanging[name].wait()


class Record:
    """A witness that keeps what it was told."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, LedgerState, str]] = []
        self.problems: list[str | None] = []
        self.standing: dict[str, bool] = {}
        self.ledger_problems: list[str | None] = []
        self.kills: list[tuple[int, int]] = []
        self.stopped: Counter[Table] = Counter()
        self.reasons: list[str] = []
        self.recoveries: list[Table] = []
        self.lost = 0
        self.living: list[str] = []

    def changed(self, entries: Sequence[LedgerEntry], state: LedgerState, note: str) -> None:
        """Keep each entry's target with the state and the note."""
        self.changes.extend((entry.target, state, note) for entry in entries)

    def killed(self, targets: int, states: int, seconds: float) -> None:
        """Keep how many of each."""
        assert seconds >= 0
        self.kills.append((targets, states))

    def unended(self, problem: str) -> None:
        """Keep it."""
        self.living.append(problem)

    def exhausted(self, table: Table, reason: str, count: int) -> None:
        """Count decisions that the budget stopped, and keep why."""
        self.stopped[table] += count
        self.reasons.append(reason)

    def recovered(self, table: Table) -> None:
        """Keep it."""
        self.recoveries.append(table)

    def dropped(self, count: int) -> None:
        """Count decisions that were given up."""
        self.lost += count

    def firewall(self, problem: str | None, members: Mapping[str, bool] | None = None) -> None:
        """Keep it."""
        self.problems.append(problem)
        self.standing = dict(members or {})

    def ledger(self, problem: str | None) -> None:
        """Keep it."""
        self.ledger_problems.append(problem)

    def states(self, target: str = ATTACKER) -> list[LedgerState]:
        """Return what was told of one target."""
        return [state for told, state, _ in self.changes if told == target]

    def counts(self) -> Counter[LedgerState]:
        """Count what was told, by state."""
        return Counter(state for _, state, _ in self.changes)


@dataclass
class ResponsePath:
    """All parts from the verdict to the firewall: one that can fail, a disk that can be full."""

    firewall: FakeFirewall = field(default_factory=FakeFirewall)
    disk: Disk = field(default_factory=Disk)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    record: Record = field(default_factory=Record)
    others: tuple[FakeFirewall, ...] = ()
    """Further firewalls that have to have what the first one has."""

    def __post_init__(self) -> None:
        """Start with an empty ledger."""
        self.restart()

    def restart(self, **variables: str) -> None:
        """Begin anew as after a kill: disk, clock and firewall stay. The ledger is not loaded."""
        self.ledger = Ledger(self.disk, self.clock)
        self.protection = Protection({}, clock=self.clock)
        self.fleet = Fleet([self.firewall, *self.others])
        self.enforcer = Enforcer(self.fleet, self.ledger, self.protection, self.record)
        settings = respond_settings(**variables)
        self.responder = Responder(settings, self.ledger, self.enforcer, self.clock)

    def protect(self, *networks: str) -> None:
        """Never block these from now on, by the operator's word."""
        self.protection.settle({"NEVER_BLOCK": [parse_network(text) for text in networks]})


def lasting(*targets: Target) -> dict[Target, float]:
    """Return the targets as `Firewall.add` takes them, each for ten minutes."""
    return dict.fromkeys(targets, 600.0)


async def until(reached: Callable[[], object], limit: float = 10.0) -> None:
    """Let the other tasks work until the condition holds; TimeoutError after `limit` seconds."""
    async with asyncio.timeout(limit):
        while not reached():
            await asyncio.sleep(0.005)


def clock_at(seconds: float = NOW) -> ManualClock:
    """Return a clock that stands at `seconds`."""
    return ManualClock(seconds)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a .jsonl file."""
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
