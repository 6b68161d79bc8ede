"""Hostile inputs for the safety test: addresses that must not be blocked, in every notation.

Everything follows from the seed. An input says what kind it is, how its address is spelt, and by
which way it comes in; what must become of it, `safety_oracle` says.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.safety_notation import NONSENSE, number_of, spelt, text_of, understood


class Way(StrEnum):
    """How an address gets to the daemon."""

    SOURCE = "src_ip"
    OPENER = "flow.src_ip"
    NAMED = "alert.source"
    SHARED = "another instance"
    HAND = "by hand"


SEEN = (Way.SOURCE, Way.OPENER, Way.NAMED)
"""Out of eve.json."""
ORDERED = (Way.SHARED, Way.HAND)


class Kind(StrEnum):
    """What an input is."""

    FIREWALL = "firewall's own address"
    VIRTUAL = "virtual address (CARP, alias)"
    GATEWAY = "gateway"
    RESOLVER = "DNS server"
    OURS = "this machine's own address"
    SESSION = "end of our SSH session"
    LISTED = "NEVER_BLOCK"
    HOME = "home network"
    RESERVED = "private and reserved"
    BROADCAST = "broadcast, 0.0.0.0, ::"
    NETWORK = "network that holds one of these"
    NEIGHBOUR = "offender beside one of these"
    SPOOFED = "forged source"
    NONSENSE = "no address at all"
    TURNED = "protected while it is blocked"
    CONTROL = "control: an attacker"
    CROWD = "control: a network of attackers"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One input."""

    kind: Kind
    text: str
    way: Way
    proven: bool = True
    """Whether the evidence comes out of completed handshakes."""


@dataclass(frozen=True)
class World:
    """Who is protected, by kind; and the attackers."""

    protected: dict[Kind, tuple[str, ...]]
    controls: tuple[str, ...]
    """Each in a network of its own; all must be blocked."""
    crowd: tuple[str, ...]
    """More of one /24 than PROMOTE_IPV4, and of one /64 than PROMOTE_IPV6."""
    networks: tuple[str, ...]
    """These two networks."""
    beside: tuple[str, ...]
    """As many, in networks that hold somebody protected: blocked one by one, never as a whole."""
    turned: tuple[str, ...]
    """Attackers that are blocked first, and protected then."""


_EACH = {
    Kind.FIREWALL: 0.06,
    Kind.VIRTUAL: 0.08,
    Kind.GATEWAY: 0.08,
    Kind.RESOLVER: 0.08,
    Kind.OURS: 0.04,
    Kind.SESSION: 0.02,
    Kind.LISTED: 0.12,
    Kind.HOME: 0.04,
    Kind.RESERVED: 0.20,
    Kind.BROADCAST: 0.06,
    Kind.NETWORK: 0.08,
    Kind.NEIGHBOUR: 0.04,
    Kind.SPOOFED: 0.03,
    Kind.NONSENSE: 0.07,
}
"""Part of all inputs; the small rest are the controls, whose number is fixed."""
_RESERVED = (
    *("0.1.2.3", "10.9.8.7", "100.64.7.7", "100.127.255.254", "127.8.8.8", "169.254.169.254"),
    *("172.16.5.5", "172.31.255.254", "192.168.44.5", "224.0.0.251", "239.255.255.250"),
    *("240.1.1.1", "fd12:3456::7", "fc00::9", "fe80::1234", "ff02::fb", "ff05::2", "::1"),
)
_BROADCAST = ("255.255.255.255", "0.0.0.0", "::", "127.0.0.1", "::1", "ff02::1")  # noqa: S104 - input


def hostile(world: World, count: int, seed: int) -> list[Hostile]:
    """Return about `count` inputs in an order of chance, the controls among them."""
    chance = random.Random(seed)
    found = [
        _one(kind, world, chance)
        for kind, share in _EACH.items()
        for _ in range(int(share * count))
    ]
    found += _controls(world, chance)
    chance.shuffle(found)
    return found


def again(world: World, seed: int) -> list[Hostile]:
    """Return inputs of those who are protected by now, by every way."""
    chance = random.Random(seed)
    return [
        Hostile(Kind.TURNED, spelt(chance, text), way)
        for text in world.turned
        for way in (*SEEN, *ORDERED)
    ]


def _controls(world: World, chance: random.Random) -> list[Hostile]:
    ways = (*SEEN, *SEEN, *ORDERED)
    found: list[Hostile] = []
    for number, text in enumerate(world.controls):
        way = ways[number % len(ways)]
        # Instances tell each other addresses in their canonical form, and heed no other.
        written = text if way is Way.SHARED else understood(chance, text)
        found.append(Hostile(Kind.CONTROL, written, way))
    found += [Hostile(Kind.CROWD, text, Way.SOURCE) for text in world.crowd]
    found += [Hostile(Kind.NEIGHBOUR, text, Way.SOURCE) for text in world.beside]
    return found + [Hostile(Kind.TURNED, text, Way.SOURCE) for text in world.turned]


def _one(kind: Kind, world: World, chance: random.Random) -> Hostile:
    way = chance.choice((*SEEN, *SEEN, *ORDERED))
    if kind is Kind.NONSENSE:
        return Hostile(kind, chance.choice(NONSENSE)(chance), way)
    if kind is Kind.SPOOFED:
        return Hostile(kind, _anybody(chance), Way.SOURCE, proven=False)
    if kind is Kind.NEIGHBOUR:
        return Hostile(kind, _beside(chance, _protected(world, chance)), chance.choice(SEEN))
    if kind is Kind.NETWORK:
        return Hostile(
            kind, _around(chance, _protected(world, chance)), chance.choice((*ORDERED, way))
        )
    texts = {Kind.RESERVED: _RESERVED, Kind.BROADCAST: _BROADCAST, **world.protected}[kind]
    return Hostile(kind, spelt(chance, chance.choice(texts)), way)


def _protected(world: World, chance: random.Random) -> str:
    """Return one that stands among strangers: beside a private address there are none."""
    kinds = (Kind.FIREWALL, Kind.VIRTUAL, Kind.GATEWAY, Kind.RESOLVER, Kind.LISTED)
    return chance.choice([text for kind in kinds for text in world.protected[kind]])


def _beside(chance: random.Random, text: str) -> str:
    """Return another address of the same /24 or /64, one of few, so that many inputs name it."""
    ipv6 = ":" in text
    number, low = number_of(text), 16 if ipv6 else 8
    first = number >> low << low
    return text_of(first + (number - first + chance.randrange(1, 40)) % (1 << low), ipv6=ipv6)


def _around(chance: random.Random, text: str) -> str:
    """Return a network that holds the address, written with its first address, or with this one."""
    ipv6 = ":" in text
    bits = 128 if ipv6 else 32
    length = chance.choice((0, 1, 16, 32, 48, 56, 64, 96, 112, 127) if ipv6 else (*range(32),))
    number = number_of(text)
    if chance.randrange(4):  # else it is written with the bits of a host
        number = number >> (bits - length) << (bits - length)
    if not ipv6 and not chance.randrange(5):
        return f"::ffff:{text_of(number, ipv6=False)}/{96 + length}"
    return f"{text_of(number, ipv6=ipv6)}/{length}"


def _anybody(chance: random.Random) -> str:
    """Return an address of somebody who has done nothing."""
    return f"{chance.randrange(80, 90)}.{chance.randrange(256)}.{chance.randrange(256)}.9"
