"""Addresses that are never blocked: this comes before everything else.

An explicit list of networks, not a library's notion of private: 100.64.0.0/10 (RFC 6598) belongs
in, documentation ranges (RFC 5737) do not.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from ai_suricata.core.address import Network, Target, parse_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALWAYS: dict[str, str] = {
    "0.0.0.0/8": "this network (RFC 791)",
    "10.0.0.0/8": "private (RFC 1918)",
    "100.64.0.0/10": "carrier-grade NAT (RFC 6598)",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private (RFC 1918)",
    "192.168.0.0/16": "private (RFC 1918)",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved, and broadcast",
    "::/128": "unspecified",
    "::1/128": "loopback",
    "fc00::/7": "unique local (RFC 4193)",
    "fe80::/10": "link-local",
    "ff00::/8": "multicast",
}

# IPv6 addresses that carry an IPv4 one are judged by it: mapped, compatible, NAT64 (RFC 6052).
_CARRIERS = (
    IPv6Network("::ffff:0:0/96"),
    IPv6Network("::/96"),
    IPv6Network("64:ff9b::/96"),
)
_CARRIED_FROM = 96
_ALL_IPV4 = IPv4Network("0.0.0.0/0")


class NeverBlock:
    """The list, by source of each network, so that the reason can be told."""

    def __init__(self, others: Mapping[str, Iterable[Network]]) -> None:
        """`others`: networks by what they are (`home network`, `NEVER_BLOCK`, `the firewall`)."""
        self.networks: tuple[tuple[Network, str], ...] = tuple(
            (ip_network(network), reason) for network, reason in ALWAYS.items()
        )
        """Each network and what it is; another tuple each time the list has grown."""
        for reason, networks in others.items():
            self.add(reason, networks)

    def add(self, reason: str, networks: Iterable[Network]) -> None:
        """Take more networks in, such as those learned from the firewall."""
        more = dict.fromkeys((network, reason) for network in networks)
        new = tuple(entry for entry in more if entry not in self.networks)
        if new:
            self.networks += new

    def reason(self, target: Target) -> str | None:
        """Return why the target is never blocked, or None where it may be.

        A network is refused where it holds, or lies in, any part of the list.
        """
        network = ip_network(target)
        for candidate in (network, *_carried(network)):
            for listed, reason in self.networks:
                if candidate.version == listed.version and candidate.overlaps(listed):
                    return f"{reason}: {listed}"
        return None

    def reason_for_text(self, text: str) -> str | None:
        """As `reason`, for the text of an address or a network."""
        return self.reason(parse_target(text))


def _carried(network: Network) -> list[IPv4Network]:
    """Return the IPv4 networks that an IPv6 network stands for, wholly or in part."""
    if not isinstance(network, IPv6Network):
        return []
    return [_within(network) for carrier in _CARRIERS if network.overlaps(carrier)]


def _within(network: IPv6Network) -> IPv4Network:
    """Return what of IPv4 a network stands for: all of it where it holds a whole carrier."""
    if network.prefixlen < _CARRIED_FROM:
        return _ALL_IPV4
    low = int(network.network_address) & 0xFFFF_FFFF
    return IPv4Network((IPv4Address(low), network.prefixlen - _CARRIED_FROM))
