"""What a person may ask of a running daemon: block, lift, undo, pause, allow, release."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from ai_suricata.core.decision import LIVE, Decision, LedgerEntry, Table
from ai_suricata.core.errors import StateError
from ai_suricata.respond.escalation import LIFTED_BY_HAND, next_step
from ai_suricata.respond.order import (
    InvalidOrderError,
    Outcome,
    RefusedOrderError,
    Standing,
    counts,
    decision_of,
    features_told,
    objection,
    sentences,
    target_of,
    words,
)
from ai_suricata.respond.promotion import demoted
from ai_suricata.respond.settlement import Settlement
from ai_suricata.respond.standing import StandingOrders
from ai_suricata.state.label import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ai_suricata.core.address import Network, Target
    from ai_suricata.core.clock import Clock
    from ai_suricata.respond.labelling import Labelling
    from ai_suricata.respond.protection import Protection
    from ai_suricata.respond.responder import Responder
    from ai_suricata.respond.standing import Records
    from ai_suricata.state.allowance import Allowance
    from ai_suricata.state.hold import Hold

_UNDONE = "undone with all since a moment"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How the operator sees the rest of the daemon, and how it hears of the operator."""

    describe: Callable[[], dict[str, Any]] = dict
    """Phase, version and parts of the daemon, as JSON types."""
    on_pause: Callable[[Hold | None], None] = lambda _hold: None
    """Called at each pause, also one from before a restart, and with None when it is over."""


class Operator:
    """Carries out orders, one at a time; who may give them is somebody else's business.

    All raise `InvalidOrderError` where the order makes no sense, `RefusedOrderError` where it is
    not carried out, and `StateError` where the disk fails.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one argument a part; only the assembly calls this
        self,
        responder: Responder,
        protection: Protection,
        records: Records,
        labelling: Labelling,
        clock: Clock,
        surroundings: Surroundings | None = None,
    ) -> None:
        """`clock`: wall clock. `recall` has to come before anything is decided."""
        self._responder = responder
        self._ledger = responder.ledger
        self._protection = protection
        self._labelling = labelling
        self._clock = clock
        self._around = surroundings or Surroundings()
        self._standing = StandingOrders(
            responder, protection, records, clock, self._around.on_pause
        )
        self._settlement = Settlement(responder, clock)
        self._ordering = asyncio.Lock()

    async def recall(self) -> None:
        """Take up what was said before a restart. Raises `StateError`."""
        await self._standing.recall()

    async def status(self) -> Standing:
        """Return how the response stands."""
        now = self._clock.now()
        budget, settings = self._responder.judge.budget, self._responder.settings
        return Standing(
            time=now,
            paused=self._standing.hold,
            auto_block=settings.auto_block,
            dry_run=settings.dry_run,
            tables=counts(self._ledger.entries()),
            breaker={table.value: budget.open(table, now) for table in Table},
            allowances=len(self._standing.allowances),
            unsaved=self._responder.unsaved,
            daemon=self._around.describe(),
        )

    async def block(
        self, target: str, table: Table, duration: float, reason: str = "", *, force: bool = False
    ) -> Outcome:
        """Put a target into a table for so many seconds, also while the daemon is paused.

        `force` overrides NEVER_BLOCK, the run-time list, the home network and private networks,
        but never the firewall, this machine and loopback.
        """
        found = target_of(target)
        async with self._ordering:
            refusal = objection(found, self._protection, force=force)
            if refusal is not None:
                raise RefusedOrderError(refusal)
            now = self._clock.now()
            known = {
                "step": next_step(self._ledger.latest(str(found), table), now),
                "forced": force,
                "model_version": self._labelling.model(),
                "features": features_told(self._labelling.features(str(found))),
            }
            decision = decision_of(found, table, duration, words(reason), now, **known)
            entries = await self._responder.order([decision])
            problem = await self._labelling.keep([str(found)], Kind.ATTACK, words(reason))
        return await self._settlement.outcome(entries, problem)

    async def lift(self, target: str, reason: str = "") -> Outcome:
        """Take a target out of both tables; of a network, all that is blocked in it as well.

        An address inside a network that was blocked for its many offenders goes, and the others
        are blocked one by one instead.
        """
        found = target_of(target)
        note = f"{LIFTED_BY_HAND}: {words(reason) or 'no reason was given'}"
        async with self._ordering:
            await self._responder.saved()
            entries, networks = self._within(found), self._over(found)
            if not entries and not networks:
                nowhere = f"{found} is in neither table; nothing is to be lifted"
                raise RefusedOrderError(sentences(nowhere, self._unsaved()))
            alone = [] if entries else self._alone(networks, found)
            made = await self._responder.order([*self._instead(networks, found), *alone])
            if made:  # those who stay blocked come first: at no moment are they free
                await self._settlement.wait(made)
            entries += [entry for entry in made if entry.target == str(found)]
            lifted = await self._responder.lift([*entries, *networks], note)
            problem = await self._labelling.keep([str(found)], Kind.NORMAL, words(reason))
        return await self._settlement.outcome(lifted, problem)

    async def undo(self, since: float) -> Outcome:
        """Lift all that the daemon has decided by itself since then (wall-clock seconds).

        What was blocked by hand stays.
        """
        if since > self._clock.now():
            raise InvalidOrderError("what is to be undone lies in the future; write an age like 1h")
        async with self._ordering:
            await self._responder.saved()
            own = [
                entry
                for table in Table
                for entry in self._ledger.live(table)
                if not entry.decision.by_hand and entry.decision.decided_at >= since
            ]
            lifted = await self._responder.lift(own, f"{LIFTED_BY_HAND}: {_UNDONE}")
            targets = list(dict.fromkeys(entry.target for entry in lifted))
            problem = await self._labelling.keep(targets, Kind.NORMAL, _UNDONE)
        return await self._settlement.outcome(lifted, sentences(problem, self._unsaved()))

    async def pause(self, reason: str = "") -> Hold:
        """Decide nothing new until `resume`; what is in force stays, and ends in its time.

        It waits for no other order. A `StateError` means that a restart would forget it; it is in
        effect all the same.
        """
        hold = self._standing.pause(reason)
        async with self._ordering:
            await self._responder.saved()  # what was decided before is there when this returns
            await self._standing.keep()
        return hold

    async def resume(self) -> Hold | None:
        """Go on deciding; return the hold that was, or None."""
        meant = self._standing.hold
        async with self._ordering:
            return await self._standing.resume(meant)

    async def allowances(self) -> list[Allowance]:
        """Return the operator's run-time list, the oldest first."""
        return self._standing.allowances

    async def allow(self, network: str, comment: str = "") -> Outcome:
        """Never block a network from now on; whatever it touches is lifted.

        It is confirmed once all of that is off the firewall.
        """
        async with self._ordering:
            await self._responder.saved()
            lifted, problem = await self._standing.allow(network, comment)
        return await self._settlement.outcome(lifted, problem, gone=True)

    async def disallow(self, network: str) -> Allowance:
        """Take a network off the run-time list, and return what it said."""
        async with self._ordering:
            return await self._standing.disallow(network)

    async def release_all(self) -> Outcome:
        """Decide nothing new until `resume`, and take all that is ours off the firewall.

        A disk that is full keeps nobody blocked: that is told beside it.
        """
        self._standing.pause("all blocks were released by hand")
        async with self._ordering:
            await self._responder.saved()
            ours = [entry for entry in self._ledger.entries() if entry.state in LIVE]
            confirmed = await self._responder.release_all()
            heard = self._responder.problem
            problem = await self._kept()
        return self._settlement.told(ours, problem, heard, confirmed=confirmed)

    async def _kept(self) -> str:
        """Store the pause; return what went wrong, in words."""
        try:
            await self._standing.keep()
        except StateError as error:
            return str(error)
        return ""

    def _within(self, target: Target) -> list[LedgerEntry]:
        """Return the entries of the target, and of all that lies in it, that are in a table."""
        network = ip_network(target)
        if network.num_addresses > 1:
            return [e for e in self._ledger.entries() if e.state in LIVE and _holds(network, e)]
        own = (self._ledger.latest(str(target), table) for table in Table)
        return [entry for entry in own if entry is not None and entry.state in LIVE]

    def _over(self, target: Target) -> list[LedgerEntry]:
        """Return the live networks, other than the target, in which it lies."""
        network = ip_network(target)
        nets = (e for table in Table for e in self._ledger.live(table) if "/" in e.target)
        return [e for e in nets if e.target != str(target) and _is_held(network, e)]

    def _instead(self, networks: Sequence[LedgerEntry], target: Target) -> list[Decision]:
        """Return what is blocked instead of networks that are lifted because of one target."""
        found: dict[str, Decision] = {}
        for entry in networks:
            if not entry.decision.members:
                raise RefusedOrderError(
                    f"{target} lies inside {entry.target}, which is blocked as a whole; lift that"
                )
            found |= {each.target: each for each in demoted(entry, str(target), self._ledger)}
        listed = self._protection.never_block.reason
        return [
            decision
            for decision in found.values()
            if listed(target_of(decision.target)) is None and not self._outlasts(decision)
        ]

    def _alone(self, networks: Sequence[LedgerEntry], target: Target) -> list[Decision]:
        """Return a decision on the target alone, where it is one of the many offenders.

        It is lifted at once with the network: so the ledger remembers who was lifted by hand, and
        the same evidence does not block it again.
        """
        members = {each.target: each for entry in networks for each in demoted(entry)}
        return [members[str(target)]] if str(target) in members else []

    def _outlasts(self, decision: Decision) -> bool:
        """Say whether a target is in the table already, for at least as long."""
        entry = self._ledger.latest(decision.target, decision.table)
        end = decision.decided_at + decision.duration
        return entry is not None and entry.state in LIVE and entry.expires_at >= end

    def _unsaved(self) -> str:
        """Return what can't be looked at: a decision that the disk has not taken."""
        count = self._responder.unsaved
        if not count:
            return ""
        decisions = "1 decision waits" if count == 1 else f"{count} decisions wait"
        return f"{decisions} for the disk; make room, and give the order again"


def _holds(network: Network, entry: LedgerEntry) -> bool:
    other = ip_network(entry.target)
    same = network.version == other.version
    return same and network.overlaps(other) and network.prefixlen <= other.prefixlen


def _is_held(network: Network, entry: LedgerEntry) -> bool:
    other = ip_network(entry.target)
    same = network.version == other.version
    return same and network.overlaps(other) and other.prefixlen < network.prefixlen
