"""The files behind one followed path: the one that stands there now, and those it has replaced."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ai_suricata.source.file import end_of_last_line, open_regular
from ai_suricata.source.fileset import FileSet
from ai_suricata.source.identity import inode_of
from ai_suricata.source.missing import Missing
from ai_suricata.source.obstacle import describe
from ai_suricata.source.sibling import between, find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.file import LogFile
    from ai_suricata.source.registry import Registry

ABSENCE = 600.0
"""Seconds for which a renamed file that only a glob had named is read on without a successor."""

IDLE = 60.0
"""Seconds without a line after which a file that a glob named is closed until its size changes."""

_log = structlog.get_logger(__name__)


class Chain:
    """Reads one path across rename, re-creation and truncation."""

    def __init__(
        self,
        path: str,
        settings: SourceSettings,
        registry: Registry,
        *,
        globbed: bool,
        at_end: bool,
    ) -> None:
        """`globbed`: a glob has found the path. `at_end`: a file that is there now begins there."""
        self.path = path
        self.obstacle: str | None = None
        """Why the path can't be read, in words."""
        self.rotations = 0
        self.files = FileSet(path, settings.max_line_bytes, registry)
        self._current: LogFile | None = None
        self._missing = Missing(path, registry)
        self._idle: FilePosition | None = None
        """The place in a closed file, which is still the current one."""
        self._settings = settings
        self._registry = registry
        self._globbed = globbed
        self._at_end = at_end
        self._absent_since: float | None = None
        self._seen_ns = 0
        """Time of the current file's last change when it was last seen at the path."""

    @property
    def position(self) -> tuple[FilePosition, ...]:
        """The places in all files that are being read, oldest first."""
        idle = () if self._idle is None else (self._idle,)
        return (*self._missing.positions, *(file.position for file in self.files), *idle)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read and nothing to look for."""
        return not (self.files or self.files.spill or self._missing.positions or self._idle)

    @property
    def is_new(self) -> bool:
        """Whether whatever appears at the path was written since it is followed."""
        return not self._at_end

    def resume(self, positions: Sequence[FilePosition], *, sparing: bool = False) -> None:
        """Take up the files of an earlier run where it left them, wherever they are now.

        `sparing`: a file that has not grown is opened only when it does.
        """
        if sparing and len(positions) == 1 and self._is_unchanged(positions[0]):
            self._doze(positions[0])
        else:
            self._missing.expect(positions)
            self._search()

    def look(self, now: float) -> None:
        """See what stands at the path now, and whether it is still the file that is being read."""
        try:
            self._wake()
            self._compare(Path(self.path).stat(), now)
        except OSError as error:
            self._meet(error, now)

    def take(self, room: int, now: float) -> list[bytes]:
        """Return the next whole lines, at most `room`: replaced files come first."""
        try:
            return self.files.take(room, now)
        except OSError as error:  # a broken disk or a lost mount: tried again at the next look
            self._tell(describe(self.path, error))
            return []

    def let_go(self, now: float, room: int) -> list[bytes]:
        """Close the files that are over; return their unfinished last lines, at most `room`.

        To be called when everything that waited has been taken.
        """
        lines: list[bytes] = []
        for file in list(self.files):
            if len(lines) < room and self._is_over(file, now):
                lines += file.take_partial()
                self._finish(file)
        current = self._current
        if current is not None and self._is_quiet(current, now):
            self._finish(current)
            self._doze(current.position)
        return lines

    def close(self) -> None:
        """Close all files; the position stays."""
        self._missing.expect(self.position)
        self._idle = self._current = None
        self.files.close()

    def _compare(self, status: os.stat_result, now: float) -> None:
        self._absent_since = None
        if self._idle is not None:
            return
        self._search()
        inode = inode_of(status)
        if self._current is not None and self._current.inode == inode:
            self._check(self._current)
        else:
            self._change(status, now)
        if self._current is not None and self._current.inode == inode:
            self._seen_ns = status.st_mtime_ns

    def _check(self, current: LogFile) -> None:
        """Begin again where the file was truncated in place."""
        if current.is_intact():
            self._tell(None)
            return
        before = current.position
        _log.info("file was truncated", path=self.path, read=before.offset)
        self.rotations += 1
        lines = current.truncate()
        current.is_copy = self._is_copy(current.descriptor)
        copy = find(before, self.path, self._registry)
        if copy is None:
            self.files.spill += lines
        else:
            self.files.add(copy, before.offset, before=current).retire(current.last_line)

    def _change(self, status: os.stat_result, now: float) -> None:
        """Turn to another file that stands at the path."""
        inode = inode_of(status)
        reader = self._registry.reader(inode)
        if reader is not None and reader in self.files:
            self.rotations += self._current is not None  # otherwise it was found on resuming
            self._turn_to(reader, now)
        elif self._registry.is_taken(inode):  # another path leads to the same file, and has it
            self._current = None
            self.files.retire(now)
            self._lose()
        elif not stat.S_ISREG(status.st_mode):
            self._tell(f"{self.path} is not a regular file: name the file that Suricata writes")
        elif self._globbed and not status.st_size:
            self._at_end = False  # perhaps a copy whose first bytes are still to come
        else:
            self._open(now)

    def _open(self, now: float) -> None:
        """Begin with the file that has appeared at the path."""
        descriptor = open_regular(self.path)
        if self._registry.is_taken(inode_of(os.fstat(descriptor))):
            os.close(descriptor)  # replaced between the two calls: the next look sees what by
            return
        if self._missing.positions or any(not file.retired for file in self.files):
            self.rotations += 1
            _log.info("file was rotated", path=self.path)
            self._open_between()
        finished = self._registry.finished_at(descriptor)
        is_copy = finished is None and self._is_copy(descriptor)
        file = self.files.add(descriptor, self._beginning(descriptor, finished))
        file.is_copy = is_copy
        self._turn_to(file, now)

    def _is_copy(self, descriptor: int) -> bool:
        return self._globbed and self._registry.is_copy(self.path, descriptor)

    def _beginning(self, descriptor: int, finished: int | None) -> int:
        """Return the offset from which to read: where it was `finished` before, if it was."""
        at_end, self._at_end = self._at_end, False
        if finished is not None:
            return finished
        return end_of_last_line(descriptor, self._settings.max_line_bytes) if at_end else 0

    def _open_between(self) -> None:
        """Open what was created and rotated since the path was last looked at."""
        since, newest = self._seen_ns, self.files.newest
        if not since and newest is not None:  # an empty file's time says nothing of its last line
            since = newest.status().st_mtime_ns if newest.status().st_size else 0
        if since:
            for descriptor in between(self.path, since, self._registry):
                self.files.add(descriptor, 0)
                self.rotations += 1

    def _turn_to(self, file: LogFile, now: float) -> None:
        self._current = file
        self.files.promote(file, now)
        self._lose()
        self._tell(None)

    def _finish(self, file: LogFile) -> None:
        self.files.finish(file)
        if file is self._current:
            self._current = None

    def _is_over(self, file: LogFile, now: float) -> bool:
        """Whether nobody will write to the file any more, as far as one can know."""
        if not file.drained:
            return False
        quiet = now - file.last_line
        if file.retired:
            return quiet >= self._settings.rotation_grace
        if not self._globbed or self._absent_since is None:
            return False
        deleted = not file.status().st_nlink
        grace = self._settings.rotation_grace if deleted else ABSENCE
        return min(quiet, now - self._absent_since) >= grace

    def _is_quiet(self, current: LogFile, now: float) -> bool:
        """Whether the file may be closed until it grows: dated files that a glob names are many."""
        if not self._globbed or now - current.last_line < IDLE or self._absent_since is not None:
            return False
        return len(self.files) == 1 and current.drained and not current.lag()

    def _search(self) -> None:
        """Open those files of an earlier run that are there."""
        for descriptor, offset in self._missing.search():
            self.files.add(descriptor, offset)

    def _lose(self) -> None:
        """Give up the files of an earlier run that are not there; of dated files some always go."""
        self._missing.give_up(logging.INFO if self._globbed else logging.WARNING)

    def _doze(self, position: FilePosition) -> None:
        self._idle = position
        self._registry.doze((position.device, position.inode))

    def _wake(self) -> None:
        """Open an idle file again once anything about it has changed."""
        if self._idle is not None and not self._is_unchanged(self._idle):
            self._registry.wake((self._idle.device, self._idle.inode))
            self._missing.expect([self._idle])
            self._idle = None
            self._search()

    def _is_unchanged(self, position: FilePosition) -> bool:
        try:
            status = Path(self.path).stat()
        except OSError:
            return False
        same = inode_of(status) == (position.device, position.inode)
        return same and status.st_size == position.offset

    def _meet(self, error: OSError, now: float) -> None:
        """Take note that the path can't be read."""
        if not isinstance(error, FileNotFoundError):
            self._tell(describe(self.path, error))
            return
        self._at_end = False  # what appears from now on is new
        self._absent_since = now if self._absent_since is None else self._absent_since
        if not self._globbed:
            self._tell(describe(self.path, error))
        elif Path(self.path).parent.is_dir():  # not merely a mount that is not there
            self._lose()

    def _tell(self, obstacle: str | None) -> None:
        """Say what is missing, and that it is missing no more, once each."""
        if obstacle == self.obstacle:
            return
        if obstacle is None:
            _log.info("file can be read now", path=self.path)
        else:
            _log.warning("waiting for a file", path=self.path, reason=obstacle)
        self.obstacle = obstacle
