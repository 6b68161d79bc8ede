"""Saying that lines were lost: counted by reason, and told in one line of the log each time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from ai_suricata.source.base import Losses

TRUNCATED = "truncated"
"""A file was emptied in place, and no copy of it is there. Counted each time, also where all that
it was last seen to hold had been read: what was written since then nobody can know."""

DELETED = "deleted"
"""A file of an earlier run that had not been read to its end is gone."""

COMPRESSED = "compressed"
"""A compressed file is damaged or cut off, or in a format that the standard library can't read."""

GIVEN_UP = "given_up"
"""More deleted files than may be kept open were still being read."""

_log = structlog.get_logger(__name__)


class LossLog:
    """The losses of one followed path."""

    def __init__(self, path: str, losses: Losses) -> None:
        """`losses`: where they are counted, with those of other paths."""
        self._path = path
        self._losses = losses

    def tell(
        self, reason: str, event: str, level: int = logging.WARNING, **facts: int | str | None
    ) -> None:
        """Count one occasion, and log `event` with what is known of it."""
        self._losses.occasions[reason] += 1
        _log.log(level, event, path=self._path, reason=reason, **facts)
