"""What makes a file the same file: device, inode and its first bytes, whatever its path.

Inodes are reused as soon as a file is deleted, and device numbers may change with a reboot, so
neither is enough alone. EVE records begin with a timestamp to the microsecond and a flow id: two
files that agree in their first kilobyte hold the same records.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_suricata.core.position import FilePosition

HEAD_BYTES = 1024
"""How many first bytes of a file tell it from others."""

SHORTEST_HEAD = 64
"""Bytes below which two files may begin alike by chance: an EVE timestamp and part of a flow id."""

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma", ".zip")
"""Endings of compressed files: what they hold is not what was written, byte for byte."""

UNPACKABLE = (".gz", ".bz2", ".xz", ".lzma")
"""Those of them that the standard library can read."""

_DIGEST_BYTES = 16
_PUNCTUATION = "-_.:T"

Inode = tuple[int, int]
"""Device and inode."""


def inode_of(status: os.stat_result) -> Inode:
    """Return the device and inode of a file's status."""
    return status.st_dev, status.st_ino


def fingerprint(head: bytes) -> str:
    """Return the hex BLAKE2b digest of a file's first bytes."""
    return blake2b(head, digest_size=_DIGEST_BYTES).hexdigest()


def read_head(descriptor: int, length: int = HEAD_BYTES) -> bytes:
    """Return the first `length` bytes of an open file, all where it is shorter; raises OSError."""
    return os.pread(descriptor, length, 0)


def packing_of(name: str) -> str:
    """Return the ending that says how a file is compressed, an empty one where it is not."""
    return next((ending for ending in COMPRESSED if name.endswith(ending)), "")


def is_rotation_of(name: str, of: str) -> bool:
    """Whether `name` is what a rotation makes of `of`, compressed since or not; no folders."""
    packing = packing_of(name)
    unpacked = name.removesuffix(packing)
    return is_rotated_name(unpacked, of) or (bool(packing) and unpacked == of)


def is_rotated_path(path: str, of: str) -> bool:
    """Whether `path` is what a rotation makes of the path `of`, in the same folder."""
    rotated, origin = PurePath(path), PurePath(of)
    return rotated.parent == origin.parent and is_rotation_of(rotated.name, origin.name)


def begins_as(position: FilePosition, head: bytes) -> bool:
    """Whether a file with these first bytes (HEAD_BYTES, or all) begins as it did back then."""
    known = head[: position.fingerprint_bytes]
    return len(known) == position.fingerprint_bytes and fingerprint(known) == position.fingerprint


def is_rotated_name(name: str, of: str) -> bool:
    """Whether `name` is what a rotation makes of `of`, both without their folder.

    That is the name with something behind it (`eve.json.1`, `eve.json-20260101`), or with a date or
    number before its ending (`eve-20260101.json`: logrotate(8), `dateext` with `extension`).
    """
    if name == of or name.endswith(COMPRESSED):
        return False
    if name.startswith(of):
        return True
    path = PurePath(of)
    if not (name.startswith(path.stem) and name.endswith(path.suffix)):
        return False
    between = name[len(path.stem) : len(name) - len(path.suffix)].strip(_PUNCTUATION)
    return bool(between) and not between.strip("0123456789" + _PUNCTUATION)
