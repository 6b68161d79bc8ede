"""The files behind one followed path: the one that stands there now, and those it has replaced."""

from __future__ import annotations

import logging
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ai_suricata.source.file.backlog import Backlog
from ai_suricata.source.file.candidate import Candidate
from ai_suricata.source.file.ending import Ending
from ai_suricata.source.file.fileset import FileSet
from ai_suricata.source.file.idle import Idle
from ai_suricata.source.file.log import LogFile, end_of_last_line
from ai_suricata.source.file.loss import LossLog
from ai_suricata.source.file.obstacle import describe
from ai_suricata.source.file.truncation import Truncation
from ai_suricata.source.identity import inode_of

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.base import Losses
    from ai_suricata.source.file.reader import Reader
    from ai_suricata.source.file.registry import Registry
    from ai_suricata.source.identity import Inode

ABSENT_LOOK = 1.0
"""Seconds between two looks for rotated files while nothing stands at the path."""

_log = structlog.get_logger(__name__)


class Chain:
    """Reads one path across rename, re-creation and truncation."""

    def __init__(  # noqa: PLR0913 - what the tail shares between paths, and two facts of this one
        self,
        path: str,
        settings: SourceSettings,
        registry: Registry,
        losses: Losses,
        *,
        globbed: bool,
        at_end: bool,
    ) -> None:
        """`globbed`: a glob has found the path. `at_end`: a file that is there now begins there."""
        self.path = path
        self.obstacle: str | None = None
        """Why the path can't be read, in words."""
        self.rotations = 0
        self.is_settled = False
        """Whether all rotated files of before are known, so that any other one is new."""
        log = LossLog(path, losses)
        self.files = FileSet(path, settings.max_line_bytes, registry, log)
        self.backlog = Backlog(path, self.files, registry, log)
        self._truncation = Truncation(self.files, self.backlog, registry, log)
        self.is_rotation = False
        """Whether a rotation has made the path of another one that is followed too."""
        self._idle = Idle(path, registry)
        self._ending = Ending(self.files, self.backlog, self._idle, settings.rotation_grace)
        self._settings = settings
        self._registry = registry
        self._globbed = globbed
        self._at_end = at_end
        self._absent_since: float | None = None
        self._search_at = 0.0
        self._lack: str | None = None

    @property
    def position(self) -> tuple[FilePosition, ...]:
        """The last finished files, then the places in all that are being read, oldest first."""
        idle = () if self._idle.position is None else (self._idle.position,)
        current = self.files.current
        older = (file.position for file in self.files if file is not current)
        newest = () if current is None else (current.position,)
        done = self._registry.history.of(self.path)
        return (*done, *older, *self.backlog.positions, *newest, *idle)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read and nothing to look for."""
        return not (self.files or self.backlog.positions or self._idle.position)

    @property
    def is_new(self) -> bool:
        """Whether whatever appears at the path was written since it is followed."""
        return not self._at_end

    @property
    def is_awaited(self) -> bool:
        """Whether a file may come back to the path: what rotations have made of it is still there.

        Forgotten before that, all that has been read of those would come again.
        """
        if self.is_rotation or not self._registry.history.of(self.path):
            return False
        return self.backlog.has_rotated

    def resume(self, positions: Sequence[FilePosition], now: float, *, sparing: bool) -> None:
        """Take up the files of an earlier run where it left them, wherever they are now.

        `sparing`: a file that has not grown is opened only when it does.
        """
        for position in positions:
            if position.done:
                self._registry.history.add(self.path, position)
        unread = [position for position in positions if not position.done]
        if sparing and len(unread) == 1 and self._idle.is_unchanged(unread[0]):
            self._idle.doze(unread[0])
        else:
            self.backlog.expect(unread)
            self.backlog.open(now)

    def settle(self, *, is_first: bool) -> None:
        """From now on look for rotated files that nobody has read.

        `is_first`: those that are there already are from before the path was followed.
        """
        try:
            if is_first:
                self.backlog.note()
        except OSError:  # the folder can't be listed yet: asked again later
            return
        self.is_settled = True

    def look(self, now: float) -> None:
        """See what stands at the path now, and whether it is still the file that is being read."""
        self._lack = None
        try:
            self._check(now)
            self._wake(now)
            self._compare(Path(self.path).stat(), now)
        except OSError as error:
            self._meet(error, now)
        self._tell(self._lack or self.backlog.obstacle)

    def take(self, room: int, now: float) -> list[bytes]:
        """Return the next whole lines, at most `room`: replaced files come first."""
        try:
            return self.files.take(room, now, hold=self.backlog.is_held)
        except OSError as error:  # a broken disk or a lost mount: tried again at the next look
            self._tell(describe(self.path, error))
            return []

    def let_go(self, now: float, room: int) -> list[bytes]:
        """Close the files that are over; return their unfinished last lines, at most `room`.

        To be called when everything that waited has been taken.
        """
        absent_since = self._absent_since if self._globbed else None
        lines = self._ending.finish(now, room, absent_since)
        if self._globbed and self._absent_since is None:
            self._ending.rest(now, is_rotation=self.is_rotation)
        return lines

    def close(self) -> None:
        """Close all files; the position stays."""
        unread = [position for position in self.position if not position.done]
        self._idle.position = None
        self.backlog.positions = tuple(unread)
        self.files.close()

    def _check(self, now: float) -> None:
        """Begin again in every file that was truncated in place, whatever its name is now."""
        for file in list(self.files):
            if isinstance(file, LogFile) and not file.is_intact():
                self.rotations += 1
                self._truncation.begin_anew(file, now)
                file.is_copy = self._is_copy(file.head)
                self._catch_up(file.inode, now)

    def _compare(self, status: os.stat_result, now: float) -> None:
        self._absent_since = None
        if self._idle.position is not None:
            return
        self.backlog.open(now)
        current = self.files.current
        if current is None or current.inode != inode_of(status):
            self._change(status, now)

    def _change(self, status: os.stat_result, now: float) -> None:
        """Turn to another file that stands at the path."""
        inode = inode_of(status)
        reader = self._registry.reader(inode)
        if reader is not None and reader in self.files:
            self.rotations += self.files.current is not None  # otherwise found on resuming
            self._catch_up(inode, now)
            self._turn_to(reader, now)
        elif self._registry.is_taken(inode):  # another path leads to the same file, and has it
            self.files.retire(now)
            self._lose(now)
        elif not stat.S_ISREG(status.st_mode):
            self._lack = f"{self.path} is not a regular file: name the file that Suricata writes"
        elif self._globbed and not status.st_size:
            self._at_end = False  # perhaps a copy whose first bytes are still to come
        else:
            self._open(now)

    def _open(self, now: float) -> None:
        """Begin with the file that has appeared at the path."""
        candidate = Candidate.open(self.path, packing="")
        if self._registry.is_taken(candidate.inode):
            candidate.close()
            return  # replaced between the two calls: the next look sees what by
        if self.backlog.positions or any(not file.retired for file in self.files):
            self.rotations += 1
            _log.info("file was rotated", path=self.path)
        self.files.retire(now)
        self.backlog.expect(self.files.crowd_out())  # older than what is discovered
        self._catch_up(candidate.inode, now)
        before = self._finished(candidate)
        is_copy = before is None and self._is_copy(candidate.head)
        file = self.files.open(candidate, self._beginning(candidate, before), now)
        if isinstance(file, LogFile):
            file.is_copy = is_copy
        self._turn_to(file, now)

    def _finished(self, candidate: Candidate) -> FilePosition | None:
        """Return where the file was left when it was finished under another path."""
        history = self._registry.history
        if self._globbed:
            return history.match(candidate, self.path)
        return history.match_inode(candidate)

    def _is_copy(self, head: bytes) -> bool:
        return self._globbed and self._registry.is_copy(self.path, head)

    def _beginning(self, candidate: Candidate, before: FilePosition | None) -> int:
        """Return the offset from which to read: where it was finished `before`, if it was."""
        at_end, self._at_end = self._at_end, False
        if before is not None:
            return before.offset
        return (
            end_of_last_line(candidate.descriptor, self._settings.max_line_bytes) if at_end else 0
        )

    def _catch_up(self, inode: Inode | None, now: float) -> None:
        """Find what was created and rotated since the path was last looked at."""
        if self.is_settled:
            self.rotations += self.backlog.discover(inode, now)
            self.backlog.open(now)

    def _turn_to(self, file: Reader, now: float) -> None:
        self.files.promote(file, now)
        self.backlog.expect(self.files.crowd_out())
        self._lose(now)

    def _lose(self, now: float) -> None:
        """Give up the files of an earlier run that are not there; of dated files some always go."""
        self.backlog.give_up(now, logging.INFO if self._globbed else logging.WARNING)

    def _wake(self, now: float) -> None:
        """Open an idle file again once anything about it has changed."""
        place = self._idle.wake()
        if place is not None:
            self.backlog.expect([place])
            self.backlog.open(now)

    def _meet(self, error: OSError, now: float) -> None:
        """Take note that the path can't be read."""
        if not isinstance(error, FileNotFoundError):
            self._lack = describe(self.path, error)
            return
        self._at_end = False  # what appears from now on is new
        self._absent_since = now if self._absent_since is None else self._absent_since
        if now >= self._search_at:
            self._search_at = now + ABSENT_LOOK
            self._catch_up(None, now)
        if not self._globbed:
            self._lack = describe(self.path, error)
        elif Path(self.path).parent.is_dir():  # not merely a mount that is not there
            self._lose(now)

    def _tell(self, obstacle: str | None) -> None:
        """Say what is missing, and that it is missing no more, once each."""
        if obstacle == self.obstacle:
            return
        if obstacle is None:
            _log.info("file can be read now", path=self.path)
        else:
            _log.warning("waiting for a file", path=self.path, reason=obstacle)
        self.obstacle = obstacle
