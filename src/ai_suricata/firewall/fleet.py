"""Several firewalls as one, such as a CARP pair: what counts is what all of them have.

A member that is away holds nobody up: the others go on getting what is decided, it is called again
beside them, and what it has missed it gets when it is back. Until then nothing counts as proved
that it did not prove.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ai_suricata.firewall.base import Firewall

Answer = TypeVar("Answer")

PATIENCE = 0.1
"""Seconds that a round waits for a member that was away, where others are there."""


@dataclass(frozen=True, slots=True)
class Answers(Generic[Answer]):
    """What the members said to one question."""

    given: dict[str, Answer]
    """By the place of each member that answered."""
    asked: int
    """How many members there are, those included that were not asked because they are away."""
    refusal: str = ""
    """Why a member said no, or nothing."""

    @property
    def complete(self) -> bool:
        """Whether every member answered."""
        return len(self.given) == self.asked


class Fleet:
    """The firewalls that decisions go to; mostly there is one."""

    def __init__(self, members: Sequence[Firewall]) -> None:
        """`members`: each with a place of its own."""
        self.members = tuple(members)
        self.problems: dict[str, str] = {}
        """By place: what a member said last where it could not, or would not, since `begin`."""
        self.away: set[str] = set()
        """The places that do not answer: they are not asked before the next `begin`."""
        self._calls: dict[str, asyncio.Task[None]] = {}

    @property
    def name(self) -> str:
        """The kind of firewall: all members are of one."""
        return self.members[0].name

    @property
    def problem(self) -> str | None:
        """What is wrong with the members, in words, or None."""
        return "; ".join(dict.fromkeys(self.problems.values())) or None

    @property
    def standing(self) -> dict[str, bool]:
        """Whether each member answers, by its place."""
        return {member.place: member.place not in self.away for member in self.members}

    async def begin(self) -> set[str]:
        """Begin a round; return the places of the members that were away and are back.

        One that is alone is simply asked again: nobody waits for another one meanwhile.
        """
        away, self.away = self.away, set()
        if len(self.members) > 1:
            self.away = await self._still_away(away)
        self.problems = {place: self.problems[place] for place in self.away}
        return away - self.away

    async def _still_away(self, away: set[str]) -> set[str]:
        """Call those who were away, beside the round, and see who has taken the call by now."""
        for member in self.members:
            if member.place in away and member.place not in self._calls:
                self._calls[member.place] = asyncio.create_task(member.open(), name="call back")
        if self._calls:
            await asyncio.wait(self._calls.values(), timeout=PATIENCE)
        for place, call in list(self._calls.items()):
            if call.done():
                del self._calls[place]
                if self._took(place, call):
                    away = away - {place}
        return away

    def _took(self, place: str, call: asyncio.Task[None]) -> bool:
        """Say whether a member took the call; raises what is no matter of a firewall."""
        try:
            call.result()
        except (FirewallUnreachableError, FirewallRefusedError) as error:
            self.problems[place] = str(error)
            return False
        return True

    async def each(
        self,
        ask: Callable[[Firewall], Awaitable[Answer]],
        among: Callable[[Firewall], bool] = lambda _member: True,
    ) -> Answers[Answer]:
        """Ask all members side by side; raises nothing that a firewall can do.

        Who does not answer is not asked again before the next `begin`: each wait is long.
        `among`: who is asked at all; the others count as not having answered.
        """
        present = [m for m in self.members if m.place not in self.away and among(m)]
        given: dict[str, Answer] = {}
        refusals: list[str] = []

        async def one(member: Firewall) -> None:
            try:
                given[member.place] = await ask(member)
            except FirewallUnreachableError as error:
                self.away.add(member.place)
                self.problems[member.place] = str(error)
            except FirewallRefusedError as error:
                self.problems[member.place] = str(error)
                refusals.append(str(error))

        async with asyncio.TaskGroup() as group:
            for member in present:
                group.create_task(one(member))
        return Answers(given, len(self.members), "; ".join(dict.fromkeys(refusals)))

    async def close(self) -> None:
        """Let go of all connections."""
        for call in self._calls.values():
            call.cancel()
        await asyncio.gather(*self._calls.values(), return_exceptions=True)
        for member in self.members:
            await member.close()
