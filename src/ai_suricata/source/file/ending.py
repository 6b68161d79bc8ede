"""When a file may be closed: nobody writes to it any more, as far as one can know."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_suricata.source.file.backlog import Backlog
    from ai_suricata.source.file.fileset import FileSet
    from ai_suricata.source.file.idle import Idle
    from ai_suricata.source.file.reader import Reader

ABSENCE = 600.0
"""Seconds for which a renamed file that only a glob had named is read on without a successor."""

IDLE = 60.0
"""Seconds without a line after which a file that a glob named is closed until its size changes."""


class Ending:
    """Closes the files of one path when they are over."""

    def __init__(self, files: FileSet, backlog: Backlog, idle: Idle, grace: float) -> None:
        """`grace`: seconds for which a replaced file is read on after its last line."""
        self._files = files
        self._backlog = backlog
        self._idle = idle
        self._grace = grace

    def finish(self, now: float, room: int, absent_since: float | None) -> list[bytes]:
        """Close the files that are over; return their unfinished last lines, at most `room`.

        `absent_since`: when the path of a file that only a glob had named was gone, None where
        there is no such thing.
        """
        lines: list[bytes] = []
        for file in list(self._files):
            if len(lines) < room and self._is_over(file, now, absent_since):
                lines += file.take_partial()
                self._files.finish(file)
        return lines

    def rest(self, now: float, *, is_rotation: bool) -> None:
        """Close a file that has been quiet for long until it changes.

        One that a rotation has made of another followed file is finished, as under that name.
        """
        file = self._files.current
        if file is None or len(self._files) > 1 or not _is_quiet(file, now):
            return
        if is_rotation:
            self._files.finish(file)
        else:
            self._files.set_aside(file)
            self._idle.doze(file.position)

    def _is_over(self, file: Reader, now: float, absent_since: float | None) -> bool:
        if not file.drained:
            return False
        if file.is_final:
            return True
        if file.retired:
            # Where others wait for its place it goes at once; if written to, it is found again.
            return self._backlog.is_held or now - file.last_line >= self._grace
        if absent_since is None:
            return False
        try:
            deleted = not file.status().st_nlink
        except OSError:  # a mount that was lost: nothing is known of it now
            return False
        return min(now - file.last_line, now - absent_since) >= (
            self._grace if deleted else ABSENCE
        )


def _is_quiet(file: Reader, now: float) -> bool:
    """Whether the file has been read to its end, and no line has come for long."""
    try:
        return now - file.last_line >= IDLE and file.drained and not file.lag()
    except OSError:  # a mount that was lost: nothing is known of it now
        return False
