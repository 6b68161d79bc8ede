"""The addresses that this machine lives by: its own, its gateways, its DNS servers.

Read from Linux's own files (proc(5), resolv.conf(5)); elsewhere the list is empty, and NEVER_BLOCK
and HOME_NET are what protects.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from ai_suricata.core.address import Address, Network, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
_GATEWAY_COLUMN, _IPV6_GATEWAY_COLUMN = 2, 4


def own_addresses(root: Path = Path("/")) -> tuple[Network, ...]:
    """Return the addresses of this machine's interfaces. `root`: where /proc is, for tests."""
    found: set[Address] = {
        IPv4Address(text) for text in _LOCAL.findall(_text(root / "proc/net/fib_trie"))
    }
    for line in _text(root / "proc/net/if_inet6").splitlines():
        found.add(IPv6Address(bytes.fromhex(line.split()[0])))
    return _as_networks(found)


def gateways(root: Path = Path("/")) -> tuple[Network, ...]:
    """Return the routers that this machine sends through."""
    found: set[Address] = set()
    for line in _text(root / "proc/net/route").splitlines()[1:]:
        value = int(line.split()[_GATEWAY_COLUMN], 16)
        found.add(IPv4Address(struct.pack("=I", value)))
    for line in _text(root / "proc/net/ipv6_route").splitlines():
        found.add(IPv6Address(bytes.fromhex(line.split()[_IPV6_GATEWAY_COLUMN])))
    return _as_networks(address for address in found if not address.is_unspecified)


def name_servers(root: Path = Path("/")) -> tuple[Network, ...]:
    """Return the DNS servers of /etc/resolv.conf."""
    found: set[Address] = set()
    for line in _text(root / "etc/resolv.conf").splitlines():
        keyword, *values = line.split() or [""]
        if keyword == "nameserver" and values:
            with contextlib.suppress(ValueError):  # the resolver passes over what is no address
                found.add(parse_address(values[0]))
    return _as_networks(found)


def addresses_of(host: str) -> tuple[Network, ...]:
    """Return the addresses of a host name, or of an address; none where the name is not known."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return _as_networks({parse_address(str(entry[4][0])) for entry in found})


def _as_networks(addresses: Iterable[Address]) -> tuple[Network, ...]:
    return tuple(ip_network(address) for address in sorted(addresses, key=lambda a: (a.version, a)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
