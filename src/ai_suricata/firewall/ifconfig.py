"""What FreeBSD's `ifconfig -a` says of interfaces: text in, addresses out.

Source: ifconfig(8) and its af_inet.c, af_inet6.c, ifgif.c:

    em1: flags=1008943<UP,BROADCAST,RUNNING> metric 0 mtu 1500
            inet 192.0.2.1 netmask 0xffffff00 broadcast 192.0.2.255 vhid 2
            inet6 fe80::1%em1 prefixlen 64 scopeid 0x2
    pppoe0: flags=10088d1<UP,POINTOPOINT,RUNNING> metric 0 mtu 1492
            inet 198.51.100.7 --> 198.51.100.1 netmask 0xffffffff
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import pairwise

from ai_suricata.core.address import Address, Network, parse_address, parse_network

_HEAD = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*): flags=.*")
_MASK = re.compile(r"0x[0-9A-Fa-f]{8}")
_VALUES = ("-->", "netmask", "broadcast", "prefixlen")
"""Words that are followed by a value."""


@dataclass(frozen=True, slots=True)
class Held:
    """One address of an interface, with what stands beside it."""

    address: Address
    network: Network | None = None
    """The network on the wire; None where its mask can't be read, or there is none."""
    broadcast: Address | None = None
    peer: Address | None = None
    """The other end of a point-to-point link or a tunnel."""


@dataclass
class Interface:
    """An interface and its addresses: those of CARP and aliases stand among them."""

    name: str
    held: list[Held] = field(default_factory=list)


@dataclass
class Interfaces:
    """All interfaces."""

    found: list[Interface] = field(default_factory=list)
    unread: int = 0
    """Lines of addresses that can't be read, wholly or in part."""


def read(text: str) -> Interfaces:
    """Return the interfaces; never raises."""
    interfaces = Interfaces()
    for line in text.splitlines():
        head = _HEAD.fullmatch(line)
        if head:
            interfaces.found.append(Interface(head[1]))
            continue
        words = line.split()
        if words[:1] == ["tunnel"]:  # `tunnel inet 192.0.2.1 --> 198.51.100.7`
            words = words[1:]
        if interfaces.found and words[:1] in (["inet"], ["inet6"]):
            interfaces.unread += _take(words[1:], interfaces.found[-1])
    return interfaces


def _take(words: list[str], interface: Interface) -> int:
    """Read what follows `inet` or `inet6`; return how many parts of it can't be read."""
    address, mask = words[0].partition("/")[::2] if words else ("", "")
    values = {word: value for word, value in pairwise(words) if word in _VALUES}
    mask = mask or values.get("prefixlen") or values.get("netmask") or ""
    own = _address(address)
    if own is None:
        return 1
    network = _network(own, mask)
    broadcast, peer = _address(values.get("broadcast")), _address(values.get("-->"))
    interface.held.append(Held(own, network, broadcast, peer))
    wanted = [(mask, network), (values.get("broadcast"), broadcast), (values.get("-->"), peer)]
    return sum(bool(given) and found is None for given, found in wanted)


def _address(text: str | None) -> Address | None:
    try:
        return parse_address(text) if text else None
    except ValueError:
        return None


def _network(address: Address, mask: str) -> Network | None:
    """Return the network of an address by its prefix length, or by a mask like `0xffffff00`."""
    if _MASK.fullmatch(mask):
        mask = str(IPv4Address(int(mask, 16)))
    try:
        return parse_network(f"{address}/{mask}")
    except ValueError:
        return None
