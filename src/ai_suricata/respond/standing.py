"""Orders that stand until they are taken back: decide nothing new, never block this network.

What makes things safer takes effect before it is stored, what makes them less safe after: whatever
fails, the daemon errs on the side of not blocking.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import StateError
from ai_suricata.respond.escalation import LIFTED_BY_HAND
from ai_suricata.respond.order import RefusedOrderError, network_of, sentences, words
from ai_suricata.state.allowance import Allowance, AllowanceFile
from ai_suricata.state.hold import Hold, HoldFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ai_suricata.core.address import Network
    from ai_suricata.core.clock import Clock
    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.respond.protection import Protection
    from ai_suricata.respond.responder import Responder

MOST_ALLOWANCES = 10_000
"""Networks on the run-time list; the place for more is a file in NEVER_BLOCK."""


@dataclass(frozen=True, slots=True)
class Records:
    """The files of the state directory in which the orders survive a restart."""

    hold: HoldFile
    allowances: AllowanceFile

    @classmethod
    def of(cls, folder: Path) -> Records:
        """Return the files of a state directory; nothing is opened."""
        return cls(HoldFile(folder / "paused.json"), AllowanceFile(folder / "allow.json"))


class StandingOrders:
    """The hold, and the operator's run-time list. Only one of its methods runs at a time."""

    def __init__(
        self,
        responder: Responder,
        protection: Protection,
        records: Records,
        clock: Clock,
        on_pause: Callable[[Hold | None], None],
    ) -> None:
        """`on_pause` is called at each pause, and with None when it is over; `clock`: wall."""
        self._responder = responder
        self._protection = protection
        self._records = records
        self._clock = clock
        self._on_pause = on_pause
        self._allowed: dict[str, Allowance] = {}
        self.hold: Hold | None = None
        """Since when, and why, nothing new is decided."""

    @property
    def allowances(self) -> list[Allowance]:
        """The run-time list, the oldest first."""
        return list(self._allowed.values())

    async def recall(self) -> None:
        """Take up what was said before a restart. Raises `StateError`."""
        self._allowed = {each.network: each for each in await self._records.allowances.load()}
        self._protect()
        self._stand(await self._records.hold.load())

    def pause(self, reason: str) -> Hold:
        """Decide nothing new until `resume`; what is in force stays, and ends in its time.

        It is in effect at once, whatever else is under way; `keep` lets it outlive a restart.
        """
        hold = Hold(words(reason) or "no reason was given", self._clock.now())
        self._stand(hold)
        return hold

    async def keep(self) -> None:
        """Store the hold. Raises `StateError` where a restart would forget it."""
        if self.hold is None:
            return
        try:
            await self._records.hold.set(self.hold)
        except StateError as error:
            raise StateError(f"{error}; the pause is in effect until a restart") from error

    async def resume(self, meant: Hold | None) -> Hold | None:
        """Go on deciding; return the hold that was. `StateError`: the hold stays.

        `meant`: the hold that was seen. Raises `RefusedOrderError` where it is another by now.
        """
        if self.hold is not meant:
            raise RefusedOrderError("it was paused again meanwhile, and stays so")
        await self._records.hold.clear()
        if self.hold is meant:
            self._stand(None)
        return meant

    async def allow(self, network: str, comment: str) -> tuple[list[LedgerEntry], str]:
        """Never block a network from now on; return the entries that are lifted for it.

        Beside them, what went wrong, in words: it is in effect all the same. Raises
        `InvalidOrderError` and `RefusedOrderError`.
        """
        found = network_of(network)
        if len(self._allowed) >= MOST_ALLOWANCES:
            raise RefusedOrderError(
                f"there are {MOST_ALLOWANCES} networks on the list; put them into a file, and "
                "name it in NEVER_BLOCK as @FILE"
            )
        live = self._responder.ledger.live
        touched = [entry for table in Table for entry in live(table) if _touches(found, entry)]
        self._allowed[str(found)] = Allowance(str(found), words(comment), self._clock.now())
        self._protect()
        # The daemon lifts its own; what was blocked by hand, the later word of the hand lifts.
        by_hand = [entry for entry in touched if entry.decision.by_hand]
        problems = []
        try:
            await self._responder.lift(by_hand, f"{LIFTED_BY_HAND}: {found} was allowed")
        except StateError as error:
            problems.append(str(error))
        try:
            await self._records.allowances.save(self.allowances)
        except StateError as error:
            problems.append(f"{error}; the network is on the list until a restart")
        return touched, sentences(*problems)

    async def disallow(self, network: str) -> Allowance:
        """Take a network off the run-time list. Raises as `allow`; it then stays on it."""
        found = str(network_of(network))
        if found not in self._allowed:
            raise RefusedOrderError(
                f"{found} is not on the list; `ai-suricata allow list` shows what is"
            )
        await self._records.allowances.save(a for a in self.allowances if a.network != found)
        gone = self._allowed.pop(found)
        self._protect()
        return gone

    def _stand(self, hold: Hold | None) -> None:
        self.hold = hold
        self._responder.paused = hold is not None
        self._on_pause(hold)

    def _protect(self) -> None:
        self._protection.allow(each.parsed for each in self.allowances)


def _touches(network: Network, entry: LedgerEntry) -> bool:
    other = ip_network(entry.target)
    return network.version == other.version and network.overlaps(other)
