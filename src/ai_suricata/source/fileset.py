"""The open files of one followed path, oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ai_suricata.source.file import LogFile
from ai_suricata.source.line import MOST_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_suricata.source.registry import Registry

MAX_RETIRED = 8
"""Most replaced files of one path that are kept open only in case their writer goes on."""

MAX_UNREAD = 128
"""Most replaced files of one path that are kept open to be read: after so many hours without a
reader, hourly rotation has left that many behind."""

_log = structlog.get_logger(__name__)


class FileSet:
    """Opens, reads in order and closes. Which file stands at the path now is not its business."""

    def __init__(self, path: str, max_line_bytes: int, registry: Registry) -> None:
        self.spill: list[bytes] = []
        """Lines that were read before their file was truncated: they go first."""
        self._path = path
        self._max_line_bytes = max_line_bytes
        self._registry = registry
        self._files: list[LogFile] = []
        self._rejected = 0
        self._samples: list[bytes] = []

    def __iter__(self) -> Iterator[LogFile]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, file: object) -> bool:
        return file in self._files

    @property
    def newest(self) -> LogFile | None:
        """The last file, None where there is none."""
        return self._files[-1] if self._files else None

    def add(self, descriptor: int, offset: int, *, before: LogFile | None = None) -> LogFile:
        """Read an open file from `offset` on, after the others or `before` one of them."""
        file = LogFile(
            descriptor, path=self._path, offset=offset, max_line_bytes=self._max_line_bytes
        )
        place = len(self._files) if before is None else self._files.index(before)
        self._files.insert(place, file)
        self._registry.add(file)
        return file

    def take(self, room: int, now: float) -> list[bytes]:
        """Return the next whole lines, at most `room`; raises OSError."""
        lines = self.spill[:room]
        del self.spill[:room]
        for file in self._files:
            if len(lines) >= room:
                break
            fresh = file.take(room - len(lines))
            if fresh:
                file.last_line = now
                lines += fresh
        return lines

    def take_rejected(self) -> tuple[int, list[bytes]]:
        """Return how many lines were too long since this was last asked, and some beginnings."""
        for file in self._files:
            self._collect_rejected(file)
        count, self._rejected = self._rejected, 0
        samples, self._samples = self._samples, []
        return count, samples

    def promote(self, file: LogFile, now: float) -> None:
        """Let `file` be the newest, and all others be read on for the grace time."""
        self._files.remove(file)
        self._files.append(file)
        file.retired, file.last_line = False, now
        self.retire(now, but=file)

    def retire(self, now: float, *, but: LogFile | None = None) -> None:
        """Note that all files `but` one have been replaced; of too many the oldest are closed."""
        for file in self._files:
            if file is not but:
                file.retire(now)
        retired = [file for file in self._files if file.retired]
        self._give_up([file for file in retired if file.drained], MAX_RETIRED)
        self._give_up([file for file in retired if not file.drained], MAX_UNREAD)

    def finish(self, file: LogFile) -> None:
        """Close one file for good."""
        self._collect_rejected(file)
        self._registry.finish(file)
        self._files.remove(file)
        file.close()

    def close(self) -> None:
        """Close all files."""
        for file in self._files:
            file.close()
        self._files = []

    def _give_up(self, files: list[LogFile], most: int) -> None:
        """Close the oldest of these files that are more than `most`."""
        for file in files[: max(0, len(files) - most)]:
            _log.warning(
                "too many rotated files: the oldest is given up",
                path=self._path,
                kept=most,
                unread_bytes=file.lag(),
            )
            self.finish(file)

    def _collect_rejected(self, file: LogFile) -> None:
        self._rejected += file.lines.rejected
        file.lines.rejected = 0
        self._samples = (self._samples + file.lines.samples)[:MOST_SAMPLES]
        file.lines.samples = []
