"""Which of some networks holds an address: one lookup for each prefix length that there is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ai_suricata.core.address import parse_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_suricata.core.address import Network


class Cover:
    """Networks by their texts."""

    def __init__(self) -> None:
        """Hold none."""
        self._texts: dict[Network, str] = {}
        self._lengths: Counter[tuple[int, int]] = Counter()
        """How many networks there are of each (IP version, prefix length)."""

    def add(self, text: str) -> None:
        """Take in the network; ValueError where the text is none."""
        network = parse_network(text)
        if network not in self._texts:
            self._texts[network] = text
            self._lengths[network.version, network.prefixlen] += 1

    def discard(self, text: str) -> None:
        """Let go of the network, if it is here."""
        network = parse_network(text)
        if self._texts.pop(network, None) is not None:
            self._lengths[network.version, network.prefixlen] -= 1

    def holding(self, text: str) -> Iterator[str]:
        """Yield the texts of the networks in which the address or network lies, or which it is."""
        if not self._texts:
            return
        target = parse_network(text)
        for (version, length), count in self._lengths.items():
            if count and version == target.version and length <= target.prefixlen:
                found = self._texts.get(target.supernet(new_prefix=length))
                if found is not None:
                    yield found
