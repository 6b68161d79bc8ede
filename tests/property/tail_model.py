"""What was written into log files, where it still is, and what a follower can know of it.

A `Content` is what one file held between its creation, or truncation, and its end. A follower owes
all of its lines unless it was destroyed while the follower could not get at it; then it owes a
report (`tail.losses`) if it had seen any of it. What it never saw, nobody can miss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from property.tail_content import TELLING
from property.tail_writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from property.tail_content import Content, File


class Model(Writer):
    """Keeps account of what a follower has had of the files, and may have known of them."""

    def deliver(self, line: bytes) -> None:
        """Check that this line comes next in its file, and for the first time."""
        assert line in self._owner, f"made up: {line[:80]!r}"
        content, number = self._owner[line]
        if not content.lines and len(line) < TELLING:
            return  # all that there is of it: too little to be known again when compressed
        assert (content.delivered, line[:80]) == (number, line[:80]), "expected number, line"
        content.delivered += 1
        content.is_held = True

    def look(self) -> None:
        """Note that the running follower has looked at its paths."""
        for path in self.paths:
            if not self._known(path):
                self._forgive(path)
        for file in self.current.values():
            if file.size or not self._is_globbed:
                file.content.seen = file.size
                file.content.is_held = True
        # Emptied in place, it is open still, also where a glob would not open it or it has no name
        # any more: a follower has a place in it, and what is written there later it would miss.
        for file in (*self.current.values(), *self.retired):
            file.content.is_glimpsed |= file.content.is_held
        for file in self.rotated:
            file.content.is_glimpsed = True
            file.content.is_held |= file.content.is_known and file.content.path in self.current

    def store(self) -> None:
        """Note that the follower's position has been stored."""
        for content in self.contents:
            content.stored, content.seen_stored = content.delivered, content.seen

    def stop(self, forgotten: int) -> None:
        """Note that the follower has ended: what it had not stored is forgotten.

        `forgotten`: so many of its reports as well, which are due again.
        """
        for content in self.contents:
            content.delivered, content.seen = content.stored, content.seen_stored
            content.is_held = False
            if content.lost_at is not None and content.lost_at >= self.reports - forgotten:
                content.lost_at = self.reports
        linked = {file.content for file in (*self.current.values(), *self.rotated)}
        for content in self.contents:
            if content not in linked and not content.is_finished:
                self._destroy(content)
        for file in self.rotated:
            is_due = file.is_packed and not file.content.is_finished
            self.possible += is_due and file.content.is_untellable

    def start(self) -> None:
        """Note that a follower starts: with nothing left of what it knew, all is old to it."""
        for path in self.paths:
            known = self._known(path)
            if not known or known[-1].lost_at is not None:
                self._forgive(path)

    def end_writers(self) -> None:
        """Let the writers of all replaced files let go."""
        for file in [*self.retired]:
            self._end(file)

    def end_grace(self) -> None:
        """Note that the follower has had all, has waited, and has stored its position."""
        standing = {file.content for file in self.current.values()}
        for content in self.contents:
            content.is_finished |= content not in standing

    def check_complete(self) -> None:
        """Every line was handed out, or could be lost and was reported where that was possible."""
        for content in self.contents:
            if content.is_complete or content.is_optional:
                continue
            tale = f"{content.lines[content.delivered][:8]!r} of {content.path.name}"
            assert content.lost_at is not None, f"lost, though it is there: {tale}"
            if content.is_known:
                assert content.lost_at < self.reports, f"lost without a report: {tale}"

    def _known(self, path: Path) -> list[Content]:
        """Return what the follower knows to have been at this path, oldest first."""
        return [c for c in self.contents if c.path == path and c.seen is not None]

    def _forgive(self, path: Path) -> None:
        """Excuse the follower from what was rotated away before it ever looked."""
        for file in self.rotated:
            if file.content.path == path and not file.content.is_known:
                file.content.is_optional |= file.is_packed or not self._is_globbed


class SymlinkModel(Model):
    """The followed path is a symlink, which is led to the next file instead of renaming."""

    def _create(self, path: Path) -> Path:
        self._names += 1
        target, beside = path.with_name(f"log-{self._names}"), path.with_name("link.new")
        beside.symlink_to(target.name)
        beside.replace(path)
        return target

    def _move(self, file: File, path: Path) -> Path:
        """Leave the file where it is: its name does not tell a follower whose it was."""
        file.content.is_optional |= path in self.paths and not file.content.is_known
        assert file.path is not None
        return file.path

    def truncate(self, file: File) -> None:
        """Empty a file. What it holds then is new, and no name tells it: only who has it open."""
        super().truncate(file)
        is_told = file.content.is_held or file in self.current.values()
        file.content.is_optional |= not is_told

    def stop(self, forgotten: int) -> None:
        """Let go what the follower knew of and had not stored, where no name leads back to it."""
        super().stop(forgotten)
        standing = {file.content for file in self.current.values()}
        for content in self.contents:
            content.is_optional |= content not in standing and not content.is_known
