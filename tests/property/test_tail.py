"""Random sequences of what can happen to a log file, checked against a model.

Whatever happens, each whole line is handed out exactly once and in order within its file; a line
that nobody could have got any more is missing only where a loss is reported, and no loss is
reported where nothing can have been lost. `TAIL_EXAMPLES=5000` makes a long run, with other
sequences each time.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from structlog.testing import capture_logs

from property.tail_machine import WHICH, Following, runs
from property.tail_model import Model, SymlinkModel

has_unpacked = precondition(lambda self: any(not file.is_packed for file in self.model.rotated))


class Rotation(Following):
    """The same with a logrotate, whose names tell a follower where a file has gone."""

    @rule(which=WHICH, keep_time=st.booleans())
    def copy_and_truncate(self, which: int, keep_time: bool) -> None:  # noqa: FBT001 - by name
        """Copy the file and empty it."""
        self.model.copy_and_truncate(self.path(which), keep_time=keep_time)

    @has_unpacked
    @rule(data=st.data(), complete=st.booleans())
    def compress(self, data: st.DataObject, complete: bool) -> None:  # noqa: FBT001 - by name
        """Gzip a rotated file, now or later as `delaycompress` does, or begin with it."""
        unpacked = [file for file in self.model.rotated if not file.is_packed]
        file = data.draw(st.sampled_from(unpacked))
        (self.model.compress if complete else self.model.begin_to_compress)(file)

    @runs
    @rule(which=WHICH, days=st.integers(2, 12), packed=st.booleans())
    def let_days_pass(self, which: int, days: int, packed: bool) -> None:  # noqa: FBT001 - by name
        """Rotate so many times, each when all has been read; compress the older ones or not."""
        for _ in range(days):
            self.let_grace_end()
            self.model.pause()
            older = [f for f in self.model.rotated if not f.is_packed and f.content.is_finished]
            self.rename(which, create=True)
            for file in older if packed else ():
                self.model.compress(file)


class GlobbedRotation(Rotation):
    """The same with a glob that matches the rotated files as well."""

    followed = ("eve*",)
    is_globbed = True


class SwitchedSymlink(Following):
    """A symlink that is led from file to file; what it led to before is written on."""

    def new_model(self, naming: str) -> Model:
        """Return the account of what is written."""
        return SymlinkModel(self.paths, naming, is_globbed=False)


class RotationOfTwo(Rotation):
    """Two files with rotations of their own, in one folder."""

    names = followed = ("eve_em0.json", "eve_em1.json")


def profile(examples: int) -> settings:
    """Return the settings of one machine, which gets its share of a long run."""
    wanted = int(os.environ.get("TAIL_EXAMPLES", "0"))
    return settings(
        max_examples=wanted or examples,
        stateful_step_count=60 if wanted else 30,
        deadline=None,
        derandomize=not wanted,
        phases=(Phase.generate, Phase.shrink),  # to explain takes longer than to read the steps
        suppress_health_check=list(HealthCheck),
    )


def test_every_line_once_and_in_order() -> None:
    """Whatever happens to the file, each whole line is handed out exactly once."""
    with capture_logs():
        run_state_machine_as_test(Rotation, settings=profile(150))


def test_every_line_once_though_the_glob_matches_rotated_files() -> None:
    """A file that is met under a second name is not read again."""
    with capture_logs():
        run_state_machine_as_test(GlobbedRotation, settings=profile(50))


def test_every_line_once_of_several_paths() -> None:
    """What happens to one file does not touch what is read of another."""
    with capture_logs():
        run_state_machine_as_test(RotationOfTwo, settings=profile(70))


def test_every_line_once_where_a_symlink_is_switched() -> None:
    """The file that it led to is read to its end, and found again after a restart."""
    with capture_logs():
        run_state_machine_as_test(SwitchedSymlink, settings=profile(100))
