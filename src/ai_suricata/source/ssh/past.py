"""What was read of one remote path before: files to be found again, and files to be left alone.

SFTP tells no inode, so a file is known by its first bytes alone. Which rotated files came after the
last one that was read is told by the time of their last change, in whole seconds. That of the
newest file goes into the position (`since 1767225600`), and so do the last files that were read to
their end, which could otherwise be taken for new ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from ai_suricata.core.position import FilePosition
from ai_suricata.source.identity import HEAD_BYTES, SHORTEST_HEAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.core.position import Place
    from ai_suricata.source.base import Losses
    from ai_suricata.source.ssh.folder import Found
    from ai_suricata.source.ssh.log import RemoteLog

MOST_FINISHED = 16
"""Files that are remembered after they were read to their end."""

_SINCE = re.compile(r"since (\d{1,18})")

_log = structlog.get_logger(__name__)


class Past:
    """Tells from where a file that is found is to be read, if at all."""

    def __init__(self, path: str, known: Sequence[Place]) -> None:
        """`known`: the places at which an earlier run stood, as `places` gave them."""
        files = [p for p in known if isinstance(p, FilePosition) and p.fingerprint_bytes]
        self.expected = [position for position in files if not position.done]
        """Where files were left that have not been found again, oldest first."""
        self.since = _since(known)
        """Last change of the newest file that was read, None before there was one."""
        self._finished = [position for position in files if position.done]
        self._path = path

    def places(self, reading: Sequence[RemoteLog]) -> tuple[Place, ...]:
        """Return the position of the path, while these logs are being read."""
        mark = () if self.since is None else (f"since {self.since}",)
        return (*self._finished, *self.expected, *_positions(reading), *mark)

    def expect(self, logs: Sequence[RemoteLog]) -> None:
        """Look for these files again: what was not handed out is read once more."""
        self.expected += _positions(logs)

    def claim(self, found: Found) -> int | None:
        """Return where an earlier run stood in the file, which is then expected no more."""
        for position in self.expected:
            is_short = position.fingerprint_bytes < SHORTEST_HEAD
            if is_short and not self.is_recent(found.status.written):
                continue  # short files begin alike by chance
            if found.holds(position):
                self.expected.remove(position)
                return position.offset
        return None

    def finished_at(self, found: Found) -> int | None:
        """Return up to where a finished file was read, None where it was not."""
        length = len(found.head)
        holding = (
            one.offset
            for one in self._finished
            # Short files begin alike by chance: then it must be all that there is.
            if one.fingerprint_bytes >= min(SHORTEST_HEAD, length) and found.holds(one)
        )
        return max(holding, default=None)

    def is_recent(self, written: int) -> bool:
        """Whether a file of that time may have been written after the newest that was read."""
        return self.since is None or written >= self.since

    def finish(self, log: RemoteLog) -> None:
        """Take note that the file is not to be read again; an empty one is like any other."""
        if not log.head:
            return
        self._finished.append(replace(log.position, done=True))
        del self._finished[:-MOST_FINISHED]

    def give_up(self, losses: Losses) -> None:
        """Say which lines are lost: the folder was listed, and the files are not in it."""
        for position in self.expected:
            _log.warning(
                "a file was deleted, truncated or compressed before it was read to its end: "
                "the lines it held beyond this byte are lost",
                path=self._path,
                read=position.offset,
            )
            losses.occasions["deleted"] += 1
        self.expected = []


async def is_same(log: RemoteLog, found: Found) -> bool:
    """Whether the open log is the file that was found.

    While a file is short its first bytes grow: the two are one if what was found continues what
    the log held before, and the log now continues what was found. Raises as `Session`, and
    TruncatedError: a log whose first bytes have changed is not told from another file by them.
    """
    before = await log.read_head()
    if len(before) == HEAD_BYTES:
        return found.head == before
    head = await found.read_head()
    after = await log.read_head()  # before anything is concluded: it may have been truncated
    return head.startswith(before) and after.startswith(head)


def _positions(logs: Sequence[RemoteLog]) -> list[FilePosition]:
    return [log.position for log in logs if log.has_identity]


def _since(known: Sequence[Place]) -> int | None:
    """Return the time that a position names."""
    for place in known:
        if isinstance(place, str) and (mark := _SINCE.fullmatch(place)):
            return int(mark[1])
    return None
