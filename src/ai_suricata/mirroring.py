"""Hands the mirror what it lacks of the table, and the table what others have stored.

The mirror writes in its own time; nothing here waits for a server that is away.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_suricata.core.position import Position
    from ai_suricata.features.extract import Extractor, Parties
    from ai_suricata.state.base import Fetched
    from ai_suricata.state.mirror import Mirror

log = structlog.get_logger(__name__)

MOST_SHARED = 8192
"""Rows that the mirror is handed at once: more would hold up the loop, and could take longer than
an answer may. After an outage the rest follows as soon as these are written; the position goes with
the first part, which matters only where STATE_DIR is lost before the last."""
_SETTLE = 5.0  # seconds


class Mirroring:
    """Between one table and one mirror."""

    def __init__(self, extractor: Extractor, mirror: Mirror) -> None:
        """`mirror`: where behaviour is shared."""
        self.behind = False
        """Whether the mirror lacks more than it was handed last."""
        self._extractor = extractor
        self._mirror = mirror

    async def meet(self, parties: Iterable[Parties | None]) -> bool:
        """Join what is stored of owners who are new here; return whether the table changed."""
        self._extractor.table.settle(self._mirror.confirmed)
        unknown = self._extractor.unknown(parties)
        return self._adopt(await self._mirror.fetch(unknown))

    async def share(self, position: Position) -> bool:
        """Hand the mirror what it lacks, if it is ready; return whether the table changed."""
        table = self._extractor.table
        adopted = self._adopt(await self._mirror.missed(table.holds))
        table.settle(self._mirror.confirmed)
        since = self._mirror.wants()
        if since is not None and since < table.clock:
            changes = self._extractor.changes(position, since, facts=True, most=MOST_SHARED)
            self.behind = changes.clock < table.clock
            self._mirror.offer(changes)
        return adopted

    async def finish(self, position: Position) -> None:
        """Give the mirror the time to write the last changes, if it is there at all."""
        if not self._mirror.up:
            return
        try:
            async with asyncio.timeout(_SETTLE):
                await self._mirror.free()
                await self.share(position)
                while self.behind and self._mirror.up:
                    await self._mirror.free()
                    await self.share(position)
                    await asyncio.sleep(_SETTLE / 100)
                await self._mirror.free()
        except TimeoutError:
            log.warning("the last changes are not in Redis yet; the next start writes them")

    def _adopt(self, fetched: Fetched | None) -> bool:
        """Join to the table what was stored elsewhere before these addresses were seen here."""
        if fetched is None:
            return False
        table = self._extractor.table
        table.adopt(fetched.own, foreign=False)
        table.adopt(fetched.foreign, foreign=True)
        return True
