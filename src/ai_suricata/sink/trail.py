"""Reads what the audit log holds: the present file and the rotated ones, the oldest line first.

Nothing is locked. The daemon may rotate meanwhile, so a file is known by its inode, under whatever
name it is then found.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Identity: TypeAlias = tuple[int, int]
"""Device and inode of a file: what it is under any name."""

MOST_LINE = 1024 * 1024
"""Bytes of a line past which it is none of ours."""

_LOOKS = 3


class Trail:
    """The lines of the moment in which the reading begins. Rotated files may be compressed."""

    def __init__(self, path: Path) -> None:
        """`path`: the present file; it need not be there."""
        self.path = path
        self.skipped = 0
        """Lines that were none and files that can't be read, of the latest reading."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each line as it was written, decoded."""
        self.skipped = 0
        try:
            files = _moment(self.path)
        except OSError:  # the folder is not for us
            files, self.skipped = [], 1
        for identity in files:
            try:
                with _opened(self.path, identity) as file:
                    yield from self._lines(file)
            except FileNotFoundError:
                continue  # it was the oldest, and its time has come
            except (OSError, EOFError, zlib.error):
                self.skipped += 1

    def _lines(self, file: IO[bytes]) -> Iterator[dict[str, Any]]:
        whole = True  # whether what comes next is the beginning of a line
        while line := file.readline(MOST_LINE):
            begins, whole = whole, line.endswith(b"\n")
            content = _content(line) if begins else None
            if content is not None:
                yield content
            elif begins and line.strip():
                self.skipped += 1


def _content(line: bytes) -> dict[str, Any] | None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        content = msgspec.json.decode(line)
        if isinstance(content, dict):
            return content
    return None


def _files(path: Path) -> list[tuple[int, Path, Identity]]:
    """Return (number, path, identity) of each file, the oldest first; the present one is 0."""
    name = re.compile(re.escape(path.name) + r"(?:\.(\d+)(?:\.gz)?)?")
    found: list[tuple[int, Path, Identity]] = []
    with suppress(FileNotFoundError, NotADirectoryError):  # nothing was ever written
        for file in path.parent.iterdir():
            if match := name.fullmatch(file.name):
                with suppress(FileNotFoundError):  # renamed a moment ago
                    found.append((int(match[1] or 0), file, _identity(file.lstat())))
    return sorted(found, reverse=True)


def _moment(path: Path) -> list[Identity]:
    """Return the files of one moment, the oldest first: a rotation is not seen half-done."""
    files = _files(path)
    for _ in range(_LOOKS):
        before, files = files, _files(path)
        if files == before:
            break
    return list(dict.fromkeys(identity for _, _, identity in files))


@contextmanager
def _opened(path: Path, identity: Identity) -> Iterator[IO[bytes]]:
    """Open the file, unpacked; FileNotFoundError where it is gone."""
    file, packed = _find(path, identity)
    with file:
        if not packed:
            yield file
            return
        with gzip.open(file) as unpacked:
            yield cast("IO[bytes]", unpacked)


def _find(path: Path, identity: Identity) -> tuple[IO[bytes], bool]:
    """Return the open file, under the name that it has by now, and whether it is compressed."""
    for _ in range(_LOOKS):
        for name in [name for _, name, known in _files(path) if known == identity]:
            with suppress(FileNotFoundError):
                file = open(name, "rb", opener=_for_reading)  # noqa: SIM115 - the caller closes it
                if _identity(os.fstat(file.fileno())) == identity:
                    return file, name.suffix == ".gz"
                file.close()
    raise FileNotFoundError(path)


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def _for_reading(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
