"""Who takes part, with which addresses: a function of the seed alone."""

from __future__ import annotations

import random
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

from lab import attacker, estate
from lab.label import Actor, Label, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.take import Take

STRANGERS = ("198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/16")
STRANGERS_V6 = "2001:db8:2::/48"
FORGED = "198.19.0.0/16"
"""Nobody lives here: the router drops the answers, as the Internet loses those of a real flood."""
DEAD = "198.18.255.0/24"
"""Of `estate.PEERS`, who don't answer any more: dropped as well."""

_TOOLS = {
    Role.SSH_USER: "openssh",
    Role.SSH_AUTOMATION: "openssh",
    Role.MAIL_SENDER: "smtplib",
    Role.FTP_USER: "ftplib",
    Role.PINGER: "ping",
}
"""Of roles whose packets are made by a program of that name; all others are asyncio's."""
_NO_HANDSHAKE = frozenset(
    {
        Role.DNS_CLIENT,
        Role.MISTAKEN,
        Role.TIMED_OUT,
        Role.GONE_SERVICE,
        Role.VPN_CLIENT,
        Role.NTP_CLIENT,
        Role.PINGER,
        Role.PEER_CLIENT,
        Role.VIDEO_CALLER,
        Role.WORM,
        Role.UDP_PROBER,
        Role.DNS_TUNNEL,
        Role.DISTRIBUTED_SCANNER,
        Role.BOT,
    }
)
_CLIENTS = {
    Role.WEB_CLIENT: 130,
    Role.FORM_USER: 16,
    Role.SSH_USER: 12,
    Role.SSH_AUTOMATION: 3,
    Role.FTP_USER: 10,
    Role.IMAP_USER: 12,
    Role.POP3_USER: 10,
    Role.MAIL_SENDER: 12,
    Role.DNS_CLIENT: 14,
    Role.MONITOR: 4,
    Role.API_CLIENT: 10,
    Role.TOKEN_CLIENT: 10,
    Role.CRAWLER: 6,
    Role.CDN: 6,
    Role.NAT_OFFICE: 5,
    Role.BACKUP: 5,
    Role.VPN_CLIENT: 10,
    Role.NTP_CLIENT: 12,
    Role.PINGER: 6,
    Role.TIMED_OUT: 14,
    Role.GONE_SERVICE: 6,
    Role.MISTAKEN: 16,
}
_V6_CLIENTS = {
    Role.WEB_CLIENT: 16,
    Role.FORM_USER: 3,
    Role.DNS_CLIENT: 4,
    Role.CRAWLER: 2,
    Role.CDN: 1,
    Role.NAT_OFFICE: 1,
}
_SWARM = {Role.WORM: 80, Role.UDP_PROBER: 30, Role.WEB_PROBER: 36, Role.DNS_TUNNEL: 2}
_V6_SWARM = {Role.WEB_PROBER: 8}
_CAMPAIGNS = {
    Role.CREDENTIAL_STUFFING: (("form-a", 30), ("form-b", 16), ("imap", 30), ("ssh", 14)),
    Role.DISTRIBUTED_SCANNER: (("scan-a", 20), ("scan-b", 16)),
}
"""Names of the campaigns of a role, and how many addresses each has."""
_HOME = {
    Role.HOME_CLIENT: 20,
    Role.PEER_CLIENT: 3,
    Role.VIDEO_CALLER: 4,
    Role.BEACON: 8,
    Role.DNS_TUNNEL: 3,
    Role.DATA_THEFT: 5,
    Role.BOT: 3,
}
SWARM_ROLES = (*_SWARM, *_CAMPAIGNS)
CLIENT_ROLES = tuple(_CLIENTS)
HOME_ROLES = tuple(_HOME)
_COMPROMISED = frozenset({Role.BEACON, Role.DNS_TUNNEL, Role.DATA_THEFT, Role.BOT})
_FORGED_SOURCES = {Role.SYN_FLOOD: 400, Role.UDP_FLOOD: 150}
_FORGED_CLIENTS = 12
_NEAR, _FAR = 400, 800
"""Addresses in the pool, from the two small ranges and from the large one."""
_V6_BASE = int(IPv6Address("2001:db8:2::"))


@dataclass(frozen=True, slots=True)
class Scenario:
    """The cast of one run."""

    actors: tuple[Actor, ...]
    """One for each address that sends traffic, or seems to, or is called in vain."""
    takers: tuple[str, ...]
    """The addresses of the takes, in their order."""
    forged_clients: tuple[str, ...]
    """Benign addresses that the floods forge as well: they stay benign."""

    def addresses(self, *roles: Role) -> tuple[str, ...]:
        """Return the addresses that have one of these roles, in the cast's order."""
        return tuple(actor.address for actor in self.actors if actor.role in roles)


def cast(seed: int) -> Scenario:
    """Return the scenario of a seed; the same seed gives the same scenario.

    Attackers and clients come from the same ranges: an address does not tell which.
    """
    rng = random.Random(seed)
    v4, v6 = iter(_v4_pool(rng)), _v6_pool(random.Random(f"{seed}/v6"))
    takes = attacker.takes(seed, Path())
    takers = [_taker(take, next(v6 if take.v6 else v4)) for take in takes]
    strangers = [*_clients(v4, v6), *_swarm(seed, v4, v6)]
    forgeable = [a.address for a in strangers if a.role is Role.WEB_CLIENT and ":" not in a.address]
    return Scenario(
        actors=(*_servers(), *_home(), *takers, *strangers, *_forged(rng), *_nobody()),
        takers=tuple(actor.address for actor in takers),
        forged_clients=tuple(rng.sample(forgeable, _FORGED_CLIENTS)),
    )


def _servers() -> list[Actor]:
    streams = [Actor(a, Label.BENIGN, Role.SERVER, "asyncio") for a in estate.STREAMS]
    mute = [
        Actor(a, Label.BENIGN, Role.SERVER, tool, handshake=False)
        for tool, hosts in (("asyncio", estate.DATAGRAMS), ("linux", (estate.GATEWAY,)))
        for a in hosts
    ]
    datagrams = {estate.OUTSIDE_DNS, *estate.OUTSIDE_VIDEO}
    outside = [
        Actor(a, Label.BENIGN, Role.OUTSIDE_SERVER, "asyncio", handshake=a not in datagrams)
        for a in estate.OUTSIDE
        if a not in estate.OUTSIDE_CONTROL
    ]
    control = [
        Actor(a, Label.COMPROMISED, Role.CONTROL_SERVER, "asyncio") for a in estate.OUTSIDE_CONTROL
    ]
    ssh = Actor(estate.SSH, Label.BENIGN, Role.SERVER, "openssh")
    return [*streams, ssh, *mute, *outside, *control]


def _home() -> list[Actor]:
    roles = [role for role, count in _HOME.items() for _ in range(count)]
    return [
        _client(role, address, label=Label.COMPROMISED if role in _COMPROMISED else Label.BENIGN)
        for role, address in zip(roles, estate.HOME_CLIENTS, strict=True)
    ]


def _taker(take: Take, address: str) -> Actor:
    return Actor(address, take.label, take.role, take.tool, handshake=take.handshake)


def _clients(v4: Iterator[str], v6: Iterator[str]) -> list[Actor]:
    return [
        _client(role, next(pool))
        for counts, pool in ((_CLIENTS, v4), (_V6_CLIENTS, v6))
        for role, count in counts.items()
        for _ in range(count)
    ]


def _swarm(seed: int, v4: Iterator[str], v6: Iterator[str]) -> list[Actor]:
    alone = [
        _client(role, next(pool), label=Label.MALICIOUS)
        for counts, pool in ((_SWARM, v4), (_V6_SWARM, v6))
        for role, count in counts.items()
        for _ in range(count)
    ]
    together = [
        _client(role, next(v4), label=Label.MALICIOUS, campaign=f"{name}-{seed}")
        for role, campaigns in _CAMPAIGNS.items()
        for name, count in campaigns
        for _ in range(count)
    ]
    return alone + together


def _client(role: Role, address: str, *, label: Label = Label.BENIGN, campaign: str = "") -> Actor:
    return Actor(
        address,
        label,
        role,
        _TOOLS.get(role, "asyncio"),
        handshake=role not in _NO_HANDSHAKE,
        campaign=campaign,
    )


def _v4_pool(rng: random.Random) -> list[str]:
    """Shuffled addresses, each once: a third of them from the two small ranges."""
    near = [f"{net}.{host}" for net in ("198.51.100", "203.0.113") for host in range(2, 255)]
    near = rng.sample([address for address in near if address not in estate.OUTSIDE], _NEAR)
    far = [f"198.18.{n >> 8}.{n & 255}" for n in rng.sample(range(256, 65280), _FAR)]
    pool = near + far
    rng.shuffle(pool)
    return pool


def _v6_pool(rng: random.Random) -> Iterator[str]:
    while True:
        yield str(IPv6Address(_V6_BASE + rng.randrange(2**80)))


def _forged(rng: random.Random) -> list[Actor]:
    roles = [role for role, count in _FORGED_SOURCES.items() for _ in range(count)]
    numbers = rng.sample(range(256, 65280), len(roles))
    addresses = [f"198.19.{n >> 8}.{n & 255}" for n in numbers]
    return [
        Actor(address, Label.SPOOFED, role, "raw socket", handshake=False)
        for role, address in zip(roles, addresses, strict=True)
    ]


def _nobody() -> list[Actor]:
    """Addresses that are called in vain: no packet comes from them."""
    return [
        Actor(address, Label.BENIGN, Role.NOBODY, "none", handshake=False)
        for address in (*estate.SILENT, *_EDGES, *estate.PEERS)
    ]


_EDGES = ("192.0.2.0", "192.0.2.255")
"""The home network's own address and its broadcast address: sweeps call them too."""
