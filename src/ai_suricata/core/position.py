"""Where a source stands: what it has read, named so that a restart finds the place again."""

from __future__ import annotations

import msgspec


class FilePosition(msgspec.Struct, frozen=True):
    """A place in one followed file.

    A file is known by device, inode and a fingerprint of its first bytes, not by its path: a
    rotated file keeps its identity under another name, and a reused inode is another file.
    """

    device: int
    inode: int
    fingerprint: str
    """Hex digest (BLAKE2b) of the first `fingerprint_bytes` of the file."""
    fingerprint_bytes: int
    """How many bytes the fingerprint covers: fewer than the full length while the file is short."""
    offset: int
    """Bytes read up to the end of the last whole line."""
    done: bool = False
    """Read to its end and closed: kept so that it is known again, also once it is compressed."""


Place = FilePosition | str
"""A place in a file; or in what has no files, in the words of that source: a stream id."""

Position = dict[str, tuple[Place, ...]]
"""For each followed path or key its places: of a path the files that are being read, oldest first,
behind the last few that have been read to their end (`done`).

Each source names its own by what nobody else would: a path, `ssh://host/path`, `redis:key`.
"""


def parted(position: Position, kind: str) -> tuple[Position, Position]:
    """Return the places of one kind of source (`file`, `ssh`, `redis`, `socket`) and all others.

    Where another kind is set for a while, the places of the first are still right afterwards.
    """
    own = {name: places for name, places in position.items() if _kind_of(name) == kind}
    return own, {name: places for name, places in position.items() if name not in own}


def _kind_of(name: str) -> str:
    if name.startswith("ssh://"):
        return "ssh"
    return "redis" if name.startswith("redis:") else "file"


def files_of(position: Position, path: str) -> tuple[FilePosition, ...]:
    """Return the files of one path, none where it is not there or has no files."""
    return tuple(p for p in position.get(path, ()) if isinstance(p, FilePosition))
