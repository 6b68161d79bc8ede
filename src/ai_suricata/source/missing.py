"""Files of an earlier run that have not been found yet."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import structlog

from ai_suricata.source.sibling import find

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.registry import Registry

_log = structlog.get_logger(__name__)


class Missing:
    """Where an earlier run left the files of one path, until each is found or given up."""

    def __init__(self, path: str, registry: Registry) -> None:
        self.positions: tuple[FilePosition, ...] = ()
        """Oldest first."""
        self._path = path
        self._registry = registry

    def expect(self, positions: Sequence[FilePosition]) -> None:
        """Look for the files at these places, oldest first."""
        self.positions = tuple(positions)

    def search(self) -> Iterator[tuple[int, int]]:
        """Open the files that are there now: yield a descriptor and the offset to read from."""
        for position in self.positions:
            try:
                descriptor = find(position, self._path, self._registry)
            except OSError:  # the path is looked at next, and says what stands in the way
                continue
            if descriptor is not None:
                self.positions = tuple(other for other in self.positions if other is not position)
                yield descriptor, position.offset

    def give_up(self, level: int = logging.WARNING) -> None:
        """Say which lines are lost: the folder can be read, and the files are not in it."""
        for position in self.positions:
            _log.log(
                level,
                "a file was deleted, truncated or compressed before it was read to its end: "
                "the lines it held beyond this byte are lost",
                path=self._path,
                inode=position.inode,
                read=position.offset,
            )
        self.positions = ()
