"""Data ports that an FTP server has announced: a client asks for them because it was told to.

In passive mode the server opens a port for each transfer and names it in its reply (RFC 959, 4.1.2,
code 227; RFC 2428, code 229). Where such a connection fails, a firewall stands before the data
ports, and the client is not looking around.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.core.timestamp import MICROSECONDS
from ai_suricata.features.recency import Recency

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_PORTS = 512
"""Announcements that are remembered; the one made longest ago goes first."""
_LONGEST = 600 * MICROSECONDS
"""How long a client may take to ask for the port."""

_Announced = tuple[str, str, int]


class Passive:
    """Remembers which server has named which port to which client, and when."""

    def __init__(self) -> None:
        self._known: Recency[_Announced, int] = Recency(MOST_PORTS)

    def announced(self, client: str, server: str, port: int, time: int) -> None:
        """Take note of a port; `time`: event time in microseconds."""
        self._known.put((client, server, port), time)

    def is_meant(self, client: str, server: str, port: int, time: int) -> bool:
        """Whether a connection that began at `time` goes to a port that was named to the client."""
        told = self._known.get((client, server, port))
        return told is not None and abs(time - told) <= _LONGEST

    def export(self) -> tuple[str, ...]:
        """Return what is known, for a snapshot."""
        return self._known.export(lambda key, time: f"{time} {key[2]} {key[0]} {key[1]}")

    def restore(self, stored: Iterable[str]) -> None:
        """Take over what a snapshot holds."""
        self._known.restore(stored, _read)


def _read(text: str) -> tuple[_Announced, int]:
    time, port, client, server = text.split(" ")
    return (client, server, int(port)), int(time)
