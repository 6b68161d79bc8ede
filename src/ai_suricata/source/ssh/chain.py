"""The files behind a followed remote path: the one that stands there now, and its predecessors."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from ai_suricata.source.line import Rejects
from ai_suricata.source.ssh.block import TruncatedError
from ai_suricata.source.ssh.folder import open_found, rotated
from ai_suricata.source.ssh.log import RemoteArchive
from ai_suricata.source.ssh.past import Past, is_same
from ai_suricata.source.ssh.session import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.core.position import Place
    from ai_suricata.source.base import Losses
    from ai_suricata.source.ssh.folder import Found
    from ai_suricata.source.ssh.log import RemoteLog
    from ai_suricata.source.ssh.session import Session

LOOK_INTERVAL = 1.0
"""Seconds between two looks at which file stands at the path."""

ABSENCE = 600.0
"""Seconds for which a file that only a glob had named is read on once its path is gone."""

SURVEYS = 2
"""Looks at the folder after a file has appeared at the path. One is not enough: while it is taken a
file may be renamed or compressed, and is then listed under neither name."""

MOST_LOGS = 128
"""Most rotated files of one path that are open to be read; the oldest beyond them are given up."""

MOST_LOOKED_AT = 512
"""Most rotated files that are opened to see whether an earlier run has read them."""

_log = structlog.get_logger(__name__)


class RemoteChain:
    """Reads one remote path across rename, re-creation, truncation and lost connections.

    What waits for an answer (`refresh`, `fill`) hands out nothing, and what hands out (`take`,
    `let_go`) does not wait: a connection that is lost in between costs no line.
    """

    def __init__(
        self,
        path: str,
        settings: SourceSettings,
        losses: Losses,
        *,
        known: Sequence[Place] | None,
        globbed: bool = False,
    ) -> None:
        """`known`: where an earlier run stood, None where there was none. `globbed`: by a glob."""
        self.path = path
        self.globbed = globbed
        self.obstacle: str | None = None
        """Why the path can't be read, in words."""
        self.rotations = 0
        self.logs: list[RemoteLog] = []
        """The files that are being read, oldest first."""
        self._past = Past(path, known or ())
        self._spill: list[bytes] = []  # read before their file was truncated: they go first
        self._settings = settings
        self._losses = losses
        self._current: RemoteLog | None = None
        self._closing: list[RemoteLog] = []
        self._lag_before = 0
        self._surveys = 0
        self._is_followed = known is not None
        self._at_end = known is None and settings.start == "end"
        self._looked: float | None = None
        self._absent_since: float | None = None
        self._rejects = Rejects()

    @property
    def position(self) -> tuple[Place, ...] | None:
        """The places in all files that are being read, oldest first; None before the first look."""
        return self._past.places(self.logs) if self._is_followed else None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read and nothing to look for."""
        return not (self.logs or self._spill or self._past.expected)

    def may_rest(self, written: int) -> bool:
        """Whether its files can be closed without a loss, to be read on from `position` later.

        `written`: when the file at the path was changed last. What can't be read may rest as well.
        """
        if self.obstacle is not None:
            return True
        if self._current is None or self._surveys or self._past.expected or self._spill:
            return False
        is_read = self.logs == [self._current] and self._current.drained and not self._rejects.count
        return is_read and written <= self._current.status.written

    async def close(self) -> None:
        """Give all handles back; raises nothing where the session is lost."""
        for log in self.logs:
            await log.close()
        await self._close_finished()

    @property
    def lag(self) -> int:
        """How many bytes are known to be written and were not handed out.

        While there is no connection: how many were known when there was one.
        """
        return self._lag_before or sum(log.lag for log in self.logs)

    async def refresh(self, session: Session, now: float) -> None:
        """Learn what was written, and now and then what stands at the path.

        Raises SessionLostError; what stands in the way of this path alone is told.
        """
        try:
            await self._close_finished()
            is_due = self._looked is None or now - self._looked >= LOOK_INTERVAL
            await self._measure(session, now, closely=is_due)
            if is_due:
                await self._look(session, now)
                self._looked = now
        except TruncatedError:  # between two requests: looked at again with the next turn
            self._looked = None
        except FileNotFoundError:
            self._looked = now
            await self._miss(session, now)
        except OSError as error:
            self._looked = now
            self._tell(describe(self.path, error))

    async def fill(self, session: Session, room: int, budget: int, now: float) -> None:
        """Read until `room` lines wait, or `budget` bytes were read; raises SessionLostError."""
        room -= len(self._spill)
        for log in list(self.logs):
            if room <= 0 or budget <= 0:
                return
            try:
                budget = await self._fill_one(session, log, room, budget, now)
            except OSError as error:  # a broken disk: tried again with the next turn
                self._tell(describe(self.path, error))
            room -= log.lines.waiting

    def take(self, room: int, now: float) -> list[bytes]:
        """Return at most `room` of the lines that were read: replaced files come first."""
        lines = self._spill[:room]
        del self._spill[:room]
        for log in self.logs:
            if len(lines) >= room:
                break
            fresh = log.lines.take(room - len(lines))
            if fresh:
                log.last_line = now
                lines += fresh
        return lines

    def take_rejected(self) -> tuple[int, list[bytes]]:
        """Return how many lines were too long since this was last asked, and some beginnings."""
        for log in self.logs:
            self._rejects.collect(log.lines)
        return self._rejects.take()

    def let_go(self, now: float, room: int) -> list[bytes]:
        """Finish the files that are over; return their unfinished last lines, at most `room`.

        To be called when everything that waited has been taken.
        """
        lines: list[bytes] = []
        for log in list(self.logs):
            if len(lines) < room and self._is_over(log, now):
                lines += log.lines.take_rest()
                self._finish(log)
        return lines

    def disconnect(self) -> None:
        """Note that all handles are gone; what was not handed out is read again."""
        for log in self.logs:
            self._rejects.collect(log.lines)
            log.abandon()
        self._lag_before = self.lag
        self._past.expect(self.logs)
        self.logs, self._closing, self._current, self._looked = [], [], None, None

    async def _close_finished(self) -> None:
        while self._closing:
            await self._closing.pop().close()

    async def _measure(self, session: Session, now: float, *, closely: bool) -> None:
        """Learn how long those files are now whose known bytes were read.

        `closely`: whether they still begin as they did, too.
        """
        for log in list(self.logs):
            try:
                if log.drained:
                    await log.measure()
                if closely:
                    await log.read_head()
            except TruncatedError:
                await self._begin_again(session, log, now)
        self._advance()

    async def _fill_one(
        self, session: Session, log: RemoteLog, room: int, budget: int, now: float
    ) -> int:
        try:
            return await log.fill(room, budget)
        except TruncatedError:
            await self._begin_again(session, log, now)
            return budget

    async def _begin_again(self, session: Session, log: RemoteLog, now: float) -> None:
        """Read a file from its start that was truncated in place, and its copy, if there is one."""
        self._spill += log.lines.take(log.lines.waiting)
        before, unread = log.position, log.lag
        await log.begin_again()
        self.rotations += 1
        self._past.expected.append(before)
        # Without a right to the folder there is no copy; truncated once more, it is seen again.
        with suppress(OSError, TruncatedError):
            await self._survey(session, now)
        if before not in self._past.expected:
            return
        self._past.expected.remove(before)
        self._losses.occasions["truncated"] += 1
        _log.warning(
            "file was truncated: lines that were not read yet are lost",
            path=self.path,
            read=before.offset,
            unread_at_least=unread,
        )

    async def _look(self, session: Session, now: float) -> None:
        """See which file stands at the path, and open those that did while nobody looked."""
        if await self._meet(session, now):
            self._surveys = SURVEYS
        self._lag_before = 0
        self._absent_since = None
        if self._surveys and await self._survey(session, now):
            self._surveys -= 1
        self._tell(None)
        self._is_followed, self._at_end = True, False
        self._advance()
        if not self._surveys:
            self._past.give_up(self._losses)

    async def _meet(self, session: Session, now: float) -> bool:
        """Open what stands at the path; return whether it is another file than before."""
        found = await open_found(session, self.path)
        try:
            if self._current is None or not await is_same(self._current, found):
                await self._turn_to(found, now)
                return True
        except (OSError, TruncatedError):
            await found.file.close()
            raise
        await found.file.close()
        return False

    async def _turn_to(self, found: Found, now: float) -> None:
        """Read the file that has appeared at the path."""
        offset = self._past.claim(found)
        if self._current is not None or (offset is None and self._past.expected):
            self.rotations += 1
            _log.info("file was rotated", path=self.path)
        if offset is None and self._at_end:
            offset = await found.end_of_last_line(self._settings.max_line_bytes)
        for log in self.logs:
            log.retire(now)
        self._current = found.log(offset or 0, self._settings.max_line_bytes)
        self.logs.append(self._current)

    async def _survey(self, session: Session, now: float) -> bool:
        """Open the rotated files that were not read to their end; they come before the current.

        Returns whether all were there that the folder had named.
        """
        is_complete = True
        place = len(self.logs) - (self._current is not None)
        for path, status in (await rotated(session, self.path))[:MOST_LOOKED_AT]:
            if not (self._is_recent(status.written) or self._past.expected):
                break
            try:
                await self._consider(await open_found(session, path), place, now)
            except FileNotFoundError:  # renamed, compressed or deleted since the folder was listed
                is_complete = False
            except OSError:  # what can't be read is no worse than what is not there
                continue
        self._limit_logs()
        return is_complete

    async def _consider(self, found: Found, place: int, now: float) -> None:
        """Read a rotated file, as the log at that place, or leave it alone."""
        try:
            offset = await self._beginning(found)
        except (OSError, TruncatedError):
            await found.file.close()
            raise
        if offset is None:
            await found.file.close()
        else:
            log = found.log(offset, self._settings.max_line_bytes)
            log.retire(now)
            self.logs.insert(place, log)

    async def _beginning(self, found: Found) -> int | None:
        """Return from where a rotated file is to be read, None where it is not."""
        for log in self.logs:
            if await is_same(log, found):
                return None
        offset = self._past.claim(found)
        if offset is not None:
            return offset
        finished = self._past.finished_at(found)
        if finished is not None:  # a line that was written after the grace is worth as much
            return finished if found.has_beyond(finished) else None
        if not self._is_recent(found.status.written):
            return None
        if self._past.since is None:  # a first start: what was rotated before is not ours
            self._past.finish(found.log(found.most_bytes, self._settings.max_line_bytes))
            return None
        self.rotations += 1
        return 0

    def _is_recent(self, written: int) -> bool:
        if self._past.since is None and self._current is not None:
            return written >= self._current.status.written
        return self._past.is_recent(written)

    def _advance(self) -> None:
        """Take note of how far the current file has come, once its predecessors are known."""
        if self._current is not None and (self._past.since is None or not self._surveys):
            self._past.since = self._current.status.written

    async def _miss(self, session: Session, now: float) -> None:
        """Take note that nothing stands at the path; its predecessors are read all the same."""
        self._absent_since = now if self._absent_since is None else self._absent_since
        self._is_followed, self._at_end = True, False  # what appears from now on is new
        if not self.globbed:
            self._tell(f"{self.path} does not exist yet on the firewall")
        if self._past.expected:
            with suppress(OSError):  # the folder is not there either
                await self._survey(session, now)

    def _limit_logs(self) -> None:
        """Give up the oldest files where too many wait to be read."""
        for log in self.logs[: max(0, len(self.logs) - MOST_LOGS)]:
            _log.warning(
                "too many rotated files: the oldest is given up",
                path=self.path,
                kept=MOST_LOGS,
                unread_bytes=log.lag,
            )
            self._losses.occasions["given_up"] += 1
            self._finish(log)

    def _is_over(self, log: RemoteLog, now: float) -> bool:
        """Whether nobody will write to the file any more, as far as one can know."""
        quiet = now - log.last_line
        if log.over:
            return True
        if log.retired:
            return log.drained and quiet >= self._settings.rotation_grace
        if not self.globbed or self._absent_since is None:
            return False
        return log.drained and min(quiet, now - self._absent_since) >= ABSENCE

    def _finish(self, log: RemoteLog) -> None:
        """Be done with a file; remember it as long as it could be taken for a new one."""
        self._rejects.collect(log.lines)
        self.logs.remove(log)
        self._past.finish(log)
        self._closing.append(log)
        if log is self._current:
            self._current = None
        if isinstance(log, RemoteArchive) and log.is_damaged:
            _log.warning("a compressed file can't be read to its end", path=self.path)
            self._losses.occasions["compressed"] += 1

    def _tell(self, obstacle: str | None) -> None:
        """Say what is missing, and that it is missing no more, once each."""
        if obstacle == self.obstacle:
            return
        if obstacle is None:
            _log.info("file can be read now", path=self.path)
        else:
            _log.warning("waiting for a file", path=self.path, reason=obstacle)
        self.obstacle = obstacle
