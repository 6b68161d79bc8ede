"""The rotated files of one path that are to be read and are not open yet.

They are those of an earlier run, those that were created and rotated while nobody looked, and
those that can't be opened now or would be too many at once.
"""

from __future__ import annotations

import errno
import logging
import math
from typing import TYPE_CHECKING

from ai_suricata.source.file.discovery import Discovery
from ai_suricata.source.file.loss import COMPRESSED, DELETED, TRUNCATED
from ai_suricata.source.file.obstacle import describe
from ai_suricata.source.file.sibling import find, rotated, siblings
from ai_suricata.source.identity import SHORTEST_HEAD

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.file.candidate import Candidate
    from ai_suricata.source.file.fileset import FileSet
    from ai_suricata.source.file.loss import LossLog
    from ai_suricata.source.file.registry import Registry
    from ai_suricata.source.identity import Inode

RETRY = 1.0
"""Seconds between two attempts to open a file where no descriptor is free."""

ATTEMPTS = 3
"""Times a folder is listed anew because a file was compressed or deleted while it was looked at."""

_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


class Backlog:
    """Finds the files, and opens them in order as there is room."""

    def __init__(self, path: str, files: FileSet, registry: Registry, losses: LossLog) -> None:
        """`files`: where they are opened."""
        self.positions: tuple[FilePosition, ...] = ()
        """Where to go on in each of them, oldest first."""
        self.obstacle: str | None = None
        """Why some of them can't be opened, in words."""
        self.origin: str | None = None
        """The followed path of which a rotation has made this one, None for none."""
        self._path = path
        self._files = files
        self._registry = registry
        self._losses = losses
        self._discovery = Discovery(path, registry, losses)
        self._absent: set[FilePosition] = set()
        self._retry_at = -math.inf
        self._is_owed = False

    @property
    def is_held(self) -> bool:
        """Whether files wait only because so many older ones are open."""
        return bool(self.positions) and not self._files.room

    @property
    def has_rotated(self) -> bool:
        """Whether rotated files lie beside the path; not the file of the path itself, compressed.

        A dated file is compressed when it is over, and nobody writes to its path again.
        """
        try:
            found = rotated(self._path)
        except OSError:  # the folder can't be listed now: they may be there
            return True
        return any(s.path.removesuffix(s.packing) != self._path for s in found)

    def note(self) -> None:
        """Take the rotated files that are there now for read: they are from before.

        Raises OSError where the folder can't be listed.
        """
        self._discovery.note()

    def expect(self, positions: Sequence[FilePosition]) -> None:
        """Read on at these places, oldest first, after what waits already."""
        self.positions = tuple(dict.fromkeys((*self.positions, *positions)))

    def open(self, now: float) -> int:
        """Open those files that are there, as many as may be open; return how many that were."""
        if now < self._retry_at or not (self.positions or self._is_owed):
            return 0
        self.obstacle = None
        if self._is_owed:
            self.discover(None, now)
        found = self._find_all(now)
        for position in self.positions:
            if position in found:
                self._files.open(found[position], position.offset, now)
        self.positions = tuple(p for p in self.positions if p not in found)
        return len(found)

    def open_copy(self, position: FilePosition, now: float) -> bool:
        """Open the copy of a file that was truncated since; return whether there is one.

        One that can't be opened now is opened later.
        """
        for _ in range(ATTEMPTS):  # it may be renamed or compressed while it is looked for
            candidate = self._find(position, (), now)
            if candidate is not None:
                self._files.open(candidate, position.offset, now)
                return True
            if position not in self._absent:
                self.expect([position])
                return True
            self._absent.discard(position)
        return False

    def discover(self, current: Inode | None, now: float) -> int:
        """Expect the rotated files that nobody has read; return how many. `current` is none."""
        waiting = (position for position in self.positions if position not in self._absent)
        passed_over = {current, *((position.device, position.inode) for position in waiting)}
        # What can't be read may be one of the files that are not found: it is told once, as that.
        since = math.inf if self._absent else self._files.written_ns()
        self._is_owed = False
        for _ in range(ATTEMPTS):
            try:
                unread = self._discovery.unread(passed_over, since)
            except FileNotFoundError:
                continue  # compressed or deleted while it was looked at
            except OSError as error:
                self._is_owed = True
                self._fail(error, now)
                break
            self.expect(unread)
            return len(unread)
        return 0

    def give_up(self, now: float, level: int = logging.WARNING) -> None:
        """Say which lines are lost: the folder can be read, and the files are not in it."""
        if not self.positions:
            return
        self.open(now)  # once more: gzip may have replaced one since the folder was listed
        for position in self.positions:
            if position in self._absent:
                self._lose(position, level)
        self.positions = tuple(p for p in self.positions if p not in self._absent)
        self._absent = set()

    def _lose(self, position: FilePosition, level: int) -> None:
        self._losses.tell(
            self._reason(position),
            "a file was deleted, truncated or compressed before it was read to its end: "
            "the lines it held beyond this byte are lost",
            level,
            inode=position.inode,
            read=position.offset,
        )

    def _reason(self, position: FilePosition) -> str:
        """Return the likeliest way in which the file has gone."""
        inodes = {sibling.inode for sibling in siblings(self._path)}
        if (position.device, position.inode) in inodes:
            return TRUNCATED
        unreadable = any(not sibling.is_readable for sibling in rotated(self._path))
        return COMPRESSED if unreadable else DELETED

    def _find_all(self, now: float) -> dict[FilePosition, Candidate]:
        """Open the files that are there, as many as may be open.

        Those first of which more than the inode is known: a reused one would claim their file.
        """
        room = self._files.room
        if room:
            self._absent = set()
        found: dict[FilePosition, Candidate] = {}
        for position in sorted(self.positions, key=_is_weak):
            if len(found) < room:
                candidate = self._find(position, [c.inode for c in found.values()], now)
                if candidate is not None:
                    found[position] = candidate
        return found

    def _find(
        self, position: FilePosition, claimed: Collection[Inode], now: float
    ) -> Candidate | None:
        try:
            candidate = find(position, self._path, self._registry, claimed, self.origin)
        except OSError as error:
            self._fail(error, now)
            return None
        if candidate is None:
            self._absent.add(position)
        return candidate

    def _fail(self, error: OSError, now: float) -> None:
        """Take note that a file can't be opened, or a folder not listed, now."""
        if error.errno not in _NO_DESCRIPTOR:
            self.obstacle = describe(str(error.filename or self._path), error)
            return
        self._retry_at = now + RETRY
        self.obstacle = (
            f"rotated files of {self._path} wait to be read: {error.strerror}; "
            "raise the limit on open files (LimitNOFILE, ulimit -n)"
        )


def _is_weak(position: FilePosition) -> bool:
    return position.fingerprint_bytes < SHORTEST_HEAD
