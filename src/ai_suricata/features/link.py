"""What Suricata's byte counters hold besides the IP packet: the header of a frame, or nothing.

A flow's bytes are those of the packets as they were captured. On an Ethernet card each has 14 bytes
of header and is padded to 60 (IEEE 802.3, 3.2.8), on a tunnel or a raw socket it has neither; EVE
does not say which. Sizes do: headers of IPv4 and TCP are whole words of four bytes (RFC 791, 3.1;
RFC 9293, 3.1), so that without data a size divides by four where nothing goes before it, and
leaves two where 14 bytes do; below 54 bytes there is no frame that holds TCP over IPv4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FRAME_HEADER = 14
"""Bytes of an Ethernet header. A VLAN tag of four more is not told apart."""
MOST_VOTES = 32
"""Packets that speak for one kind in a row, beyond which more of them change nothing."""
_LEAST_IPV4, _LEAST_IPV6 = 40, 60
"""Bytes of a TCP segment without options or data (RFC 8200, 3; RFC 9293, 3.1)."""
_LONGEST_OPTIONS = 40
_WORD = 4
_BARE_IPV4 = frozenset({40, 44, 54, 58})
_BARE_IPV6 = frozenset({60, 64, 74, 78})
"""Bytes of a SYN without options or with its segment size alone, without and with a header.
Operating systems ask for more (RFC 7323, RFC 2018), which makes it 48 to 64, or 62 to 78."""
_PADDED = frozenset({60, 64})
"""A short frame, without and with a VLAN tag; without frames the same is an ordinary SYN."""


class Link:
    """Learns from single packets whether they are frames: what most of the latest ones say."""

    def __init__(self) -> None:
        self._votes = 0

    @property
    def header(self) -> int:
        """Bytes of each packet that are not IP; 0 also where nothing is known."""
        return FRAME_HEADER if self._votes > 0 else 0

    def saw(self, size: int, *, ipv6: bool) -> None:
        """Take note of the size of a TCP packet that most likely holds no data."""
        least = _LEAST_IPV6 if ipv6 else _LEAST_IPV4
        beyond = size - least - FRAME_HEADER
        if -FRAME_HEADER <= beyond < 0:
            self._votes = max(self._votes - 1, -MOST_VOTES)
        elif 0 <= beyond <= _LONGEST_OPTIONS and beyond % _WORD == 0:
            self._votes = min(self._votes + 1, MOST_VOTES)

    def is_bare(self, size: int, *, ipv6: bool) -> bool:
        """Whether a SYN of so many bytes is one as scanners build it.

        60 bytes are Linux' own SYN, or a frame that was padded: while it is not known which, they
        say nothing.
        """
        if ipv6:
            return size in _BARE_IPV6
        return size in _BARE_IPV4 or (self._votes > 0 and size in _PADDED)

    def export(self) -> tuple[str, ...]:
        """Return what is known, for a snapshot."""
        return (str(self._votes),)

    def restore(self, stored: Iterable[str]) -> None:
        """Take over what a snapshot holds; a text of another version is left out."""
        for text in stored:
            try:
                votes = int(text)
            except ValueError:
                continue
            self._votes = min(max(votes, -MOST_VOTES), MOST_VOTES)
