"""Random sequences of what can happen to a log file, checked against a model.

The model knows which lines were written into which file. Whatever happens, each of them is handed
out exactly once and in order within its file; only what no reader could have got (the unread rest
of a file that was truncated, or deleted while nobody had it open) may be missing at the end.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from structlog.testing import capture_logs

from ai_suricata.config.source import SourceSettings
from ai_suricata.core.clock import ManualClock
from ai_suricata.core.position import files_of
from ai_suricata.source import file as source_file
from ai_suricata.source.tail import GLOB_INTERVAL, Tail

if TYPE_CHECKING:
    from typing import BinaryIO

    from ai_suricata.core.position import Position

GRACE = 1000.0
"""Far more than the seconds that pass while the Tail looks at its glob again and again."""
MOST_OPEN = 6
"""Fewer than a Tail keeps open, so that none is given up."""

WIDTHS = st.sampled_from([70, 200, 1500])


@dataclass
class Content:
    """What was written into one file, between its creation and its end or truncation."""

    handle: BinaryIO
    """The writer's own: it follows the file wherever it is moved."""
    lines: list[bytes] = field(default_factory=list)
    """Whole lines, without their ends."""
    started: bytes = b""
    """Of a line that has no end yet: what was written."""
    missing: bytes = b""
    """Of a line that has no end yet: what was not written."""
    may_lack: bool = False
    """Whether its last lines may be missing for ever."""
    deleted: bool = False


class Rotation(RuleBasedStateMachine):
    """A writer, a logrotate and a Tail that is killed now and then. Follows `eve.json` by name."""

    followed = "eve.json"
    opens_empty_files = True

    @initialize(batch_size=st.sampled_from([1, 3, 1000]), block=st.sampled_from([50, 1000, 65536]))
    def begin(self, batch_size: int, block: int) -> None:
        """Follow a file that does not exist yet, from here on."""
        self.block, source_file.BLOCK_BYTES = source_file.BLOCK_BYTES, block
        self.folder = Path(tempfile.mkdtemp(prefix="tail-"))
        self.eve = self.folder / "eve.json"
        self.settings = SourceSettings(
            paths=(str(self.folder / self.followed),), batch_size=batch_size, rotation_grace=GRACE
        )
        self.clock = ManualClock(1000.0)
        self.ticks = self.numbers = self.names = 0
        self.contents: list[Content] = []
        self.current: Content | None = None
        self.retired: list[Content] = []
        self.delivered: list[bytes] = []
        self.created_since_stored = False
        self.start(None)
        self.store()

    def start(self, position: Position | None) -> None:
        """Make a Tail as a starting daemon does."""
        self.tail = Tail(self.settings, position, self.clock.now)

    def teardown(self) -> None:
        """Let all grace end: now nothing may be missing."""
        if not hasattr(self, "tail"):
            return
        try:
            self.let_grace_end()
            for content in self.contents:
                if not content.may_lack:
                    assert content.lines == self.delivered_of(content)
            assert self.tail.lag().bytes == 0
            open_files = [
                file for p in self.tail.position for file in files_of(self.tail.position, p)
            ]
            assert [self.eve.stat().st_ino] == [
                f.inode for f in open_files if f.inode == self.eve.stat().st_ino
            ]
            assert len(self.tail.position[str(self.eve)]) == 1
        finally:
            self.tail.close()
            source_file.BLOCK_BYTES = self.block
            for content in self.contents:
                content.handle.close()
            shutil.rmtree(self.folder)

    # The writer.

    def writable(self) -> Content:
        """Return the content of the file at the path, which is created where it is missing."""
        if self.current is None:
            handle = self.eve.open("ab", buffering=0)
            self.current = Content(handle)
            self.contents.append(self.current)
            self.created_since_stored = True
        return self.current

    def write(self, content: Content, raw: bytes) -> None:
        """Write bytes at the end; time passes with each write."""
        self.ticks += 1
        content.handle.write(raw)
        moment = 10**18 + self.ticks * 10**6
        os.utime(content.handle.fileno(), ns=(moment, moment))

    def line(self, width: int) -> bytes:
        """Return a line that is like no other."""
        self.numbers += 1
        return b"%08d" % self.numbers + b"." * (width - 8)

    def write_lines(self, content: Content, count: int, width: int) -> None:
        """Write whole lines, all at once."""
        self.finish(content)
        new = [self.line(width) for _ in range(count)]
        content.lines += new
        self.write(content, b"".join(line + b"\n" for line in new))

    def finish(self, content: Content) -> None:
        """Write the end of an unfinished line."""
        if content.started:
            content.lines.append(content.started + content.missing)
            self.write(content, content.missing + b"\n")
            content.started = content.missing = b""

    @rule(count=st.integers(1, 8), width=WIDTHS)
    def append_lines(self, count: int, width: int) -> None:
        """Write whole lines."""
        self.write_lines(self.writable(), count, width)

    @rule(width=WIDTHS, share=st.floats(0.01, 0.99))
    def append_partial_line(self, width: int, share: float) -> None:
        """Write the beginning of a line."""
        content = self.writable()
        self.finish(content)
        line = self.line(width)
        cut = max(8, int(len(line) * share))  # the number, so that it is like no other
        content.started, content.missing = line[:cut], line[cut:]
        self.write(content, content.started)

    @precondition(lambda self: self.current is not None)
    @rule()
    def finish_partial_line(self) -> None:
        """Write the end of the unfinished line, if there is one."""
        self.finish(self.writable())

    @precondition(lambda self: self.retired)
    @rule(data=st.data(), count=st.integers(1, 3), width=WIDTHS)
    def write_on_into_renamed_file(self, data: st.DataObject, count: int, width: int) -> None:
        """Write lines into a file that was renamed or deleted, within the grace."""
        self.write_lines(data.draw(st.sampled_from(self.retired)), count, width)

    # The rotation.

    def retire(self) -> None:
        """Take the present content away from the path."""
        assert self.current is not None
        self.retired.append(self.current)
        self.current = None

    def prepare_rotation(self) -> None:
        """Bound what a restart has to find: not many files, and none of which nothing is stored."""
        if self.tail.lag().files >= MOST_OPEN:
            self.let_grace_end()
        self.tail_looks()
        if self.created_since_stored:
            self.drain()
            self.store()

    def free_name(self) -> Path:
        """Return a name that a rotation could give."""
        self.names += 1
        return self.folder / f"eve.json.{self.names}"

    @precondition(lambda self: self.current is not None)
    @rule(create=st.booleans())
    def rename(self, create: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        """Rename the file; the new one is created now or with its first line."""
        self.prepare_rotation()
        self.eve.rename(self.free_name())
        self.retire()
        if create:
            self.writable()

    @precondition(lambda self: self.current is not None)
    @rule(create=st.booleans())
    def delete(self, create: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        """Delete the file; the new one is created now or with its first line."""
        self.prepare_rotation()
        content = self.writable()
        content.deleted = True
        content.may_lack |= not (self.opens_empty_files or self.eve.stat().st_size)
        self.eve.unlink()
        self.retire()
        if create:
            self.writable()

    def begin_content_anew(self) -> None:
        """Empty the file; what the Tail has not handed out may be lost."""
        content = self.writable()
        content.may_lack = True
        if content.started:  # a copy, if there is one, ends in the middle of this line
            content.lines.append(content.started)
            content.started = content.missing = b""
        content.handle.truncate(0)
        self.current = Content(content.handle)
        self.contents.append(self.current)
        self.created_since_stored = True

    @precondition(lambda self: self.current is not None)
    @rule()
    def truncate(self) -> None:
        """Empty the file in place."""
        self.tail_looks()
        self.begin_content_anew()

    @precondition(lambda self: self.current is not None and self.current.lines)
    @rule()
    def copy_and_truncate(self) -> None:
        """Copy the file and empty it, once it has been read: without that, lines are lost."""
        self.prepare_rotation()
        self.drain()
        self.store()
        content = self.writable()
        ends_whole = not content.started
        shutil.copy2(self.eve, self.free_name())
        self.begin_content_anew()
        content.may_lack = not ends_whole

    # The reader.

    def tail_looks(self) -> None:
        """Let the Tail see what stands at the path, so that it has the file open."""
        self.clock.advance(GLOB_INTERVAL)
        self.read_once()

    def read_once(self) -> bool:
        """Take one batch; return whether there was one."""
        batch = self.tail.poll()
        if batch is None:
            return False
        self.delivered += batch.lines
        self.handed_out = batch.position
        return True

    def drain(self) -> None:
        """Take all that waits."""
        while self.read_once():
            pass

    def store(self) -> None:
        """Store the position: a restart begins here."""
        self.stored = self.tail.position
        self.stored_count = len(self.delivered)
        self.created_since_stored = False

    @rule(count=st.integers(1, 4), stored=st.booleans())
    def poll(self, count: int, stored: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        """Take some batches; their position is stored or not."""
        before = len(self.delivered)
        for _ in range(count):
            self.read_once()
        if stored and len(self.delivered) > before:
            assert self.handed_out.keys() <= self.tail.position.keys()
            self.store()

    @rule()
    def let_grace_end(self) -> None:
        """Let the renamed files go: an unfinished line in them is then handed out as it is."""
        self.write_lines(self.writable(), 1, 70)
        self.drain()
        self.clock.advance(GRACE + 1)
        self.drain()
        for content in self.retired:
            if content.started:
                content.lines.append(content.started)
                content.started = content.missing = b""
        self.retired.clear()
        self.write_lines(self.writable(), 1, 70)
        self.drain()
        self.store()

    @rule()
    def kill_and_restart(self) -> None:
        """Start again from the stored position: what was handed out since comes again."""
        self.tail.close()
        del self.delivered[self.stored_count :]
        for content in self.retired:
            content.may_lack |= content.deleted
        self.start(self.stored)

    def delivered_of(self, content: Content) -> list[bytes]:
        """Return what was handed out of this content, in order."""
        own = {*content.lines, content.started}
        return [line for line in self.delivered if line in own]

    @invariant()
    def nothing_is_repeated_reordered_or_made_up(self) -> None:
        """Hold what was handed out of each file against the beginning of what was written."""
        if not hasattr(self, "tail"):
            return
        for content in self.contents:
            delivered = self.delivered_of(content)
            assert content.lines[: len(delivered)] == delivered
        known = {line for content in self.contents for line in content.lines}
        assert set() == set(self.delivered) - known


class GlobbedRotation(Rotation):
    """The same with a glob that matches the rotated files as well."""

    followed = "eve*"
    opens_empty_files = False


SETTINGS = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def test_every_line_once_and_in_order() -> None:
    """Whatever happens to the file, each whole line is handed out exactly once."""
    with capture_logs():
        run_state_machine_as_test(Rotation, settings=SETTINGS)


def test_every_line_once_though_the_glob_matches_rotated_files() -> None:
    """A file that is met under a second name is not read again."""
    with capture_logs():
        run_state_machine_as_test(GlobbedRotation, settings=SETTINGS)
