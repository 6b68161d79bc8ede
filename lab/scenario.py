"""Who takes part, with which addresses: a function of the seed alone.

Every address lies in a documentation (RFC 5737, RFC 3849) or benchmarking (RFC 2544) range, so
that it looks public and belongs to nobody.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from ipaddress import IPv6Address

from lab.label import Actor, Label, Role

HOME_NET = ("192.0.2.0/24", "2001:db8:1::/64")
WEB, WEB_V6 = "192.0.2.10", "2001:db8:1::10"
API = "192.0.2.11"
SSH = "192.0.2.22"
MAIL = "192.0.2.25"
DNS, DNS_V6 = "192.0.2.53", "2001:db8:1::53"
OUTSIDE_WEB = ("203.0.113.80", "203.0.113.81", "198.51.100.80")
OUTSIDE_DNS = "203.0.113.53"
OUTSIDE = (*OUTSIDE_WEB, OUTSIDE_DNS)

STRANGERS = ("198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/16")
STRANGERS_V6 = "2001:db8:2::/48"
FORGED = "198.19.0.0/16"
"""Nobody lives here: the router drops the answers, as the Internet loses those of a real flood."""

_TOOLS = {
    Role.SSH_BRUTE_FORCE: ("hydra", "hydra"),
    Role.WEB_SCANNER: ("curl", "nmap"),
    Role.SYN_SCANNER: ("nmap", "nmap"),
    Role.SSH_USER: ("openssh",),
    Role.MAIL_SENDER: ("smtplib",),
}
"""Of each address of the role in turn; all the others are written with asyncio."""
_NO_HANDSHAKE = frozenset({Role.SYN_SCANNER, Role.DNS_CLIENT, Role.MISTAKEN})
_COUNTS = {
    Role.SSH_BRUTE_FORCE: 2,
    Role.WEB_SCANNER: 2,
    Role.SYN_SCANNER: 2,
    Role.WEB_CLIENT: 160,
    Role.SSH_USER: 12,
    Role.MAIL_SENDER: 12,
    Role.DNS_CLIENT: 14,
    Role.MONITOR: 1,
    Role.API_CLIENT: 2,
    Role.MISTAKEN: 6,
}
_V6_COUNTS = {Role.WEB_CLIENT: 16, Role.DNS_CLIENT: 4}
_ATTACKERS = frozenset({Role.SSH_BRUTE_FORCE, Role.WEB_SCANNER, Role.SYN_SCANNER})
_HOME_CLIENTS = 20
_FORGED_SOURCES = 400
_FORGED_CLIENTS = 12
_V6_BASE = int(IPv6Address("2001:db8:2::"))


@dataclass(frozen=True, slots=True)
class Scenario:
    """The cast of one run."""

    actors: tuple[Actor, ...]
    """One for each address that sends traffic, or seems to."""
    forged_clients: tuple[str, ...]
    """Benign addresses that the flood forges as well: they stay benign."""

    def addresses(self, *roles: Role) -> tuple[str, ...]:
        """Return the addresses that have one of these roles, in the cast's order."""
        return tuple(actor.address for actor in self.actors if actor.role in roles)


def cast(seed: int) -> Scenario:
    """Return the scenario of a seed; the same seed gives the same scenario."""
    rng = random.Random(seed)
    strangers = _strangers(rng)
    web_clients = [
        actor.address
        for actor in strangers
        if actor.role is Role.WEB_CLIENT and ":" not in actor.address
    ]
    return Scenario(
        actors=(*_servers(), *_home_clients(), *strangers, *_forged(rng)),
        forged_clients=tuple(rng.sample(web_clients, _FORGED_CLIENTS)),
    )


def _servers() -> list[Actor]:
    home = [WEB, WEB_V6, API, MAIL]
    actors = [Actor(address, Label.BENIGN, Role.SERVER, "asyncio") for address in home]
    actors.append(Actor(SSH, Label.BENIGN, Role.SERVER, "openssh"))
    actors += [
        Actor(a, Label.BENIGN, Role.SERVER, "asyncio", handshake=False) for a in (DNS, DNS_V6)
    ]
    actors += [
        Actor(
            address,
            Label.BENIGN,
            Role.OUTSIDE_SERVER,
            "asyncio",
            handshake=address != OUTSIDE_DNS,
        )
        for address in OUTSIDE
    ]
    return actors


def _home_clients() -> list[Actor]:
    return [
        Actor(f"192.0.2.{100 + index}", Label.BENIGN, Role.HOME_CLIENT, "asyncio")
        for index in range(_HOME_CLIENTS)
    ]


def _strangers(rng: random.Random) -> list[Actor]:
    """Attackers and clients come from the same ranges: an address does not tell which."""
    v4 = _v4_pool(rng)
    v6 = (str(IPv6Address(_V6_BASE + number)) for number in iter(lambda: rng.randrange(2**80), -1))
    return [
        _stranger(role, number, next(pool))
        for counts, pool in ((_COUNTS, iter(v4)), (_V6_COUNTS, v6))
        for role, count in counts.items()
        for number in range(count)
    ]


def _v4_pool(rng: random.Random) -> list[str]:
    """Shuffled addresses, each once: half of them from the two small ranges."""
    near = [f"{net}.{host}" for net in ("198.51.100", "203.0.113") for host in range(2, 255)]
    near = rng.sample([address for address in near if address not in OUTSIDE], 200)
    far = [f"198.18.{n >> 8}.{n & 255}" for n in rng.sample(range(256, 65280), 200)]
    pool = near + far
    rng.shuffle(pool)
    return pool


def _stranger(role: Role, number: int, address: str) -> Actor:
    label = Label.MALICIOUS if role in _ATTACKERS else Label.BENIGN
    tools = _TOOLS.get(role, ("asyncio",))
    return Actor(
        address, label, role, tools[number % len(tools)], handshake=role not in _NO_HANDSHAKE
    )


def _forged(rng: random.Random) -> list[Actor]:
    numbers = rng.sample(range(256, 65280), _FORGED_SOURCES)
    return [
        Actor(
            f"198.19.{n >> 8}.{n & 255}",
            Label.SPOOFED,
            Role.SYN_FLOOD,
            "raw socket",
            handshake=False,
        )
        for n in numbers
    ]
