"""Processes that the lab starts, and ends by their own id."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""
_POLL = 0.05


class LabError(Exception):
    """The lab can't go on. The text says which step failed and what the program said."""


def run(words: Sequence[str], *, text: str = "", timeout: float = 30.0) -> str:
    """Run a command to its end and return its output; raises LabError with its complaint."""
    try:
        done = subprocess.run(
            words, input=text, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(words)} did not end in {timeout:g} s") from error
    if done.returncode != 0:
        raise LabError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def wait_until(condition: Callable[[], bool], *, limit: float, what: str) -> None:
    """Wait for a condition, at most `limit` seconds; raises LabError naming `what` was awaited."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise LabError(f"waited {limit:g} s in vain for {what}")
        time.sleep(_POLL)


@contextmanager
def running(
    words: Sequence[str], *, cwd: Path, log: Path, grace: float = GRACE
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process; end it on leaving. Children of its own end with their namespace."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # ^C reaches the lab alone, which then ends them in order
            cwd=cwd,
        )
    try:
        yield process
    finally:
        end(process, grace)


def end(process: subprocess.Popen[bytes], grace: float = GRACE) -> int:
    """Ask the process to end, insist after `grace` seconds, and return its exit status."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(grace)
