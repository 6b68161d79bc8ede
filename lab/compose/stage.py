"""Where takes are placed: guests with addresses of their own do again what somebody did live."""

from __future__ import annotations

import random
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from lab.compose.clock import DAY
from lab.compose.packet import ICMP, ICMP_V6, TCP
from lab.compose.rewrite import Change
from lab.label import Actor, Label, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lab.compose.home import Home, Outside
    from lab.compose.take import Conversation, Recording, Take

_LOWEST_PORT = 1024
_PORTS = 65_536 - _LOWEST_PORT
_RAW = frozenset(
    {
        Role.SYN_SCANNER,
        Role.NETWORK_SWEEPER,
        Role.STEALTH_SCANNER,
        Role.SLOW_SCANNER,
        Role.SYN_FLOOD,
        Role.UDP_FLOOD,
        Role.WORM,
    }
)
"""They write their packets themselves: no kernel repeats what is not answered."""
_RAW_RETRIES = (0, 0, 0, 1)
_FRONTS = 12
"""Addresses that stand for one outside server of the live run."""


class Placement(NamedTuple):
    """One conversation of the day."""

    start: int
    """Microseconds since the day began."""
    conversation: Conversation
    change: Change


class Guest:
    """Somebody with an address, who acts in the day."""

    def __init__(self, actor: Actor, rng: random.Random, *, retries: int) -> None:
        """`retries`: how often it repeats what nobody answers."""
        self.actor = actor
        self.packed = ip_address(actor.address).packed
        self.rng = rng
        self.retries = retries
        self.hops = rng.randint(4, 22)
        self.handshake = False
        self.servers: dict[bytes, bytes] = {}
        """Whom it means by a server of the live run."""
        self._used: set[tuple[int, bytes, int, int]] = set()

    def port(self, conversation: Conversation, server: bytes, service: int, shift: int) -> int:
        """Return a port of its own that it has not yet used towards that service."""
        recorded = conversation.client_port
        if conversation.protocol in {ICMP, ICMP_V6} or recorded < _LOWEST_PORT:
            return recorded
        for step in range(_PORTS):
            port = _LOWEST_PORT + (recorded - _LOWEST_PORT + shift + step) % _PORTS
            key = (conversation.protocol, server, service, port)
            if key not in self._used:
                self._used.add(key)
                return port
        raise ValueError(f"{self.actor.address} has no port left")


class Stage:
    """The day as it fills up."""

    def __init__(
        self, seed: int, home: Home, outside: Outside, recordings: Sequence[Recording]
    ) -> None:
        """Begin empty; `recordings`: of the live runs whose takes are placed."""
        self.rng = random.Random(f"stage/{seed}")
        self.home = home
        self.zone = random.Random(f"zone/{seed}").uniform(-8, 8)
        self.placements: list[Placement] = []
        self.guests: list[Guest] = []
        self.actors: dict[bytes, Actor] = {}
        """Who is outside and never acts: servers, peers that are gone."""
        self._outside = outside
        self._roles = {
            ip_address(text).packed: (actor, recording.is_home(text))
            for recording in recordings
            for text, actor in recording.actors.items()
        }
        self._fronts: dict[bytes, list[bytes]] = {}

    def guest(
        self, model: Actor, *, v6: bool = False, campaign: str = "", at_home: bool = False
    ) -> Guest:
        """Return somebody new of the same label, role and tool as `model`."""
        if at_home:
            packed = self.home.client(model.label, model.role, model.tool, v6=v6)
        else:
            packed = self._outside.address(v6=v6)
        address = str(ip_address(packed))
        actor = Actor(address, model.label, model.role, model.tool, campaign=campaign)
        rng = random.Random(f"{self.rng.random()}/{address}")
        retries = rng.choice(_RAW_RETRIES) if model.role in _RAW else rng.randint(1, 5)
        self.guests.append(Guest(actor, rng, retries=retries))
        return self.guests[-1]

    def model(self, take: Take) -> Guest:
        """Return somebody new like the client of a take, at home where that was at home."""
        at_home = self._roles[ip_address(take.actor.address).packed][1]
        return self.guest(take.actor, v6=take.is_v6, at_home=at_home)

    def is_possible(self, take: Take) -> bool:
        """Whether all servers that the take speaks to exist in this day."""
        kinds = (self.home.instances(c.server) for c in take.conversations)
        return all(kind is None or kind for kind in kinds)

    def play(  # noqa: PLR0913 - how a take is placed has that many sides
        self,
        guest: Guest,
        conversations: Sequence[Conversation],
        start: float,
        *,
        stretch: float = 1.0,
        anew: bool = False,
        silent: bool = False,
        servers: Mapping[bytes, bytes] | None = None,
    ) -> None:
        """Place conversations: the first at `start` (microseconds), their distances stretched.

        `anew`: the guest turns to other servers than before. `silent`: nobody answers. `servers`:
        whom it means by some servers of the live run.
        """
        if not conversations:
            return
        if anew:
            guest.servers.clear()
        guest.servers.update(servers or {})
        shift = guest.rng.randrange(_PORTS)
        first = conversations[0].start
        for conversation in conversations:
            at = round(start + (conversation.start - first) * stretch)
            if at >= DAY:
                return
            self._place(guest, conversation, at, shift, silent=silent)

    def _place(
        self, guest: Guest, conversation: Conversation, at: int, shift: int, *, silent: bool
    ) -> None:
        server, exists = self._server(guest, conversation.server)
        service = self.home.port(server, conversation.server_port)
        if conversation.protocol in {ICMP, ICMP_V6}:
            service = conversation.server_port
        closed = not (conversation.accepted or conversation.answered) or (
            conversation.protocol == TCP and not conversation.accepted
        )
        silent = silent or not exists or (closed and self.home.is_dropping(server))
        port = guest.port(conversation, server, service, shift)
        twice = self.home.is_doubled(guest.packed if server not in self.home.actors else server)
        change = Change(
            guest.packed, server, port, service, guest.hops, silent, guest.retries * silent, twice
        )
        self.placements.append(Placement(at, conversation, change))
        guest.handshake = guest.handshake or (conversation.completed and not silent)

    def _server(self, guest: Guest, recorded: bytes) -> tuple[bytes, bool]:
        """Return whom the guest means by a server of the live run, and whether it is there."""
        instances = self.home.instances(recorded)
        known = guest.servers.get(recorded)
        if known is None:
            known = self._choose(guest, recorded, instances)
            guest.servers[recorded] = known
        return known, instances is None or known in instances

    def _choose(self, guest: Guest, recorded: bytes, instances: list[bytes] | None) -> bytes:
        if instances:
            return guest.rng.choice(instances)
        actor, at_home = self._roles.get(recorded, (None, True))
        if at_home:
            return self._choose_at_home(guest, recorded, actor)
        fronts = self._fronts.setdefault(recorded, [])
        gone = actor is not None and actor.role is Role.NOBODY
        if gone or len(fronts) < _FRONTS:
            packed = self._outside.address(v6=len(recorded) == 16)
            label, role, tool = Label.BENIGN, Role.OUTSIDE_SERVER, "none"
            if actor is not None:
                label, role, tool = actor.label, actor.role, actor.tool
            self.actors[packed] = Actor(
                str(ip_address(packed)), label, role, tool, handshake=not gone
            )
            fronts.append(packed)
            return packed
        return guest.rng.choice(fronts)

    def _choose_at_home(self, guest: Guest, recorded: bytes, actor: Actor | None) -> bytes:
        """Return a desktop or an unused address that the guest has not turned to yet."""
        if len(recorded) == 16:
            return guest.rng.choice(self.home.unused_v6)
        if actor is not None and actor.role not in {Role.NOBODY, Role.SERVER}:
            return guest.rng.choice(self.home.desktops)
        turned_to = set(guest.servers.values())
        free = [a for a in self.home.unused if a not in turned_to]
        return guest.rng.choice(free or self.home.unused)


def slice_of(
    rng: random.Random, conversations: Sequence[Conversation], most: int
) -> Sequence[Conversation]:
    """Return at most so many conversations that followed each other."""
    first = rng.randint(0, max(0, len(conversations) - most))
    return conversations[first : first + most]


def span(conversations: Iterable[Conversation]) -> int:
    """Return the microseconds from the first start to the last, at least a second."""
    starts = [c.start for c in conversations]
    return max(max(starts) - min(starts), 1_000_000)
