"""Who is at home: the networks that are protected, and one spelling for each address."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ai_suricata.core.address import Address, Network, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterable


_BROADCAST = 255  # the last byte of the broadcast address of most networks


class Party(NamedTuple):
    """One side of an event."""

    address: str
    """Canonical text."""
    home: bool
    group: bool
    """Multicast, broadcast or unspecified: nobody who could answer."""
    digest: int
    """A hash of the address that is the same in every process, for the sketches."""


class HomeNetwork:
    """The protected networks, with a bounded memory of the addresses that were asked for."""

    def __init__(self, networks: Iterable[Network]) -> None:
        """`networks`: HOME_NET, and the addresses of this machine."""
        self.networks = tuple(networks)
        self.party = lru_cache(maxsize=1 << 18)(self._party)

    def contains(self, address: Address) -> bool:
        """Whether the address is at home."""
        return any(
            address.version == network.version and address in network for network in self.networks
        )

    def _party(self, text: str) -> Party | None:
        """Describe an address as an event writes it, or return None where it is none."""
        try:
            address = parse_address(text)
        except ValueError:
            return None
        home = self.contains(address)
        group = address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255"
        if home and address.version == 4 and address.packed[-1] == _BROADCAST:  # noqa: PLR2004 - IPv4
            group = True
        return Party(str(address), home, group, zlib.crc32(address.packed))
