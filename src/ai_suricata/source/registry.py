"""Which files are being read or have been, so that a file met under a second path is read once.

A glob such as `eve*` matches what a rotation leaves behind: the renamed file that is still being
read, the same file once it is finished, and the copy that logrotate's `copytruncate` makes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ai_suricata.source.identity import (
    SHORTEST_HEAD,
    inode_of,
    is_position_in,
    is_rotated_name,
    read_head,
)

if TYPE_CHECKING:
    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.file import LogFile
    from ai_suricata.source.identity import Inode

FINISHED = 64
"""Finished files that are remembered even when no glob matches them."""


class Registry:
    """The files of all followed paths."""

    def __init__(self) -> None:
        self._reading: dict[Inode, LogFile] = {}
        self._finished: dict[Inode, FilePosition] = {}
        self._idle: set[Inode] = set()

    def add(self, file: LogFile) -> None:
        """Note that the file is being read."""
        self._idle.discard(file.inode)
        self._reading[file.inode] = file

    def reader(self, inode: Inode) -> LogFile | None:
        """Return the file if it is being read, under whichever path."""
        return self._reading.get(inode)

    def finish(self, file: LogFile) -> None:
        """Note that the file has been read to its end and is closed."""
        del self._reading[file.inode]
        self._finished.pop(file.inode, None)
        if file.status().st_nlink:  # the inode of a deleted file will be another's
            self._finished[file.inode] = file.position

    def doze(self, inode: Inode) -> None:
        """Note that the file is closed, though the path that had it still waits for lines."""
        self._idle.add(inode)

    def wake(self, inode: Inode) -> None:
        """Note that no path waits for this file any more."""
        self._idle.discard(inode)

    def is_taken(self, inode: Inode) -> bool:
        """Whether some path reads this file, or waits for its next line."""
        return inode in self._reading or inode in self._idle

    def forget(self, matched: set[Inode]) -> None:
        """Forget the oldest finished files, but not those that a glob still matches."""
        unmatched = [inode for inode in self._finished if inode not in matched]
        for inode in unmatched[: max(0, len(unmatched) - FINISHED)]:
            del self._finished[inode]

    def is_known(self, inode: Inode) -> bool:
        """Whether a file with this inode is read, waited for or finished."""
        return self.is_taken(inode) or inode in self._finished

    def finished_at(self, descriptor: int) -> int | None:
        """Return the offset at which this open file was finished, None where it never was."""
        position = self._finished.get(inode_of(os.fstat(descriptor)))
        if position is None or not is_position_in(position, descriptor):
            return None
        return position.offset

    def is_copy(self, path: str, descriptor: int) -> bool:
        """Whether the open file is a rotation's copy of one that is being read."""
        head = read_head(descriptor)
        return any(_is_original(file, path, head) for file in self._reading.values())


def _is_original(file: LogFile, path: str, head: bytes) -> bool:
    if len(file.head) < SHORTEST_HEAD or not head.startswith(file.head):
        return False
    original, copy = Path(file.path), Path(path)
    return original.parent == copy.parent and is_rotated_name(copy.name, original.name)
