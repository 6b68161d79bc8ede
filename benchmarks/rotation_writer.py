"""The writer of the rotation test: does to a log file what Suricata, logrotate and operators do.

Each step is one of `KINDS`. A step that would destroy what no reader could know of, or that has
nothing to act on, becomes a plain write. What a reader can know of is destroyed in two ways: when
the reader has stored all of it, and when it may be behind.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from benchmarks.killing import reach
from benchmarks.rotation_log import Log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.rotation_journal import Journal
    from benchmarks.rotation_log import Content

KEPT = 2
"""Rotated files that are never removed."""
RETRIED = 0.3
"""Part of the steps in which a kind is tried that could not be done before."""
_LONG = 300_000
_SHORT = 200
_CRLF = b"\r\n"


class Writer:
    """Takes one step after the other. What is done to the files is `Log`'s business."""

    def __init__(self, path: Path, journal: Journal, is_read: Callable[[], bool]) -> None:
        """`is_read`: whether a reader is running."""
        self.log = Log(path)
        self.steps: Counter[str] = Counter()
        self.owed: list[str] = []
        """Kinds that could not be done yet."""
        self.reportable = 0
        """Losses that the reader may have to report, since it can't know better."""
        self._journal = journal
        self._is_read = is_read

    def step(self, kind: str, chance: random.Random) -> None:
        """Do a step of this kind, or write a few lines where it has nothing to act on.

        A kind that has never been done yet is tried again later.
        """
        if self.owed and chance.random() < RETRIED:
            kind = self.owed.pop(0)
        is_done = KINDS[kind][1](self, chance)
        if not is_done:
            self.write(chance)
            if not self.steps[kind] and kind not in self.owed:
                self.owed.append(kind)
        self.steps[kind if is_done else WRITE] += 1

    def is_caught_up(self) -> bool:
        """Whether the reader has stored all that was not destroyed."""
        self._journal.read()
        return all(self._is_stored(c) for c in self.log.contents if c.lost_at is None)

    # -- the steps: each returns whether it could be done -----------------------------------------

    def write(self, chance: random.Random) -> bool:
        """Write 1 to 50 lines."""
        size = chance.randint(100, 1500)
        self.log.target().append(chance.randint(1, 50), size, b"\n", chance)
        return True

    def write_long(self, chance: random.Random) -> bool:
        """Write lines that take more than one reading."""
        size = chance.randint(_LONG // 3, _LONG)
        self.log.target().append(chance.randint(1, 3), size, b"\n", chance)
        return True

    def write_crlf(self, chance: random.Random) -> bool:
        """Write lines that end as on Windows."""
        self.log.target().append(chance.randint(1, 50), _SHORT, _CRLF, chance)
        return True

    def begin_line(self, chance: random.Random) -> bool:
        """Write the beginning of a line."""
        self.log.target().begin_line(chance.randint(100, 3000), chance)
        return True

    def end_line(self, _: random.Random) -> bool:
        """Write the end of a line that was begun."""
        content = self.log.target()
        had_rest = bool(content.rest)
        content.end_line()
        return had_rest

    def write_on(self, chance: random.Random) -> bool:
        """Write into a file that has been renamed, as Suricata does until SIGHUP."""
        self.log.let_go()
        if not self.log.old:
            return False
        chance.choice(self.log.old).append(chance.randint(1, 20), _SHORT, b"\n", chance)
        return True

    def move(self, chance: random.Random) -> bool:
        """Rename the file; the next one comes later."""
        content = self.log.standing
        if content is None or not (content.is_anchored or self._is_known(content)):
            return False
        self.log.move(content, chance)
        return True

    def move_and_create(self, chance: random.Random) -> bool:
        """Rename the file and create the next one at once."""
        return self.move(chance) and self.create(chance)

    def create(self, _: random.Random) -> bool:
        """Create the file that is not there."""
        if self.log.standing is not None:
            return False
        self.log.create(is_anchored=True)
        return True

    def copy_and_truncate(self, chance: random.Random) -> bool:
        """Copy the file and empty it, as logrotate does where Suricata can't be told."""
        content = self.log.standing
        if content is None or not self._is_known(content):
            return False
        self.log.copy_and_truncate(content, chance)
        return True

    def truncate_read(self, _: random.Random) -> bool:
        """Empty the file in place when the reader has stored all of it."""
        content = self._all_stored()
        if content is not None:
            self.reportable += 1  # something may have been written since, for all it knows
            self.log.truncate(content)
        return content is not None

    def truncate_unread(self, chance: random.Random) -> bool:
        """Empty the file in place, whether it has been read or not."""
        content = self._doomed(chance)
        if content is not None:
            self.log.truncate(content)
        return content is not None

    def delete_read(self, _: random.Random) -> bool:
        """Delete the file when the reader has stored all of it."""
        content = self._all_stored()
        if content is not None:
            self.reportable += 1  # by a reader that is killed before it has closed the file
            self.log.delete(content)
        return content is not None

    def delete_unread(self, chance: random.Random) -> bool:
        """Delete the file, whether it has been read or not."""
        content = self._doomed(chance)
        if content is not None:
            self.log.delete(content)
        return content is not None

    def compress(self, chance: random.Random) -> bool:
        """Gzip a rotated file whose writer has let go of it."""
        self.log.let_go()
        rotated, old = self.log.rotated, self.log.old
        free = [path for path, c in rotated.items() if path.suffix != ".gz" and c not in old]
        if not free:
            return False
        content = self.log.compress(chance.choice(free))
        # Of what the reader has seen no more than the name, nothing tells that it is in there.
        self.reportable += content.number not in self._stored()
        return True

    def remove(self, _: random.Random) -> bool:
        """Delete rotated files that the reader is done with, but for the newest."""
        if len(self.log.rotated) <= KEPT:
            return False
        if REMOVE not in self.steps and self._is_read():  # it is through with one sooner or later
            reach(self._has_removable, "the reader is done with a rotated file")
        removable = self._removable()
        for path in removable:
            self.log.remove(path)
        return bool(removable)

    # -- what the reader has ----------------------------------------------------------------------

    def _stored(self) -> dict[int, int]:
        """Return the latest stored line of each content of which one is stored."""
        self._journal.read()
        return self._journal.last

    def _is_stored(self, content: Content) -> bool:
        return self._journal.last.get(content.number, -1) >= content.lines - 1

    def _is_known(self, content: Content) -> bool:
        """Whether the reader has stored a line of it, so that it will know it again.

        Where the reader runs, it is given the time to.
        """
        if content.lines and self._is_read():
            reach(lambda: content.number in self._stored(), "the first line of a file is stored")
        return content.number in self._stored()

    def _all_stored(self) -> Content | None:
        """Return what stands at the path once all of it is stored; None where it can't be."""
        content = self.log.standing
        if content is None or not content.lines or not self._is_read():
            return None
        content.end_line()
        reach(lambda: self._stored() and self._is_stored(content), "a file is stored")
        return content

    def _doomed(self, chance: random.Random) -> Content | None:
        """Write once more, and return what will be destroyed; None where nobody can know of it."""
        content = self.log.standing
        if content is None or not self._is_known(content):
            return None
        self.write(chance)
        self.reportable += 1
        content.lost_at = len(self._journal.losses)
        return content

    def _removable(self) -> list[Path]:
        self._journal.read()
        self.log.let_go()
        return [path for path, c in [*self.log.rotated.items()][:-KEPT] if self._is_done(c)]

    def _has_removable(self) -> bool:
        content = self.log.target()
        content.append(1, _SHORT, b"\n", random.Random(0))  # with it the position is stored
        return bool(self._removable())

    def _is_done(self, content: Content) -> bool:
        """Whether the reader has stored all of it, has gone on to the next, and has closed it."""
        is_left = self._is_stored(content) and content.number < max(self._journal.last)
        is_open = content in self.log.old or content.inodes & self._journal.open
        return is_left and not is_open


WRITE = "write lines"
REMOVE = "remove rotated files"
KINDS: dict[str, tuple[int, Callable[[Writer, random.Random], bool]]] = {
    WRITE: (40, Writer.write),
    "write long lines": (2, Writer.write_long),
    "write lines with CRLF": (5, Writer.write_crlf),
    "begin a line": (8, Writer.begin_line),
    "end a line": (6, Writer.end_line),
    "write into the renamed file": (6, Writer.write_on),
    "mv": (4, Writer.move),
    "mv, create": (5, Writer.move_and_create),
    "create": (6, Writer.create),
    "copytruncate": (3, Writer.copy_and_truncate),
    "truncate, all read": (1, Writer.truncate_read),
    "truncate, perhaps unread": (1, Writer.truncate_unread),
    "delete, all read": (1, Writer.delete_read),
    "delete, perhaps unread": (1, Writer.delete_unread),
    "gzip a rotated file": (7, Writer.compress),
    REMOVE: (2, Writer.remove),
}
"""How often, and what is done."""
