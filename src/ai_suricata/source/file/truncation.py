"""A file that was emptied in place, by a limit on its size or by logrotate's `copytruncate`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
import structlog

from ai_suricata.source.file.loss import TRUNCATED

if TYPE_CHECKING:
    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.file.backlog import Backlog
    from ai_suricata.source.file.fileset import FileSet
    from ai_suricata.source.file.log import LogFile
    from ai_suricata.source.file.loss import LossLog
    from ai_suricata.source.file.registry import Registry

_log = structlog.get_logger(__name__)


class Truncation:
    """Begins again in such files of one path, and looks for the rest of what they held."""

    def __init__(
        self, files: FileSet, backlog: Backlog, registry: Registry, losses: LossLog
    ) -> None:
        self._files = files
        self._backlog = backlog
        self._registry = registry
        self._losses = losses

    def begin_anew(self, file: LogFile, now: float) -> None:
        """Read the file from its beginning, and what it held before from its copy; raises OSError.

        Without a copy one loss is told, also where all that the file was last seen to hold had
        been read: nobody can know what was written since.
        """
        before, unread, was_copy = file.position, file.unread, file.is_copy
        remnant = file.restart()
        if was_copy:
            return
        if self._read_on(file.path, before) or self._backlog.open_copy(before, now):
            _log.info("file was truncated, its copy is read on", path=file.path, read=before.offset)
            return
        if remnant.lines.waiting:
            self._files.insert(remnant, before=file)
        # Should its copy turn up late, it is known: under another inode, with this content.
        self._registry.history.add(file.path, msgspec.structs.replace(before, inode=0))
        self._losses.tell(
            TRUNCATED,
            "a file was truncated: what was unread, or written since the last look, is lost"
            if unread
            else "a file was truncated: what was seen of it had been read, what was written since "
            "the last look is lost",
            logging.WARNING if unread else logging.INFO,
            read=before.offset,
            unread_bytes=unread,
        )

    def _read_on(self, path: str, before: FilePosition) -> bool:
        """Turn to the copy where a glob has found it already; return whether there is one."""
        copy = self._registry.copy_of(path, before)
        if copy is not None:
            copy.read_on(before.offset)
        return copy is not None
