"""Files that are whole whatever happens: written beside, synced, renamed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from ai_suricata.core.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

_OWNER_ONLY = 0o600


def replace(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path`, wholly or not at all, even if the power goes.

    Raises `StateError` naming the path; the old content then stays.
    """
    beside = path.with_name(path.name + ".new")
    try:
        descriptor = open_private(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            beside.unlink()
        raise StateError(
            f"{path} can't be written: {error.strerror}; make room or grant the right"
        ) from error


def append(path: Path, content: bytes) -> None:
    """Add `content` to the end of `path` and wait until the disk has it.

    Raises `StateError` naming the path, after cutting off what was written in part.
    """
    try:
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            before = os.fstat(file.fileno()).st_size
            try:
                _write_all(file.fileno(), content)
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), before)
                raise
        if before == 0:
            sync_folder(path.parent)  # a new file's name must last, too
    except OSError as error:
        raise StateError(
            f"{path} can't be written: {error.strerror}; make room or grant the right"
        ) from error


def cut(path: Path, end: int) -> None:
    """Take the last `end` bytes off `path`, durably; needs no room. Raises `StateError`."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - end)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StateError(f"{path} can't be mended: {error.strerror}; grant the right") from error


def lock(path: Path) -> int:
    """Take a folder for this process alone; return what to close when done (flock(2)).

    Raises `StateError` where another process has it.
    """
    try:
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise StateError(f"{path} can't be made: {error.strerror}; grant the right") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StateError(
            f"{path.parent} is in use by another daemon; stop that one, or set another STATE_DIR"
        ) from error
    return descriptor


def open_private(path: Path, flags: int) -> int:
    """Open a file, or make it, for the owner of its folder alone; return the descriptor.

    A command that root runs must not lock out the daemon's user, whose folder it is: that user
    gets what root makes there. Nor may that user lead root astray: a link is then not followed.
    Raises OSError.
    """
    folder = path.parent.stat()
    in_anothers = os.geteuid() == 0 != folder.st_uid
    if not in_anothers:
        return os.open(path, flags, _OWNER_ONLY)
    descriptor = os.open(path, flags | os.O_NOFOLLOW, _OWNER_ONLY)
    status = os.fstat(descriptor)
    # Another name of the same file may stand where it is nobody's business.
    if status.st_uid == 0 and status.st_nlink == 1 and stat.S_ISREG(status.st_mode):
        with contextlib.suppress(OSError):  # root of a container may lack the right (CAP_CHOWN)
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
