"""The log file of the rotation test, what it is rotated to, and an account of every line in it."""

from __future__ import annotations

import gzip
import os
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.rotation_line import line_of
from benchmarks.rotation_reader import GRACE

if TYPE_CHECKING:
    import random
    from pathlib import Path

MOST_OLD = 2
"""Renamed files that are still written to."""
WRITES_ON = GRACE / 4
"""Seconds after a rename, or the latest line since, within which the writer may go on."""
_NAMES = ("eve.json.{}", "eve.json-{}", "eve-{}.json")


@dataclass(eq=False)
class Content:
    """What one file holds between its creation, or truncation, and its end."""

    number: int
    descriptor: int
    """The writer's own; -1 once it has let go."""
    is_anchored: bool
    """Whether a reader can tell that it is new, still knowing what stood there before."""
    lines: int = 0
    """Whole ones."""
    rest: bytes = b""
    """Of a line that has no end yet: what was not written."""
    written_at: float = 0.0
    inodes: set[int] = field(default_factory=set)
    """Under which a reader may have it open, once it has been rotated."""
    lost_at: int | None = None
    """Losses that the reader had reported when it was destroyed, where it may have been behind."""

    def write(self, raw: bytes) -> None:
        """Write bytes at the end."""
        self.written_at = time.monotonic()
        while raw:
            raw = raw[os.write(self.descriptor, raw) :]

    def append(self, count: int, size: int, end: bytes, chance: random.Random) -> None:
        """Write so many lines of so many bytes, in two writes that meet anywhere."""
        self.end_line()
        numbers = range(self.lines, self.lines + count)
        raw = b"".join(line_of(self.number, number, size) + end for number in numbers)
        cut = chance.randint(0, len(raw))
        self.write(raw[:cut])
        self.write(raw[cut:])
        self.lines += count

    def begin_line(self, size: int, chance: random.Random) -> None:
        """Write the beginning of a line, up to anywhere in its padding."""
        self.end_line()
        line = line_of(self.number, self.lines, size)
        cut = chance.randint(line.index(b"x"), size - 2)
        self.rest = line[cut:] + b"\n"
        self.write(line[:cut])

    def end_line(self) -> None:
        """Write the end of an unfinished line, if there is one."""
        if self.rest:
            self.write(self.rest)
            self.lines += 1
            self.rest = b""

    def close(self) -> None:
        """Let go of the file: an unfinished line stays as it is."""
        os.close(self.descriptor)
        self.descriptor = -1


class Log:
    """The file at one path and its rotated ones; knows nothing of who reads them."""

    def __init__(self, path: Path) -> None:
        """`path`: where nothing is yet."""
        self.path = path
        self.contents: list[Content] = []
        self.standing: Content | None = None
        """What is at the path."""
        self.old: list[Content] = []
        """Renamed, and still written to; oldest first."""
        self.rotated: dict[Path, Content] = {}
        """By the name that it has now."""
        self.rotations = 0
        self.create(is_anchored=False)

    @property
    def written(self) -> int:
        """How many whole lines there are."""
        return sum(content.lines for content in self.contents)

    def target(self) -> Content:
        """Return what Suricata writes into: a renamed file until it is told of the new one."""
        self.let_go()
        if self.standing is None and not self.old:
            self.create(is_anchored=True)
        return self.standing or self.old[-1]

    def create(self, *, is_anchored: bool) -> None:
        """Create the file."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._begin(os.open(self.path, flags, 0o644), is_anchored=is_anchored)

    def move(self, content: Content, chance: random.Random) -> None:
        """Rename the file; its writer goes on for a while."""
        name = self.path.rename(self._free_name(chance))
        self.rotated[name] = content
        content.inodes.add(name.stat().st_ino)
        self.rotations += 1
        content.written_at = time.monotonic()
        self.old.append(content)
        self.standing = None
        self.let_go()

    def copy_and_truncate(self, content: Content, chance: random.Random) -> None:
        """Copy the file, then empty it."""
        copy = self._free_name(chance)
        shutil.copyfile(self.path, copy)
        self.rotated[copy] = content
        content.inodes.add(copy.stat().st_ino)
        self.rotations += 1
        self._begin_anew(content, is_anchored=True)

    def truncate(self, content: Content) -> None:
        """Empty the file in place."""
        self._begin_anew(content, is_anchored=False)

    def delete(self, content: Content) -> None:
        """Delete the file, and create the next one."""
        self.path.unlink()
        content.close()
        self.create(is_anchored=False)

    def compress(self, path: Path) -> Content:
        """Gzip a rotated file as logrotate does: beside it, of the same time, then unlink it."""
        packed = path.with_name(path.name + ".gz")
        with path.open("rb") as source, gzip.open(packed, "wb", compresslevel=1) as target:
            shutil.copyfileobj(source, target)
        shutil.copystat(path, packed)
        path.unlink()
        content = self.rotated[packed] = self.rotated.pop(path)
        content.inodes.add(packed.stat().st_ino)
        return content

    def remove(self, path: Path) -> None:
        """Delete a rotated file."""
        path.unlink()
        del self.rotated[path]

    def let_go(self) -> None:
        """Close the renamed files that the writer has had its time with."""
        since = time.monotonic() - WRITES_ON
        for content in [*self.old]:
            is_late = content.written_at < since
            if len(self.old) > MOST_OLD or is_late:
                self.old.remove(content)
                if not is_late:
                    content.end_line()
                content.close()

    def finish(self) -> None:
        """Let the file be there, and all lines have an end, so that everything can be read."""
        self.let_go()
        if self.standing is None:
            self.create(is_anchored=True)
        for content in [*self.old, self.target()]:
            content.end_line()

    def _begin(self, descriptor: int, *, is_anchored: bool) -> None:
        self.standing = Content(len(self.contents), descriptor, is_anchored)
        self.contents.append(self.standing)

    def _begin_anew(self, content: Content, *, is_anchored: bool) -> None:
        """Empty the file: what follows is another content."""
        os.ftruncate(content.descriptor, 0)
        self._begin(content.descriptor, is_anchored=is_anchored)
        content.descriptor = -1

    def _free_name(self, chance: random.Random) -> Path:
        number = 20260101_000000 + len(self.contents)
        return self.path.with_name(chance.choice(_NAMES).format(number))
