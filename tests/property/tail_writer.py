"""Writes, rotates and destroys log files as Suricata, logrotate and operators do."""

from __future__ import annotations

import gzip
import os
import shutil
import zlib
from typing import TYPE_CHECKING

from property.tail_content import TELLING, Content, File

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

MOST_RETIRED = 6
"""Replaced files that are still written to: fewer than a follower keeps open when they are read."""

SHIFTED = "{stem}.json.{n}"
"""logrotate's own naming: each rotation counts all earlier ones up, compressed or not."""

NAMINGS = (
    SHIFTED,
    "{stem}.json.2026_0101_{n:04}",  # pfSense, and newsyslog(8)
    "{stem}.json-20260101{n:02}",  # logrotate(8): dateext
    "{stem}-20260101{n:02}.json",  # dateext with `extension`
)

_GZIP = 16 + zlib.MAX_WBITS  # what zlib calls its gzip format
_EPOCH = 10**18


class Writer:
    """Does it to the files, and notes of each content whether it can still be had."""

    def __init__(self, paths: Sequence[Path], naming: str, *, is_globbed: bool) -> None:
        """`naming`: one of NAMINGS, how rotated files are called.

        `is_globbed`: the follower's glob leads it to the rotated files that are not compressed, and
        it does not open what has no bytes.
        """
        self.paths = paths
        self.current: dict[Path, File] = {}
        """What stands at each followed path, where something does."""
        self.retired: list[File] = []
        """Replaced files whose writer has not let go yet, oldest first."""
        self.rotated: list[File] = []
        """Files and copies under a rotated name."""
        self.contents: list[Content] = []
        self.reports = 0
        """Losses reported so far."""
        self.possible = 0
        """Losses that a follower may have had to report so far: more is crying wolf."""
        self._naming = naming
        self._is_globbed = is_globbed
        self._handles: list[BinaryIO] = []
        self._owner: dict[bytes, tuple[Content, int]] = {}
        self._numbers = self._names = self._ticks = 0

    def close(self) -> None:
        """Let go of all files."""
        for handle in self._handles:
            handle.close()

    # -- writing ----------------------------------------------------------------------------------

    def at(self, path: Path) -> File:
        """Return the file at the path, which is created where it is missing."""
        if path not in self.current:
            target = self._create(path)
            self._handles.append(target.open("ab", buffering=0))
            self.current[path] = File(self._begin(path), target, self._handles[-1])
            self._stamp(self.current[path])
        return self.current[path]

    def write_lines(self, file: File, count: int, width: int, end: bytes = b"\n") -> None:
        """Write whole lines, all at once."""
        self.finish_line(file)
        new = [self._line(width) for _ in range(count)]
        for line in new:
            self._add(file.content, line)
        self._write(file, b"".join(line + end for line in new))

    def start_line(self, file: File, width: int, share: float) -> None:
        """Write the beginning of a line."""
        self.finish_line(file)
        line = self._line(width)
        cut = max(8, int(len(line) * share))  # the number, so that it is like no other
        file.content.started, file.content.missing = line[:cut], line[cut:]
        self._write(file, file.content.started)

    def finish_line(self, file: File) -> None:
        """Write the end of an unfinished line."""
        content = file.content
        if content.started:
            self._add(content, content.started + content.missing)
            self._write(file, content.missing + b"\n")
            content.started = content.missing = b""

    def pause(self) -> None:
        """Let the clock of the file system tick: what is written before has another time."""
        self._ticks += 1

    # -- rotating ---------------------------------------------------------------------------------

    def rename(self, path: Path) -> None:
        """Give the file another name. Its writer may not know yet."""
        file = self.current.pop(path)
        file.path = self._move(file, path)
        self.rotated.append(file)
        self._retire(file)

    def delete(self, path: Path) -> None:
        """Unlink the file at the path. Its writer may not know yet."""
        file = self.current.pop(path)
        assert file.path is not None
        file.path.unlink()
        file.path = None
        self._retire(file)
        self._unlinked(file.content)

    def truncate(self, file: File) -> None:
        """Empty a file in place, whatever its name is: what has not been read is gone."""
        if file.size:
            self._destroy(file.content)
            self._begin_anew(file)

    def copy_and_truncate(self, path: Path, *, keep_time: bool) -> None:
        """Copy the file, and empty it in place."""
        file = self.at(path)
        if not file.size:
            return
        copy = self._free_name(path)
        (shutil.copy2 if keep_time else shutil.copy)(path, copy)
        self.rotated.append(File(file.content, copy))
        if not keep_time:
            self._stamp(self.rotated[-1])
        self.possible += file.content.is_untellable
        self._begin_anew(file)

    def compress(self, file: File) -> None:
        """Gzip a rotated file, as logrotate does: NAME.gz of the same time, then NAME is unlinked.

        Its writer has let go of it.
        """
        assert file.path is not None
        self._end(file)
        packed = self._pack(file)
        file.is_half_packed = False
        self.possible += file.content.is_untellable and not file.content.is_held
        file.path.unlink()
        file.path = packed

    def begin_to_compress(self, file: File) -> None:
        """Leave a gzip that is not complete beside its original."""
        assert file.path is not None
        raw = file.path.read_bytes()
        half = len(raw) // 2 if len(raw) // 2 >= TELLING else 0  # less could be anybody's
        packer = zlib.compressobj(wbits=_GZIP)
        packed = file.path.with_name(file.path.name + ".gz")
        packed.write_bytes(packer.compress(raw[:half]) + packer.flush(zlib.Z_SYNC_FLUSH))
        file.is_half_packed = True
        self._stamp(File(file.content, packed))

    def drop(self, file: File) -> None:
        """Unlink a rotated file, as logrotate's `rotate COUNT` does."""
        assert file.path is not None
        self._unlink_half_packed(file)
        # A glob waits under the new name for the end of a last line that has none: compressed or
        # not, it is then a file that was not read to its end.
        waits = self._is_globbed and file.content.has_rest
        self.possible += waits and file.content.is_finished
        file.path.unlink()
        file.path = None
        self.rotated.remove(file)
        self._unlinked(file.content)

    # -- the rest ---------------------------------------------------------------------------------

    def _begin(self, path: Path) -> Content:
        self.contents.append(Content(path))
        return self.contents[-1]

    def _begin_anew(self, file: File) -> None:
        self._end(file)
        self._unlink_half_packed(file)
        assert file.handle is not None
        file.handle.truncate(0)
        before, file.content = file.content, self._begin(file.content.path)
        file.content.is_held, before.is_held = before.is_held, False  # whoever has it open has this
        self._stamp(file)

    def _retire(self, file: File) -> None:
        self.retired.append(file)
        while len(self.retired) > MOST_RETIRED:
            self._end(self.retired.pop(0))

    def _end(self, file: File) -> None:
        """Its writer has let go: what has no end now never will, and may come as a line."""
        content = file.content
        if content.started:
            self._owner[content.started] = content, len(content.lines)
            content.started = content.missing = b""
            content.has_rest = True
        if file in self.retired:
            self.retired.remove(file)

    def _unlinked(self, content: Content) -> None:
        """Note that a file is gone for those who have not opened it."""
        if not content.is_held and not content.is_finished:
            self._destroy(content)

    def _destroy(self, content: Content) -> None:
        if content.lost_at is None:
            content.lost_at = self.reports
            self.possible += content.is_suspected

    def _create(self, path: Path) -> Path:
        """Return where a new file for the followed path is to be made."""
        return path

    def _move(self, file: File, path: Path) -> Path:
        """Take the file away from the followed path; return where it is now."""
        assert file.path is not None
        return file.path.rename(self._free_name(path))

    def _free_name(self, path: Path) -> Path:
        """Return the name of the next rotated file; some namings shift all earlier ones."""
        self._names += 1
        if self._naming != SHIFTED:
            return path.with_name(self._naming.format(stem=path.stem, n=self._names))
        for file in [file for file in self.rotated if file.content.path == path]:
            self._shift(file)
        return path.with_name(SHIFTED.format(stem=path.stem, n=1))

    def _shift(self, file: File) -> None:
        assert file.path is not None
        self._unlink_half_packed(file)
        file.number += 1
        name = SHIFTED.format(stem=file.content.path.stem, n=file.number)
        file.path = file.path.rename(file.path.with_name(name + file.path.suffix * file.is_packed))

    def _unlink_half_packed(self, file: File) -> None:
        """Take away what gzip has begun: it is known by the original of its name alone.

        Of a NAME.gz with under 1 KiB to be read, whose NAME has been renamed, nobody can tell that
        it is half of a file that was read: gzip(1) writes 32 KiB at a time, so that there is none.
        """
        if file.is_half_packed and file.path is not None:
            file.path.with_name(file.path.name + ".gz").unlink()
            file.is_half_packed = False

    def _pack(self, file: File) -> Path:
        assert file.path is not None
        packed = file.path.with_name(file.path.name + ".gz")
        packed.write_bytes(gzip.compress(file.path.read_bytes(), mtime=0))
        shutil.copystat(file.path, packed)
        return packed

    def _line(self, width: int) -> bytes:
        """Return a line that is like no other."""
        self._numbers += 1
        return b"%08d" % self._numbers + b"." * (width - 8)

    def _add(self, content: Content, line: bytes) -> None:
        self._owner[line] = content, len(content.lines)
        content.lines.append(line)

    def _write(self, file: File, raw: bytes) -> None:
        assert file.handle is not None
        file.handle.write(raw)
        self._stamp(file)

    def _stamp(self, file: File) -> None:
        """Let the file have been written at the model's time."""
        moment = _EPOCH + self._ticks * 10**6
        target = file.path if file.handle is None else file.handle.fileno()
        assert target is not None
        os.utime(target, ns=(moment, moment))
