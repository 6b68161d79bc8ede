"""Which files are being read or have been, so that a file met under a second path is read once.

A glob such as `eve*` matches what a rotation leaves behind: the renamed file that is still being
read, the same file once it is finished, and the copy that logrotate's `copytruncate` makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ai_suricata.source.file.history import History
from ai_suricata.source.file.log import LogFile
from ai_suricata.source.identity import SHORTEST_HEAD, begins_as, is_rotated_path

if TYPE_CHECKING:
    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.file.candidate import Candidate
    from ai_suricata.source.file.reader import Reader
    from ai_suricata.source.identity import Inode


class Registry:
    """The files of all followed paths."""

    def __init__(self) -> None:
        self.history = History()
        """The files that have been read to their end."""
        self._reading: dict[Inode, Reader] = {}
        self._idle: set[Inode] = set()

    def add(self, file: Reader) -> None:
        """Note that the file is being read."""
        self._idle.discard(file.inode)
        self.history.drop(file.inode, file.head)
        self._reading[file.inode] = file

    def reader(self, inode: Inode) -> Reader | None:
        """Return the file if it is being read, under whichever path."""
        return self._reading.get(inode)

    def drop(self, file: Reader) -> None:
        """Note that the file is closed, though it has not been read to its end."""
        del self._reading[file.inode]

    def finish(self, file: Reader) -> None:
        """Note that the file has been read to its end and is closed."""
        self.drop(file)
        position = file.position
        if not _has_name(file):
            position = msgspec.structs.replace(position, inode=0)  # its inode will be another's
        self.history.add(file.path, position)

    def doze(self, inode: Inode) -> None:
        """Note that the file is closed, though the path that had it still waits for lines."""
        self._idle.add(inode)

    def wake(self, inode: Inode) -> None:
        """Note that no path waits for this file any more."""
        self._idle.discard(inode)

    def is_taken(self, inode: Inode) -> bool:
        """Whether some path reads this file, or waits for its next line."""
        return inode in self._reading or inode in self._idle

    def has_read(self, candidate: Candidate, path: str, followed: str) -> bool:
        """Whether the file at `path`, beside the `followed` one, is read or was, by its content."""
        if self.history.match(candidate, followed) is not None:
            return True
        return self.is_copy(path, candidate.head, followed)

    def is_copy(self, path: str, head: bytes, followed: str | None = None) -> bool:
        """Whether the file at `path`, which begins so, is a rotation's copy of one being read.

        Of one that a rotation has made of the `followed` path as well.
        """
        return any(_is_original(file, path, head, followed) for file in self._reading.values())

    def copy_of(self, path: str, position: FilePosition) -> LogFile | None:
        """Return the open copy of a file of `path` that was emptied since, None where none is open.

        It was passed over as long as its original was read.
        """
        if position.fingerprint_bytes < SHORTEST_HEAD:
            return None
        copies = (f for f in self._reading.values() if isinstance(f, LogFile) and f.is_copy)
        for file in copies:
            reaches = file.offset >= position.offset and is_rotated_path(file.path, path)
            if reaches and begins_as(position, file.head):
                return file
        return None


def _is_original(file: Reader, path: str, head: bytes, followed: str | None) -> bool:
    shorter = min(len(file.head), len(head))
    if shorter < SHORTEST_HEAD or head[:shorter] != file.head[:shorter]:
        return False
    return is_rotated_path(path, file.path) or (
        followed is not None and is_rotated_path(file.path, followed)
    )


def _has_name(file: Reader) -> bool:
    """Whether the open file is still in a folder, as far as can be known."""
    try:
        return file.descriptor >= 0 and bool(file.status().st_nlink)
    except OSError:  # a mount that was lost
        return True
