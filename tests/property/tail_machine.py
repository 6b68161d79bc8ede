"""A writer and a follower for random sequences: the rules that hold however files are rotated."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from ai_suricata.config.source import SourceSettings
from ai_suricata.core.clock import ManualClock
from ai_suricata.core.position import Position, files_of
from ai_suricata.source.file import log as source_file
from ai_suricata.source.file.tail import GLOB_INTERVAL, Tail
from property.tail_model import Model
from property.tail_writer import NAMINGS

GRACE = 1000.0
"""Far more than the seconds that pass while the Tail looks at its glob again and again."""

WIDTHS = st.sampled_from([70, 200, 1500])
WHICH = st.integers(0, 1)
"""Of two followed paths; where there is one, always that."""
MOST_BATCHES = 10_000

runs = precondition(lambda self: self.tail is not None)
is_down = precondition(lambda self: self.tail is None)
has_renamed = precondition(lambda self: any(file.path for file in self.model.retired))
has_retired = precondition(lambda self: self.model.retired)


class Following(RuleBasedStateMachine):
    """A writer, and a Tail that ends now and then. Follows `eve.json` by name."""

    names: tuple[str, ...] = ("eve.json",)
    followed: tuple[str, ...] = ("eve.json",)
    is_globbed = False

    @initialize(
        batch_size=st.sampled_from([1, 3, 1000]),
        block=st.sampled_from([50, 1000, 65536]),
        naming=st.sampled_from(NAMINGS),
    )
    def begin(self, batch_size: int, block: int, naming: str) -> None:
        """Follow a file that does not exist yet, from here on."""
        self.block, source_file.BLOCK_BYTES = source_file.BLOCK_BYTES, block
        self.folder = Path(tempfile.mkdtemp(prefix="tail-"))
        self.paths = [self.folder / name for name in self.names]
        self.settings = SourceSettings(
            paths=tuple(str(self.folder / name) for name in self.followed),
            batch_size=batch_size,
            rotation_grace=GRACE,
        )
        self.clock = ManualClock(1000.0)
        self.model = self.new_model(naming)
        self.tail: Tail | None = None
        self.stored: Position | None = None
        self.start()
        self.store()

    def new_model(self, naming: str) -> Model:
        """Return the account of what is written."""
        return Model(self.paths, naming, is_globbed=self.is_globbed)

    def teardown(self) -> None:
        """Let all grace end: now nothing may be missing, and a restart finds nothing new."""
        if not hasattr(self, "tail"):
            return
        try:
            self.settle()
            self.model.check_complete()
            self.check_rest()
            self.stop_cleanly()
            self.start()
            self.drain()
            self.model.check_complete()
        finally:
            if self.tail is not None:
                self.tail.close()
            source_file.BLOCK_BYTES = self.block
            self.model.close()
            shutil.rmtree(self.folder)

    def settle(self) -> None:
        """Let a running Tail find, read and finish all that there is."""
        if self.tail is None:
            self.start()
        self.let_grace_end()
        for path in self.paths:  # a rotation is when a Tail looks what else there is
            self.model.rename(path)
        self.let_grace_end()

    def check_rest(self) -> None:
        """Nothing waits, and of each path one file is being read."""
        assert self.tail is not None
        assert self.is_globbed or self.tail.lag().bytes == 0  # a glob waits for unfinished lines
        assert self.tail.waiting_for is None
        for path in self.paths:
            places = files_of(self.tail.position, str(path))
            assert [path.stat().st_ino] == [place.inode for place in places if not place.done]

    # -- the writer -------------------------------------------------------------------------------

    def path(self, which: int) -> Path:
        """Return one of the followed paths."""
        return self.paths[which % len(self.paths)]

    @rule(which=WHICH, count=st.integers(1, 8), width=WIDTHS, end=st.sampled_from([b"\n", b"\r\n"]))
    def append_lines(self, which: int, count: int, width: int, end: bytes) -> None:
        """Write whole lines."""
        self.model.write_lines(self.model.at(self.path(which)), count, width, end)

    @rule(which=WHICH, width=WIDTHS, share=st.floats(0.01, 0.99))
    def append_partial_line(self, which: int, width: int, share: float) -> None:
        """Write the beginning of a line."""
        self.model.start_line(self.model.at(self.path(which)), width, share)

    @rule(which=WHICH)
    def finish_partial_line(self, which: int) -> None:
        """Write the end of the unfinished line, if there is one."""
        self.model.finish_line(self.model.at(self.path(which)))

    @has_retired
    @rule(data=st.data(), count=st.integers(1, 3), width=WIDTHS)
    def write_on(self, data: st.DataObject, count: int, width: int) -> None:
        """Write lines into a file that was renamed or deleted, as Suricata does before SIGHUP."""
        file = data.draw(st.sampled_from(self.model.retired))
        self.model.write_lines(file, count, width)

    @rule()
    def pause(self) -> None:
        """Let the clock of the file system tick: it is coarser than a rotation is quick."""
        self.model.pause()

    # -- the rotation -----------------------------------------------------------------------------

    @rule(which=WHICH, create=st.booleans())
    def rename(self, which: int, create: bool) -> None:  # noqa: FBT001 - hypothesis: by name
        """Rename the file; the new one is created now or with its first line."""
        self.model.at(self.path(which))
        self.model.rename(self.path(which))
        if create:
            self.model.at(self.path(which))

    @rule(which=WHICH, create=st.booleans())
    def delete(self, which: int, create: bool) -> None:  # noqa: FBT001 - hypothesis: by name
        """Delete the file; the new one is created now or with its first line."""
        self.model.at(self.path(which))
        self.model.delete(self.path(which))
        if create:
            self.model.at(self.path(which))

    @rule(which=WHICH)
    def truncate(self, which: int) -> None:
        """Empty the file in place."""
        self.model.truncate(self.model.at(self.path(which)))

    @has_renamed
    @rule(data=st.data(), count=st.integers(1, 30))
    def truncate_renamed(self, data: st.DataObject, count: int) -> None:
        """Empty a file that has been renamed, and write on into it."""
        file = data.draw(st.sampled_from([file for file in self.model.retired if file.path]))
        self.model.truncate(file)
        self.model.write_lines(file, count, 70)

    @precondition(lambda self: self.model.rotated)
    @rule(data=st.data())
    def drop_rotated(self, data: st.DataObject) -> None:
        """Delete a rotated file, compressed or not."""
        self.model.drop(data.draw(st.sampled_from(self.model.rotated)))

    # -- the reader -------------------------------------------------------------------------------

    @runs
    @rule(count=st.integers(1, 4), stored=st.booleans())
    def poll(self, count: int, stored: bool) -> None:  # noqa: FBT001 - hypothesis: by name
        """Take some batches; their position is stored or not."""
        self.clock.advance(GLOB_INTERVAL)
        taken = [self.read_once() for _ in range(count)]
        if stored and any(taken):
            self.store()

    @runs
    @rule()
    def let_grace_end(self) -> None:
        """Let the renamed files go: an unfinished line in them is then handed out as it is."""
        for path in self.paths:
            self.model.write_lines(self.model.at(path), 1, 70)
        self.drain()
        self.clock.advance(GRACE + 1)
        self.model.end_writers()
        self.drain()
        for path in self.paths:
            self.model.write_lines(self.model.at(path), 1, 70)
        self.drain()
        self.store()
        self.model.end_grace()

    @runs
    @rule()
    def stop_cleanly(self) -> None:
        """End the Tail; the position that it stands at has been stored."""
        self.store()
        self.kill()

    @runs
    @rule()
    def kill(self) -> None:
        """End the Tail: what it handed out since the stored position comes again."""
        assert self.tail is not None
        self.tail.close()
        self.tail = None
        self.model.stop(self.fresh_reports)

    @is_down
    @rule()
    def start(self) -> None:
        """Make a Tail as a starting daemon does, from the stored position."""
        self.model.start()
        self.tail = Tail(self.settings, self.stored, self.clock.now)
        self.run_reports = self.fresh_reports = 0
        self.observe()

    @runs
    @rule()
    def kill_and_restart(self) -> None:
        """End the Tail without storing its position, and start it at once."""
        self.kill()
        self.start()

    def read_once(self) -> bool:
        """Take one batch; return whether there was one."""
        assert self.tail is not None
        batch = self.tail.poll()
        if batch is not None:
            assert len(batch.lines) <= self.settings.batch_size
            assert batch.position == self.tail.position
            for line in batch.lines:
                self.model.deliver(line)
        self.observe()
        return batch is not None

    def drain(self) -> None:
        """Take all that waits, also what only a second look at the glob finds."""
        for _ in range(3):
            self.clock.advance(GLOB_INTERVAL)
            for _ in range(MOST_BATCHES):
                if not self.read_once():
                    break

    def observe(self) -> None:
        """Note what the Tail has looked at, and what it reports: never more than can be lost."""
        assert self.tail is not None
        reports = self.tail.losses.occasions.total()
        fresh, self.run_reports = reports - self.run_reports, reports
        self.fresh_reports += fresh
        self.model.reports += fresh
        due = self.model.possible - self.kept_reports
        assert self.fresh_reports <= due, f"cried wolf: {self.tail.losses.occasions}"
        self.model.look()

    def store(self) -> None:
        """Store the position, as bytes: a restart begins here."""
        assert self.tail is not None
        written = msgspec.json.encode(self.tail.position)
        self.stored = msgspec.json.decode(written, type=Position)
        self.kept_reports += self.fresh_reports
        self.fresh_reports = 0
        self.model.store()

    kept_reports = 0
    """Losses reported before the position was stored: they are not reported again."""
    fresh_reports = 0
    """Those since: a killed Tail forgets them."""
