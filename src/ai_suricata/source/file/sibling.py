"""Finding a file again that has been moved: among the regular files of its folder."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ai_suricata.source.file.candidate import Candidate
from ai_suricata.source.identity import (
    HEAD_BYTES,
    SHORTEST_HEAD,
    UNPACKABLE,
    inode_of,
    is_rotated_path,
    is_rotation_of,
    packing_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.file.registry import Registry
    from ai_suricata.source.identity import Inode


@dataclass(frozen=True, slots=True)
class Sibling:
    """A regular file in the folder of a followed path."""

    path: str
    inode: Inode
    written_ns: int
    """Time of its last change, nanoseconds since the epoch; compressing keeps it."""
    size: int
    """Bytes on disk."""

    @property
    def packing(self) -> str:
        """The ending that says how it is compressed, empty where it is not."""
        return packing_of(self.path)

    @property
    def is_readable(self) -> bool:
        """Whether its format can be read."""
        return not self.packing or self.packing in UNPACKABLE


def find(
    position: FilePosition,
    path: str,
    registry: Registry,
    claimed: Collection[Inode] = (),
    origin: str | None = None,
) -> Candidate | None:
    """Open the file that `position` names; return None where it is gone.

    First by its identity; then by its first bytes alone: a copy under a rotated name (logrotate's
    `copytruncate`), a compressed file, or the path itself after a reboot that has changed its
    device number. `origin`: of which a rotation has made `path`, None for none; the next rotation
    counts up and calls the file `eve.json.2` instead of `eve.json.1`. Files that are being read, or
    `claimed`, are passed over. Raises OSError where a file of that identity can't be opened, or the
    folder can't be listed.
    """
    free = [
        sibling
        for sibling in siblings(path)
        if sibling.is_readable
        and sibling.inode not in claimed
        and not registry.reader(sibling.inode)
    ]
    same = (position.device, position.inode)
    is_weak = position.fingerprint_bytes < SHORTEST_HEAD
    for sibling in free:
        if sibling.inode == same and (found := _open_if_same(sibling, position)) is not None:
            if not (is_weak and registry.has_read(found, sibling.path, path)):
                return found
            found.close()  # the inode of a file that had no line yet has gone to another one
    return _find_copy(position, (path, origin or path), free)


def _find_copy(
    position: FilePosition, origins: Collection[str], free: list[Sibling]
) -> Candidate | None:
    for sibling in sorted(free, key=lambda s: bool(s.packing)):  # gzip may not be done with it yet
        if _may_be_copy(sibling, origins, position):
            with suppress(PermissionError):  # a copy that may not be read is no worse than none
                found = _open_if_same(sibling, position)
                if found is not None:
                    return found
    return None


def _may_be_copy(sibling: Sibling, origins: Collection[str], position: FilePosition) -> bool:
    if any(is_rotated_path(sibling.path, origin) for origin in origins):
        return position.fingerprint_bytes >= SHORTEST_HEAD
    # Re-created files may begin alike: only a full kilobyte proves the opposite. A file of another
    # name is somebody's own copy, with lines that were never written to the followed path.
    stands_there = any(os.path.realpath(origin) == sibling.path for origin in origins)
    return stands_there and position.fingerprint_bytes >= HEAD_BYTES


def rotated(path: str) -> list[Sibling]:
    """Return what rotations have left beside the path, compressed or not, oldest first.

    Raises OSError as `siblings`.
    """
    name = Path(path).name
    found = [s for s in siblings(path) if is_rotation_of(Path(s.path).name, name)]
    return sorted(found, key=lambda s: s.written_ns)


def siblings(path: str) -> list[Sibling]:
    """Return the regular files of the path's folder, and of that to which a symlink leads.

    None of a folder that is not there; raises OSError where one can't be listed.
    """
    found: dict[Inode, Sibling] = {}
    for folder in {Path(path).parent, Path(os.path.realpath(path)).parent}:
        for sibling in _regular_files(folder):
            found.setdefault(sibling.inode, sibling)
    return list(found.values())


def _regular_files(folder: Path) -> Iterator[Sibling]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # gone since it was listed, or a symlink to nowhere
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    yield Sibling(entry.path, inode_of(status), status.st_mtime_ns, status.st_size)


def _open_if_same(sibling: Sibling, position: FilePosition) -> Candidate | None:
    try:
        found = Candidate.open(sibling.path)
    except FileNotFoundError:
        return None
    if found.holds(position):
        return found
    found.close()
    return None
