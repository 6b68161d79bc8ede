"""Data ports that an FTP server has announced: a client asks for them because it was told to.

In passive mode the server opens a port for each transfer and names it in its reply (RFC 959, 4.1.2,
code 227; RFC 2428, code 229), which EVE does not repeat. Where such a connection fails, a firewall
stands before the data ports, and the client is not looking around.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.features.recency import Recency

if TYPE_CHECKING:
    from collections.abc import Iterable

ANNOUNCED = frozenset({"227", "229"})
"""Codes of the replies that name a port."""
MOST_CLIENTS = 1024
MOST_PORTS = 16
"""Announced ports of one client that wait for their connection: more can't hide behind them."""
_FIRST_PORT = 1024


class Passive:
    """Remembers how many announced ports each client has not asked for yet."""

    def __init__(self) -> None:
        self._waiting: Recency[str, int] = Recency(MOST_CLIENTS)

    def announced(self, client: str) -> None:
        """Take note that a server has named a port to this address."""
        self._waiting.put(client, min((self._waiting.get(client) or 0) + 1, MOST_PORTS))

    def is_meant(self, client: str, port: int) -> bool:
        """Whether a connection can be one that was announced; each announcement is for one."""
        waiting = self._waiting.get(client) or 0
        if waiting == 0 or port < _FIRST_PORT:
            return False
        self._waiting.put(client, waiting - 1)
        return True

    def export(self) -> tuple[str, ...]:
        """Return what is known, for a snapshot."""
        return self._waiting.export(lambda client, count: f"{count} {client}")

    def restore(self, stored: Iterable[str]) -> None:
        """Take over what a snapshot holds."""
        self._waiting.restore(stored, _read)


def _read(text: str) -> tuple[str, int]:
    count, client = text.split(" ", 1)
    return client, min(max(int(count), 0), MOST_PORTS)
