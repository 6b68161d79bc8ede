"""Who offers what: ports that have answered, at home and outside.

A closed port that somebody here offers is asked for by mistake or while a server is down; one that
nobody has ever offered is asked for by those who look around.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.features.recency import Recency

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_SERVICES = 1024
"""Ports that are remembered; the one that answered longest ago goes first."""

_Service = tuple[bool, bool, int]


class Services:
    """Remembers which (side, protocol, port) has answered."""

    def __init__(self) -> None:
        self._known: Recency[_Service, None] = Recency(MOST_SERVICES)

    def answered(self, port: int, *, home: bool, udp: bool) -> None:
        """Take note of an answer; `home`: of a host of the home network."""
        if port and (home or not udp):
            self._known.put((home, udp, port), None)

    def is_offered(self, port: int, *, home: bool, udp: bool) -> bool:
        """Whether anybody on that side has been seen to answer there.

        Port 0 counts as offered, and so does every UDP port outside: peers of games and of file
        sharing have one each, and many are gone.
        """
        return not port or (udp and not home) or (home, udp, port) in self._known

    def export(self) -> tuple[str, ...]:
        """Return what is known, for a snapshot."""
        return self._known.export(lambda key, _: f"{key[0]:d} {key[1]:d} {key[2]}")

    def restore(self, stored: Iterable[str]) -> None:
        """Take over what a snapshot holds."""
        self._known.restore(stored, _read)


def _read(text: str) -> tuple[_Service, None]:
    home, udp, port = map(int, text.split(" "))
    return (bool(home), bool(udp), port), None
