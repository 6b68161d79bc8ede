"""The plan of a day: who acts when, a function of the seed and the takes alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lab.compose.clock import DAY, midnight
from lab.compose.habit import Crowd
from lab.compose.home import Home, Outside
from lab.compose.raid import Raid
from lab.compose.stage import Stage
from lab.label import Label, Role
from lab.process import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.compose.stage import Placement
    from lab.compose.take import Recording
    from lab.label import Actor

SECONDS = DAY // 1_000_000


@dataclass(frozen=True, slots=True)
class Day:
    """A day of traffic that has yet to be written."""

    seed: int
    home_net: tuple[str, ...]
    begin: int
    """Microseconds since the epoch."""
    actors: dict[str, Actor]
    """By canonical text of the address: whoever may be seen."""
    placements: list[Placement]
    """In the order of their starts."""

    @property
    def has_frames(self) -> bool:
        """Whether the sensor sees Ethernet frames, or IP packets alone: by the seed.

        Of the sets for training and of those for testing, one is so and one is so.
        """
        return self.seed % 4 < 2

    def count(self, *labels: Label) -> int:
        """Return how many addresses have one of these labels."""
        return sum(actor.label in labels for actor in self.actors.values())


def plan(seed: int, sources: int, recordings: Sequence[Recording]) -> Day:
    """Return the day of a seed with so many benign strangers and the attackers that go with them.

    Raises LabError where nobody benign, or no attacker, was recorded.
    """
    takes = [take for recording in recordings for take in recording.takes]
    servers = {
        actor.address: actor
        for recording in recordings
        for actor in recording.actors.values()
        if actor.role is Role.SERVER and recording.is_home(actor.address)
    }
    if not {Label.BENIGN, Label.MALICIOUS} <= {take.actor.label for take in takes}:
        raise LabError("the live runs have no benign takes, or no attackers: make a longer run")
    home = Home(seed, servers.values())
    stage = Stage(seed, home, Outside(seed, home), recordings)
    Crowd(stage, takes).play(sources)
    Raid(stage, takes).play(sources)
    order = sorted(stage.placements, key=lambda placed: (placed.start, placed.change))
    return Day(seed, home.networks, midnight(seed), _actors(stage), order)


def _actors(stage: Stage) -> dict[str, Actor]:
    """Join who acts with who is only spoken to; nobody may be two."""
    actors = {str(ip_address(packed)): actor for packed, actor in stage.home.actors.items()}
    actors.update((actor.address, actor) for actor in stage.actors.values())
    for guest in stage.guests:
        actors[guest.actor.address] = replace(guest.actor, handshake=guest.handshake)
    return actors
