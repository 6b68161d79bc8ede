"""Innocent neighbours: whom the block of a whole network would hurt."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.address import parse_address
from ai_suricata.core.schema import INDEX
from ai_suricata.features.derive import derive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ai_suricata.core.address import Network
    from ai_suricata.features.table import Table

_PROVEN = INDEX["proven_flows"]


class Bystanders:
    """Looks for strangers in a network who talk to us and do no harm."""

    def __init__(self, table: Table, harmless: float) -> None:
        """`harmless`: score, 0..1, below which an address is innocent."""
        self._table = table
        self.harmless = harmless

    def __call__(self, network: Network) -> str | None:
        """Return an innocent address of the network, or None where none is known.

        Innocent is who completed a handshake lately (so it is no forged source), and scores low.
        """
        table = self._table
        found = [table.row_of[address] for address in self._known(network)]
        rows = np.array(found, dtype=np.int64)
        if not len(rows):
            return None
        real = derive(table.columns, rows)[:, _PROVEN] > 0
        low = table.columns.score[rows] < self.harmless
        innocent = rows[real & low]
        return table.addresses[int(innocent[0])] if len(innocent) else None

    def _known(self, network: Network) -> Iterator[str]:
        """Yield the addresses of the network that have a row."""
        if isinstance(network, IPv4Network):
            yield from (text for text in map(str, network) if text in self._table.row_of)
            return
        # Canonical texts of one /64 begin alike; parsing all that is known would take too long.
        begin = str(network.network_address).partition("::")[0]
        yield from _inside(network, (a for a in self._table.row_of if a.startswith(begin)))


def _inside(network: Network, addresses: Iterable[str]) -> Iterator[str]:
    return (text for text in addresses if parse_address(text) in network)
