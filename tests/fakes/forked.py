"""The daemon as a fork of a process that has imported everything already.

Half of the time of a test that starts a daemon goes into importing scikit-learn and reading the
model; a fork has both. It is a process of its own all the same: with its own signals, files and
sockets, and killed like any other. What a start costs, and that nothing is missing for it, is seen
by the tests that start it for real (`slow`, `system`), and by `make run`.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["fakes.preload"])
_TESTS = str(Path(__file__).parents[1])


def _ready() -> None:
    """Start the process that is forked, if it does not run; it finds our folder by PYTHONPATH.

    Without it the process would leave out what it can't import, and say nothing (CPython 117378).
    """
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = _TESTS if before is None else f"{_TESTS}{os.pathsep}{before}"
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


class Forked:
    """What of `subprocess.Popen` is used of a daemon."""

    def __init__(
        self, arguments: Sequence[str], variables: Mapping[str, str], folder: Path, log: Path
    ) -> None:
        """Start `ai-suricata` with these arguments; what it says is appended to `log`."""
        given = (list(arguments), dict(variables), str(folder), str(log))
        self._process = _server.Process(target=_run, args=given)
        _ready()
        self._process.start()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid or 0

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises `subprocess.TimeoutExpired`."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("ai-suricata", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()


def _run(arguments: list[str], variables: dict[str, str], folder: str, log: str) -> None:
    """Be the daemon: its environment, its folder, its files, its command line."""
    from ai_suricata.__main__ import main  # noqa: PLC0415 - in the fork alone

    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    written = os.open(log, os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for wanted, stream in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(wanted, stream)
    sys.argv = ["ai-suricata", *arguments]
    main()
