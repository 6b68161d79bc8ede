"""Finding a file again that has been moved: among the regular files of its folder."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ai_suricata.source.file import open_regular
from ai_suricata.source.identity import (
    HEAD_BYTES,
    SHORTEST_HEAD,
    inode_of,
    is_position_in,
    is_rotated_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.identity import Inode
    from ai_suricata.source.registry import Registry


@dataclass(frozen=True, slots=True)
class Sibling:
    """A regular file in the folder of a followed path."""

    path: str
    inode: Inode
    written_ns: int
    """Time of its last change, nanoseconds since the epoch."""


def find(position: FilePosition, path: str, registry: Registry) -> int | None:
    """Open the file that `position` names and return its descriptor; None where it is gone.

    First by its identity; then by its first bytes alone: a copy under a rotated name (logrotate's
    `copytruncate`), or the path itself after a reboot that has changed its device number. Files
    that are being read are passed over. Raises PermissionError where a file of that identity may
    not be read.
    """
    free = [sibling for sibling in siblings(path) if not registry.reader(sibling.inode)]
    same = (position.device, position.inode)
    for sibling in free:
        if sibling.inode == same:
            found = _open_if_same(sibling, position)
            if found is not None:
                return found
    return _find_copy(position, path, free)


def _find_copy(position: FilePosition, path: str, free: list[Sibling]) -> int | None:
    for sibling in free:
        if _may_be_copy(sibling, path, position.fingerprint_bytes):
            with suppress(PermissionError):  # a copy that may not be read is no worse than none
                found = _open_if_same(sibling, position)
                if found is not None:
                    return found
    return None


def _may_be_copy(sibling: Sibling, path: str, known_bytes: int) -> bool:
    name, other = Path(path).name, Path(sibling.path).name
    if other == name:  # re-created files may begin alike: only a full kilobyte proves the opposite
        return known_bytes >= HEAD_BYTES
    return known_bytes >= SHORTEST_HEAD and is_rotated_name(other, name)


def between(path: str, since_ns: int, registry: Registry) -> Iterator[int]:
    """Open the rotated files that were written after `since_ns`, oldest first; yield descriptors.

    These were created and rotated while nobody looked. Copies, and files already known, are not
    among them.
    """
    name = Path(path).name
    rotated = [s for s in siblings(path) if is_rotated_name(Path(s.path).name, name)]
    for sibling in sorted(rotated, key=lambda s: s.written_ns):
        if sibling.written_ns <= since_ns or registry.is_known(sibling.inode):
            continue
        with suppress(OSError):  # deleted or forbidden since the folder was listed: nothing to read
            descriptor = open_regular(sibling.path)
            if registry.is_copy(sibling.path, descriptor):
                os.close(descriptor)
            else:
                yield descriptor


def siblings(path: str) -> list[Sibling]:
    """Return the regular files of the path's folder, and of that to which a symlink leads."""
    found: dict[Inode, Sibling] = {}
    for folder in {Path(path).parent, Path(os.path.realpath(path)).parent}:
        for sibling in _regular_files(folder):
            found.setdefault(sibling.inode, sibling)
    return list(found.values())


def _regular_files(folder: Path) -> Iterator[Sibling]:
    with suppress(OSError), os.scandir(folder) as entries:  # no folder, no siblings
        for entry in entries:
            with suppress(OSError):  # gone since it was listed, or a symlink to nowhere
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    yield Sibling(entry.path, inode_of(status), status.st_mtime_ns)


def _open_if_same(sibling: Sibling, position: FilePosition) -> int | None:
    try:
        descriptor = open_regular(sibling.path)
    except FileNotFoundError:
        return None
    if is_position_in(position, descriptor):
        return descriptor
    os.close(descriptor)
    return None
