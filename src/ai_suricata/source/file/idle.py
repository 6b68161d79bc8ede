"""A file that has been quiet for long: closed until it changes, since dated files are many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ai_suricata.source.identity import inode_of

if TYPE_CHECKING:
    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.file.registry import Registry


class Idle:
    """The place in the closed file that stands at one path, if there is one."""

    def __init__(self, path: str, registry: Registry) -> None:
        self.position: FilePosition | None = None
        self._path = path
        self._registry = registry

    def doze(self, position: FilePosition) -> None:
        """Take note that the file of the path has been read up to here and is closed."""
        self.position = position
        self._registry.doze((position.device, position.inode))

    def wake(self) -> FilePosition | None:
        """Return the place to read on from once anything about the file has changed."""
        position = self.position
        if position is None or self.is_unchanged(position):
            return None
        self._registry.wake((position.device, position.inode))
        self.position = None
        return position

    def is_unchanged(self, position: FilePosition) -> bool:
        """Whether the path still leads to this file and it has not grown."""
        try:
            status = Path(self._path).stat()
        except OSError:
            return False
        same = inode_of(status) == (position.device, position.inode)
        return same and status.st_size == position.offset
