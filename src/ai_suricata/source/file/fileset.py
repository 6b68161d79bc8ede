"""The open files of one followed path, oldest first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ai_suricata.source.file.loss import COMPRESSED, GIVEN_UP
from ai_suricata.source.line import Rejects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.file.candidate import Candidate
    from ai_suricata.source.file.loss import LossLog
    from ai_suricata.source.file.reader import Reader
    from ai_suricata.source.file.registry import Registry

MAX_UNREAD = 128
"""Most replaced files of one path that are open at once: after so many hours without a reader,
hourly rotation has left that many behind. What is more than that waits, closed."""


class FileSet:
    """Opens, reads in order and closes. When to do so is not its business."""

    def __init__(self, path: str, max_line_bytes: int, registry: Registry, losses: LossLog) -> None:
        self.current: Reader | None = None
        """The file that stands at the path, if it is open: it is read after all others."""
        self._path = path
        self._max_line_bytes = max_line_bytes
        self._registry = registry
        self._losses = losses
        self._files: list[Reader] = []
        self._rejects = Rejects()

    def __iter__(self) -> Iterator[Reader]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, file: object) -> bool:
        return file in self._files

    @property
    def room(self) -> int:
        """How many more replaced files may be opened before another one is closed."""
        return max(0, MAX_UNREAD - len(self._files) + (self.current is not None))

    @property
    def is_busy(self) -> bool:
        """Whether some file has bytes to read, but no line yet: it is being unpacked."""
        return any(file.is_busy for file in self._files)

    def written_ns(self) -> float:
        """Return when the newest file was written, nanoseconds since the epoch, -inf for none."""
        times = (file.status().st_mtime_ns for file in self._files if file.descriptor >= 0)
        return max(times, default=-math.inf)

    def open(self, candidate: Candidate, offset: int, now: float) -> Reader:
        """Read an open file from `offset` on, after the others but before the current one."""
        file = candidate.reader(self._path, offset, self._max_line_bytes)
        if self.current is not None:
            file.retire(now)
        self.insert(file, before=self.current)
        return file

    def insert(self, file: Reader, *, before: Reader | None) -> None:
        """Read a file before another one, or last."""
        place = len(self._files) if before is None else self._files.index(before)
        self._files.insert(place, file)
        self._registry.add(file)

    def take(self, room: int, now: float, *, hold: bool = False) -> list[bytes]:
        """Return the next whole lines, at most `room`; raises OSError.

        `hold`: not those of the current file, since older ones are still to be opened.
        """
        lines: list[bytes] = []
        for file in self._files:
            if len(lines) >= room or (hold and file is self.current):
                break
            fresh = file.take(room - len(lines))
            if fresh:
                file.last_line = now
                lines += fresh
            if file.is_busy:
                break  # what is being unpacked comes first
        return lines

    def take_rejected(self) -> tuple[int, list[bytes]]:
        """Return how many lines were too long since this was last asked, and some beginnings."""
        for file in self._files:
            self._rejects.collect(file.lines)
        return self._rejects.take()

    def promote(self, file: Reader, now: float) -> None:
        """Let `file` be the current one, and all others be read on for the grace time."""
        self._files.remove(file)
        self._files.append(file)
        file.retired, file.last_line = False, now
        self.retire(now)
        self.current, file.retired = file, False

    def retire(self, now: float) -> None:
        """Note that all files have been replaced."""
        self.current = None
        for file in self._files:
            file.retire(now)

    def finish(self, file: Reader) -> None:
        """Close one file for good: it has been read to its end."""
        if file.fault is not None:
            self._losses.tell(
                COMPRESSED,
                "the rest of a compressed file can't be read: its lines are lost",
                inode=file.inode[1],
                read=file.offset,
                fault=file.fault,
            )
        self._rejects.collect(file.lines)
        self._registry.finish(file)
        self._remove(file)

    def crowd_out(self) -> list[FilePosition]:
        """Close what is more than may be open; return the places to go on from, oldest first.

        The newest wait, as long as they have a name; of deleted files the oldest is given up.
        """
        replaced = [file for file in self._files if file is not self.current]
        excess = max(0, len(replaced) - MAX_UNREAD)
        named = [file for file in replaced if file.inode[0] >= 0 and file.status().st_nlink]
        waiting = named[max(0, len(named) - excess) :]
        places = [file.position for file in waiting]
        for file in waiting:
            self.set_aside(file)
        for file in replaced[: excess - len(waiting)]:
            self._give_up(file)
        return places

    def set_aside(self, file: Reader) -> None:
        """Close one file that is to be opened again."""
        self._rejects.collect(file.lines)
        self._registry.drop(file)
        self._remove(file)

    def close(self) -> None:
        """Close all files."""
        self.current = None
        for file in self._files:
            file.close()
        self._files = []

    def _give_up(self, file: Reader) -> None:
        if not file.drained:
            self._losses.tell(
                GIVEN_UP,
                "too many deleted files are open: the oldest is given up, its rest is lost",
                inode=file.inode[1],
                read=file.offset,
                lost_bytes=file.lag(),
            )
        self.finish(file)

    def _remove(self, file: Reader) -> None:
        if file is self.current:
            self.current = None
        self._files.remove(file)
        file.close()
