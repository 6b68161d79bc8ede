"""The files that have been read to their end: known again when met under another name."""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from ai_suricata.source.file.candidate import Candidate
from ai_suricata.source.identity import begins_as, inode_of, is_rotated_path

if TYPE_CHECKING:
    import os
    from collections.abc import Collection

    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.identity import Inode

KEPT = 128
"""Finished files that each followed path remembers, also across a restart: those that are in its
folder still, under whichever name, and GONE more. About 100 bytes each in a stored position."""

GONE = 8
"""Finished files remembered though they are not in the folder: they may be on their way."""

FINISHED = 64
"""Finished files remembered whose path is followed no more and that no glob matches."""


class History:
    """Where each finished file was left, oldest first, and the followed path that it was of."""

    def __init__(self) -> None:
        self._finished: dict[FilePosition, str] = {}
        self._matched: set[Inode] = set()
        self._unchanged: dict[Inode, tuple[int, int, int]] = {}

    def add(self, path: str, position: FilePosition) -> None:
        """Remember a file of the followed `path` that was read up to `position`."""
        position = msgspec.structs.replace(position, done=True)
        self._finished.pop(position, None)
        self._finished[position] = path

    def of(self, path: str) -> tuple[FilePosition, ...]:
        """Return the last finished files of a followed path, and all that a glob matches."""
        own = [position for position, owner in self._finished.items() if owner == path]
        late = len(own) - KEPT
        return tuple(p for n, p in enumerate(own) if n >= late or _inode(p) in self._matched)

    def is_read(self, path: str, status: os.stat_result) -> bool:
        """Whether the file at `path` was finished and has not changed since; raises OSError."""
        inode, state = inode_of(status), (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if self.by_inode(inode) is None:
            return False
        if self._unchanged.get(inode) != state:
            with Candidate.open(path) as candidate:
                position = self.match_inode(candidate)
                if position is None or candidate.has_more(position):
                    return False
            self._unchanged[inode] = state
        return True

    def match(self, candidate: Candidate, path: str) -> FilePosition | None:
        """Return where this file was left, None where it is none of those that were finished.

        By its identity; or by its content, among the files of `path`, of that from which a
        rotation has made `path`, and of those that a rotation has made of it.
        """
        found = self.match_inode(candidate)
        if found is not None:
            return found
        alike = [
            position
            for position, owner in self._finished.items()
            if _is_akin(path, owner) and candidate.repeats(position)
        ]
        return max(alike, key=attrgetter("offset"), default=None)

    def match_inode(self, candidate: Candidate) -> FilePosition | None:
        """Return where the file with this inode and beginning was left, None where it is new."""
        same = [
            position
            for position in self._finished
            if _inode(position) == candidate.inode and candidate.follows(position)
        ]
        return max(same, key=attrgetter("offset"), default=None)

    def by_inode(self, inode: Inode) -> FilePosition | None:
        """Return where a file with this inode was left; the inode may be another's by now."""
        return next((position for position in self._finished if _inode(position) == inode), None)

    def drop(self, inode: Inode, head: bytes) -> None:
        """Forget a file that is being read again; `head`: its first bytes."""
        for position in [*self._finished]:
            if _inode(position) == inode and begins_as(position, head):
                del self._finished[position]

    def retain(self, path: str, present: set[FilePosition]) -> None:
        """Forget the files of a followed path that are gone: those not `present`, but for a few."""
        gone = [p for p, owner in self._finished.items() if owner == path and p not in present]
        for position in gone[:-GONE]:
            del self._finished[position]

    def hand_over(self, path: str, heir: str) -> None:
        """Let another followed path remember the files of one that is followed no more."""
        for position, owner in self._finished.items():
            if owner == path:
                self._finished[position] = heir

    def forget(self, matched: set[Inode], followed: Collection[str]) -> None:
        """Forget the oldest files, but none that a glob still matches."""
        self._matched = matched
        self._unchanged = {i: state for i, state in self._unchanged.items() if i in matched}
        kept: Counter[str | None] = Counter()
        for position, owner in reversed(list(self._finished.items())):
            if _inode(position) in matched:
                continue
            group = owner if owner in followed else None
            kept[group] += 1
            if kept[group] > (FINISHED if group is None else KEPT):
                del self._finished[position]


def _is_akin(path: str, other: str) -> bool:
    return path == other or is_rotated_path(path, other) or is_rotated_path(other, path)


def _inode(position: FilePosition) -> Inode:
    return position.device, position.inode
