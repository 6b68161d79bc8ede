"""The protected network of a day, and what lies outside: a function of the seed alone.

A live run has one server of each kind, at addresses that never change. A day has several or none,
elsewhere, some with services on other ports, some behind a firewall that drops what nobody serves.
Every address lies in a documentation (RFC 5737, RFC 3849), benchmarking (RFC 2544) or private
(RFC 1918) range.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from lab import estate
from lab.label import Actor, Label, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HOME_NETS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.19.32.0/23")
STRANGERS = ("198.18.0.0/15", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
"""Where strangers come from, but for the home network: attackers and clients alike."""
_WIDE = 0.9  # of the strangers, from the first range
_MOVED = ((22, 2222), (80, 8080), (443, 8443), (21, 2121), (3389, 3390), (53, 53))
_LACKING = 0.12  # of the kinds of servers that a network can do without
_NEEDED = frozenset({estate.WEB, estate.WEB_V6, estate.DNS, estate.DNS_V6, estate.MAIL, estate.SSH})
_DOUBLED = (0.4, 0.0, 0.5, 0.3)
"""Share of the home addresses behind a mirror port that hands everything over twice, by seed."""


class Home:
    """Servers, clients and unused addresses of the protected network."""

    def __init__(self, seed: int, servers: Iterable[Actor]) -> None:
        """`servers`: those of the live runs, each a kind of its own."""
        rng = random.Random(f"home/{seed}")
        self.v4 = ip_network(_HOME_NETS[(seed // 2 + seed) % len(_HOME_NETS)])
        self.v6 = IPv6Network((f"2001:db8:{rng.randrange(16, 4096):x}::", 64))
        self.lan = IPv4Network(f"10.{rng.randrange(256)}.{rng.randrange(256)}.0/24")
        self._has_lan = rng.random() < 0.5
        self._free = {4: _hosts(rng, self.v4), 6: _hosts_v6(rng, self.v6)}
        self._lan = _hosts(rng, self.lan)
        self.actors: dict[bytes, Actor] = {}
        self._servers = {
            ip_address(actor.address).packed: self._settle(rng, actor) for actor in servers
        }
        self.desktops = [self._take(4, Role.HOME_CLIENT) for _ in range(rng.randint(10, 40))]
        self.unused = [self._take(4, Role.NOBODY) for _ in range(rng.randint(60, 100))]
        self.unused_v6 = [self._take(6, Role.NOBODY) for _ in range(20)]
        self._dropping = self._some(rng, rng.uniform(0.3, 0.7))
        self._doubled = self._some(rng, _DOUBLED[seed % len(_DOUBLED)])
        servers_here = [a for many in self._servers.values() for a in many]
        self._moves = {a: rng.choice(_MOVED) for a in servers_here if rng.random() < 0.25}

    @property
    def servers(self) -> list[bytes]:
        """The addresses of all IPv4 servers."""
        return [a for many in self._servers.values() for a in many if len(a) == 4]

    @property
    def networks(self) -> tuple[str, ...]:
        """HOME_NET."""
        nets = (self.v4, self.v6, self.lan) if self._has_lan else (self.v4, self.v6)
        return tuple(str(net) for net in nets)

    def client(self, label: Label, role: Role, tool: str, *, v6: bool = False) -> bytes:
        """Return the address of one more client; its actor is noted."""
        pool = self._lan if self._has_lan and not v6 else self._free[6 if v6 else 4]
        packed = next(pool)
        self.actors[packed] = Actor(str(ip_address(packed)), label, role, tool)
        return packed

    def instances(self, server: bytes) -> list[bytes] | None:
        """Return the servers of this kind: perhaps none; None where it is no kind of server."""
        return self._servers.get(server)

    def port(self, server: bytes, port: int) -> int:
        """Return where a server of this network has the service of a port: two may be swapped."""
        near, far = self._moves.get(server, (0, 0))
        return {near: far, far: near}.get(port, port)

    def is_dropping(self, server: bytes) -> bool:
        """Whether a firewall drops what is sent to the server's closed ports."""
        return server in self._dropping

    def is_doubled(self, server: bytes) -> bool:
        """Whether the sensor gets each packet of the server twice."""
        return server in self._doubled

    def _settle(self, rng: random.Random, kind: Actor) -> list[bytes]:
        """Give addresses to the servers of a kind."""
        v6 = ":" in kind.address
        can_lack = kind.address not in _NEEDED and rng.random() < _LACKING
        count = 0 if can_lack else rng.choice((2, 2, 3, 3, 4, 5))
        made = [next(self._free[6 if v6 else 4]) for _ in range(count)]
        for packed in made:
            address = str(ip_address(packed))
            self.actors[packed] = Actor(
                address, kind.label, kind.role, kind.tool, handshake=kind.handshake
            )
        return made

    def _some(self, rng: random.Random, share: float) -> frozenset[bytes]:
        """Return about this share of the home addresses; of a kind of servers never all or none.

        What all servers of a kind had in common would pass for a property of their clients.
        """
        chosen = [a for a in (*self.desktops, *self.unused) if rng.random() < share]
        for many in self._servers.values():
            count = min(max(round(share * len(many)), 1), len(many) - 1)
            chosen += rng.sample(many, count if many and share > 0 else 0)
        return frozenset(chosen)

    def _take(self, family: int, role: Role) -> bytes:
        packed = next(self._free[family])
        self.actors[packed] = Actor(
            str(ip_address(packed)), Label.BENIGN, role, "none", handshake=False
        )
        return packed


class Outside:
    """Addresses outside the protected network, each given once."""

    def __init__(self, seed: int, home: Home) -> None:
        """`home`: whose addresses are never given."""
        self._rng = random.Random(f"outside/{seed}")
        nets = [ip_network(text) for text in STRANGERS]
        self._nets = [net for net in nets if not net.overlaps(home.v4) or net.prefixlen < 16]
        self._home = home
        self._given: set[bytes] = set()
        self._v6 = int(ip_address("2001:db8:8000::"))

    def address(self, *, v6: bool = False) -> bytes:
        """Return an address that nobody has yet."""
        while True:
            packed = self._draw_v6() if v6 else self._draw()
            if packed not in self._given and ip_address(packed) not in self._home.v4:
                self._given.add(packed)
                return packed

    def _draw(self) -> bytes:
        wide = len(self._nets) == 1 or self._rng.random() < _WIDE
        net = self._nets[0] if wide else self._rng.choice(self._nets[1:])
        number = self._rng.randrange(1, net.num_addresses - 1)
        return int(net.network_address + number).to_bytes(4, "big")

    def _draw_v6(self) -> bytes:
        return (self._v6 + self._rng.randrange(1, 2**79)).to_bytes(16, "big")


def _hosts(rng: random.Random, net: IPv4Network | IPv6Network) -> Iterator[bytes]:
    """Yield the addresses of a small network in random order; the first is the gateway's."""
    numbers = rng.sample(range(2, net.num_addresses - 1), net.num_addresses - 3)
    return (int(net.network_address + number).to_bytes(4, "big") for number in numbers)


def _hosts_v6(rng: random.Random, net: IPv6Network) -> Iterator[bytes]:
    numbers = rng.sample(range(16, 2**16), 4000)
    return ((int(net.network_address) + number).to_bytes(16, "big") for number in numbers)
