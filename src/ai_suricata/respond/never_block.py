"""Addresses that are never blocked: this comes before everything else.

An explicit list of networks, not a library's notion of private: 100.64.0.0/10 (RFC 6598) belongs
in, documentation ranges (RFC 5737) do not, nor does 192.88.99.0/24: RFC 7526 has retired the 6to4
relays, so nobody's clients are behind it. Who still runs one lists it.
"""

from __future__ import annotations

from bisect import bisect_left
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, NamedTuple

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
_IPV4_BITS = 32
_IPV6_BITS = 128
_IPV4_MASK = 0xFFFF_FFFF


class _Carrier(NamedTuple):
    """A part of IPv6 whose addresses hold an IPv4 one, by which they are judged."""

    network: IPv6Network
    first: int = 96
    """The bit at which the IPv4 address begins."""
    inverted: bool = False
    """Whether its bits are turned round."""

    def within(self, network: IPv6Network) -> IPv4Network:
        """Return what of IPv4 a network stands for: all of it where it leaves it open."""
        known = min(max(network.prefixlen - self.first, 0), _IPV4_BITS)
        shift = _IPV6_BITS - _IPV4_BITS - self.first
        value = int(network.network_address) >> shift & _IPV4_MASK
        if self.inverted:
            value ^= _IPV4_MASK
        return IPv4Network((value >> (_IPV4_BITS - known) << (_IPV4_BITS - known), known))


_CARRIERS = (
    _Carrier(IPv6Network("::ffff:0:0/96")),  # IPv4-mapped, RFC 4291, 2.5.5.2
    _Carrier(IPv6Network("::ffff:0:0:0/96")),  # IPv4-translated, RFC 2765, 2.1
    _Carrier(IPv6Network("::/96")),  # IPv4-compatible, RFC 4291, 2.5.5.1
    _Carrier(IPv6Network("64:ff9b::/96")),  # NAT64, RFC 6052
    # NAT64 of one's own, RFC 8215; of its formats the usual one, with a prefix of 96 bits.
    _Carrier(IPv6Network("64:ff9b:1::/48")),
    _Carrier(IPv6Network("2002::/16"), first=16),  # 6to4, RFC 3056, 2: the site's router
    # Teredo, RFC 4380, 4: the client behind its NAT, bits inverted. Not the server, which stands
    # there too: a client chooses that freely, and would choose one on the list.
    _Carrier(IPv6Network("2001::/32"), inverted=True),
)


class _Index:
    """Finds the listed network that a question touches: one binary search, however long the list.

    Two networks either hold one another or have nothing in common. Without those inside another
    the list is disjoint and in order, and the first one that does not end before the question
    begins is the only one to look at.
    """

    def __init__(self, listed: Iterable[tuple[Network, str]]) -> None:
        """Take networks of one IP version, each with what it is."""
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._said: list[str] = []
        # Stable: of a network that is listed twice, the first one says what it is.
        for network, reason in sorted(listed, key=_place):
            first, last = _span(network)
            if not self._lasts or first > self._lasts[-1]:
                self._firsts.append(first)
                self._lasts.append(last)
                self._said.append(f"{reason}: {network}")

    def touching(self, network: Network) -> str | None:
        """Return what a listed network is that has an address in common with `network`."""
        first, last = _span(network)
        at = bisect_left(self._lasts, first)
        if at < len(self._lasts) and self._firsts[at] <= last:
            return self._said[at]
        return None


class NeverBlock:
    """The list, by source of each network, so that the reason can be told."""

    def __init__(
        self, others: Mapping[str, Iterable[Network]], *, always: Mapping[str, str] = ALWAYS
    ) -> None:
        """`others`: networks by what they are (`home network`, `NEVER_BLOCK`, `the firewall`).

        `always`: what each of the built-in networks is.
        """
        self._always = always
        self._others = {why: tuple(dict.fromkeys(networks)) for why, networks in others.items()}
        self.networks: tuple[tuple[Network, str], ...] = ()
        """Each network and what it is; another tuple each time the list has grown."""
        self._build()

    def add(self, reason: str, networks: Iterable[Network]) -> None:
        """Take more networks in, such as those learned from the firewall."""
        known = self._others.get(reason, ())
        all_of_them = tuple(dict.fromkeys((*known, *networks)))
        if len(all_of_them) > len(known):
            self._others[reason] = all_of_them
            self._build()

    def without(self, *reasons: str) -> NeverBlock:
        """Return a list without what was listed for these reasons; the built-in part stays."""
        kept = {name: found for name, found in self._others.items() if name not in reasons}
        return NeverBlock(kept, always=self._always)

    def reason(self, target: Target) -> str | None:
        """Return why the target is never blocked, or None where it may be.

        A network is refused where it holds, or lies in, any part of the list.
        """
        network = ip_network(target)
        if isinstance(network, IPv4Network):
            return self._ipv4.touching(network)
        said = (self._ipv4.touching(carried) for carried in _carried(network))
        return self._ipv6.touching(network) or next(filter(None, said), None)

    def reason_for_text(self, text: str) -> str | None:
        """As `reason`, for the text of an address or a network. Raises ValueError for others."""
        return self.reason(parse_target(text))

    def _build(self) -> None:
        builtin = ((ip_network(network), reason) for network, reason in self._always.items())
        others = ((n, reason) for reason, networks in self._others.items() for n in networks)
        self.networks = tuple(dict.fromkeys((*builtin, *others)))
        self._ipv4 = _Index(entry for entry in self.networks if entry[0].version == 4)  # noqa: PLR2004 - IPv4
        self._ipv6 = _Index(entry for entry in self.networks if entry[0].version == 6)  # noqa: PLR2004 - IPv6


def _carried(network: IPv6Network) -> list[IPv4Network]:
    """Return the IPv4 networks that an IPv6 network stands for, wholly or in part."""
    return [carrier.within(network) for carrier in _CARRIERS if network.overlaps(carrier.network)]


def _span(network: Network) -> tuple[int, int]:
    """Return the first and the last address as numbers."""
    first = int(network.network_address)
    return first, first + network.num_addresses - 1


def _place(entry: tuple[Network, str]) -> tuple[int, int]:
    """Return the order in which a network comes before all those inside it."""
    return int(entry[0].network_address), entry[0].prefixlen
