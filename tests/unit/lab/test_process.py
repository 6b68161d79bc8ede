"""Processes of the lab end with it, and their failures are told."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest
from lab.process import LabError, run, running, wait_until

if TYPE_CHECKING:
    from pathlib import Path

STUBBORN = (
    "import pathlib, signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "pathlib.Path('ready').touch()\n"
    "while True: time.sleep(60)\n"
)


def test_failure_carries_the_complaint() -> None:
    """A command that fails raises what it wrote to stderr."""
    with pytest.raises(LabError, match="no such thing"):
        run(["sh", "-c", "echo no such thing >&2; exit 3"])


def test_process_ends_with_its_block(tmp_path: Path) -> None:
    """On leaving, the process has been ended and reaped."""
    with running(["sleep", "600"], cwd=tmp_path, log=tmp_path / "log") as process:
        assert process.poll() is None

    assert -signal.SIGTERM == process.returncode


def test_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    """Past its time of grace a process is killed."""
    words = [sys.executable, "-c", STUBBORN]
    with running(words, cwd=tmp_path, log=tmp_path / "log", grace=0.2) as process:
        wait_until((tmp_path / "ready").exists, limit=10, what="the process to ignore SIGTERM")

    assert -signal.SIGKILL == process.returncode


def test_waiting_is_bounded() -> None:
    """What never comes true is an error that names it."""
    with pytest.raises(LabError, match="in vain for rain"):
        wait_until(lambda: False, limit=0.1, what="rain")
