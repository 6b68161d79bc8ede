"""Lines whose sender can't be made to wait: past the buffer they are dropped and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_suricata.source.base import Losses
    from ai_suricata.source.inbox import Inbox

QUEUE_FULL, STOPPED = "queue_full", "stopped"

_log = structlog.get_logger(__name__)


class Overflow:
    """Puts lines into an inbox as long as there is room. Says when that begins to fail."""

    def __init__(self, name: str, inbox: Inbox, losses: Losses) -> None:
        """`name`: of the sender, for the log."""
        self._name = name
        self._inbox = inbox
        self._losses = losses
        self._dropped = 0  # since it was told that lines are dropped

    def offer(self, lines: Iterable[bytes]) -> None:
        """Put each line into the inbox, or drop and count it."""
        for line in lines:
            if not self._inbox.offer(line):
                self._drop()
            elif self._dropped and self._inbox.is_half_empty:
                self._tell_end()

    def lose_rest(self, elsewhere: int = 0) -> None:
        """Count the lines that wait and that nobody asks for any more, overlong ones among them.

        `elsewhere`: how many wait outside the inbox.
        """
        rest = self._inbox.take_batch(len(self._inbox))
        waiting = 0 if rest is None else len(rest.lines) + sum(rest.rejected.values())
        lost = waiting + elsewhere
        if lost:
            self._losses.lines[STOPPED] += lost
            _log.warning("lines were received and not analysed: stopped", lines=lost)

    def _drop(self) -> None:
        if not self._dropped:
            _log.warning(
                "lines are dropped: they arrive faster than they are analysed; raise "
                "EVE_BUFFER_BYTES for a burst, or let Suricata log fewer kinds of events",
                source=self._name,
            )
        self._dropped += 1
        self._losses.lines[QUEUE_FULL] += 1

    def _tell_end(self) -> None:
        _log.warning("no more lines are dropped", source=self._name, dropped=self._dropped)
        self._dropped = 0
