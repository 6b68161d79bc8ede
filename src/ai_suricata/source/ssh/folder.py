"""What lies in a folder of the other host: rotated files, and the paths that a glob matches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ai_suricata.source.identity import COMPRESSED, HEAD_BYTES, fingerprint, is_rotated_name
from ai_suricata.source.ssh.block import READ_BYTES
from ai_suricata.source.ssh.log import GZIP, RemoteArchive, RemoteLog, text_head

if TYPE_CHECKING:
    from ai_suricata.core.position import FilePosition
    from ai_suricata.source.ssh.session import RemoteFile, Session, Status

_BEGINNING_BYTES = 64 * 1024  # of a gzip, which yield HEAD_BYTES of text whatever its header
_MOST_DENSE = 1032  # bytes of text that deflate makes of one (zlib's technical details)
_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was opened to see which it is."""

    path: str
    file: RemoteFile
    status: Status
    beginning: bytes
    """Its first bytes, as they stand there."""

    @property
    def head(self) -> bytes:
        """The first bytes of its text."""
        return text_head(self.beginning) if self._is_gzip else self.beginning

    @property
    def most_bytes(self) -> int:
        """How long its text is; of a gzip, how long it can be."""
        return self.status.size * (_MOST_DENSE if self._is_gzip else 1)

    def holds(self, position: FilePosition) -> bool:
        """Whether it begins as the file of that position did, and reaches as far."""
        head = self.head[: position.fingerprint_bytes]
        if len(head) < position.fingerprint_bytes or fingerprint(head) != position.fingerprint:
            return False
        return self._is_gzip or self.status.size >= position.offset

    def has_beyond(self, offset: int) -> bool:
        """Whether it holds more than was read of it; a gzip is not written on."""
        return not self._is_gzip and self.status.size > offset

    async def end_of_last_line(self, max_line_bytes: int) -> int:
        """Return the offset behind the last line end, or one inside an overlong line.

        From the latter the line is still too long. Raises as `Session`.
        """
        end = self.status.size
        lowest = max(0, end - max_line_bytes - HEAD_BYTES)
        while end > lowest:
            start = max(lowest, end - READ_BYTES)
            newline = (await self.file.read(start, end - start)).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
        return lowest

    async def read_head(self) -> bytes:
        """Return the first bytes of its text as they are now; raises as `Session`."""
        return self.head if self._is_gzip else await self.file.read(0, HEAD_BYTES)

    def log(self, offset: int, max_line_bytes: int) -> RemoteLog:
        """Return the file as a log that is read from `offset` on."""
        kind = RemoteArchive if self._is_gzip else RemoteLog
        return kind(
            self.file, self.status, self.beginning, offset=offset, max_line_bytes=max_line_bytes
        )

    @property
    def _is_gzip(self) -> bool:
        return self.path.endswith(GZIP)


async def open_found(session: Session, path: str) -> Found:
    """Open a file and look at its beginning; raises as `Session`."""
    file = await session.open_file(path)
    try:
        status = await file.status()
        length = _BEGINNING_BYTES if path.endswith(GZIP) else HEAD_BYTES
        return Found(path, file, status, await file.read(0, length))
    except OSError:
        await file.close()
        raise


async def rotated(session: Session, path: str) -> list[tuple[str, Status]]:
    """Return what rotations have made of the path, the newest first; raises as `Session`.

    A gzip counts once the file that it is made of is gone: until then it is not complete.
    """
    pure = PurePosixPath(path)
    entries = await session.entries(str(pure.parent))
    found = [
        (str(pure.parent / name), status)
        for name, status in entries.items()
        if status.kind == "file" and is_rotated_name(name.removesuffix(GZIP), pure.name)
        if not name.endswith(GZIP) or name.removesuffix(GZIP) not in entries
    ]
    # Times are whole seconds; within one, a dated name tells more.
    return sorted(found, key=lambda one: (one[1].written, one[0]), reverse=True)


def is_pattern(path: str) -> bool:
    """Whether the path is a glob (glob(7): `*`, `?` and `[...]`)."""
    return _MAGIC.search(path) is not None


async def matches(session: Session, pattern: str) -> dict[str, int]:
    """Return the paths that a glob matches, without compressed and rotated files.

    With the time of the last change of each, whole seconds since the epoch on the other host's
    clock. A hidden name is matched by a pattern that begins with a dot. Folders that can't be
    listed hold nothing; asyncssh's own glob would give up at the first odd name in one of them.
    """
    pure = PurePosixPath(pattern)
    found = {PurePosixPath(pure.anchor): 0}
    for part in pure.relative_to(pure.anchor).parts:
        steps = [await _step(session, folder, part) for folder in found]
        found = {path: written for step in steps for path, written in step.items()}
    names = {str(path) for path in found if not path.name.endswith(COMPRESSED)}
    return {
        str(path): written
        for path, written in found.items()
        if str(path) in names and not _is_rotated(str(path), names)
    }


def _is_rotated(path: str, among: set[str]) -> bool:
    """Whether the path is what a rotation has made of another one that is followed anyway."""
    pure = PurePosixPath(path)
    others = (PurePosixPath(other) for other in among)
    return any(
        other.parent == pure.parent and is_rotated_name(pure.name, other.name) for other in others
    )


async def _step(session: Session, folder: PurePosixPath, part: str) -> dict[PurePosixPath, int]:
    """Return what of a folder one part of a glob matches, and when each was changed last."""
    try:
        if not is_pattern(part):
            return {folder / part: (await session.status(str(folder / part))).written}
        entries = await session.entries(str(folder))
    except OSError:
        return {}
    return {
        folder / name: entries[name].written
        for name in sorted(entries)
        if (part.startswith(".") or not name.startswith(".")) and fnmatchcase(name, part)
    }
