"""The audit log: one JSON line for each change of a decision, append-only, for its owner alone.

The present file is `audit.jsonl`; past a size it becomes `audit.jsonl.1`, what that was becomes
`audit.jsonl.2`, and so on. Each batch of lines opens the file anew, so that somebody else may
rotate it by renaming, too.

Nothing is synced to the disk: the ledger is the durable record, and a sync in the way of each
batch would slow the blocks. A kill of the process loses nothing that was written; a power failure
may cost the last seconds.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from ai_suricata.core.timestamp import MICROSECONDS, format_timestamp
from ai_suricata.sink.trail import Trail
from ai_suricata.state.file import open_private

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ai_suricata.core.clock import Clock
    from ai_suricata.core.decision import LedgerEntry, LedgerState

log = structlog.get_logger(__name__)

MOST_COMMANDS = 20
"""Commands that a line names; a batch can have one or two for each address."""
MOST_COMMAND = 500
"""Characters of a command that are kept."""
MOST_MEMBERS = 1000
"""Members of a network that a line names."""

_OWNER_ONLY = 0o600
# Never follow a link that somebody else has laid, nor wait for the reader of a pipe. Reading is
# for the last byte alone.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class AuditLog:
    """Appends to one file, and rotates it."""

    def __init__(
        self, path: Path, clock: Clock, most_bytes: int = 0, files: int = 1, *, firewall: str = ""
    ) -> None:
        """`path`: a .jsonl file, made at the first line; `firewall`: its place, for the lines.

        `most_bytes`: size that a file doesn't grow past, unless one batch alone does; 0: it is
        not rotated. `files`: rotated ones that are kept.
        """
        self.path = path
        self._clock = clock
        self._most = most_bytes
        self._files = files
        self._firewall = firewall
        self._broken: set[str] = set()
        """What has failed and was told."""

    def write(
        self,
        entries: Sequence[LedgerEntry],
        state: LedgerState,
        note: str,
        commands: Sequence[str] = (),
    ) -> None:
        """Write that the entries have gone into `state`. A disk that fails is told once.

        `commands`: texts of those that were sent for this batch, without their standard input.
        """
        if not entries:
            return
        now = format_timestamp(int(self._clock.now() * MICROSECONDS))
        sent = _Commands(commands, {entry.target for entry in entries})
        lines = b"".join(
            msgspec.json.encode(
                {
                    "time": now,
                    "state": state,
                    "firewall": self._firewall,
                    **_told(entry),
                    "note": note,
                    "commands": sent.of(entry.target),
                }
            )
            + b"\n"
            for entry in entries
        )
        self._attempt("audit log can't be rotated", lambda: self._make_room(len(lines)))
        self._attempt("audit log can't be written", lambda: _append(self.path, lines))

    def _make_room(self, size: int) -> None:
        """Rotate where the lines would not fit.

        Each step is a rename. A kill between two of them leaves a number free, and the next
        rotation moves only what is younger than that: nothing is lost, nothing is there twice.
        """
        present = _size(self.path)
        if not self._most or not present or present + size <= self._most:
            return
        free = next((n for n in range(1, self._files) if not self._at(n).exists()), self._files)
        for number in range(free, 1, -1):
            self._at(number - 1).replace(self._at(number))
        self.path.replace(self._at(1))
        self._forget()

    def _forget(self) -> None:
        """Remove rotated files of a time when more were kept."""
        name = re.compile(re.escape(self.path.name) + r"\.(\d+)")
        for file in self.path.parent.iterdir():
            found = name.fullmatch(file.name)
            if found is not None and int(found[1]) > self._files:
                file.unlink(missing_ok=True)

    def _at(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _attempt(self, failure: str, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as error:
            if failure not in self._broken:
                log.error(failure, file=str(self.path), problem=error.strerror)
            self._broken.add(failure)
        else:
            self._broken.discard(failure)


def read(path: Path) -> Trail:
    """Return the lines of the audit log at `path` and of its rotated files, to be iterated over."""
    return Trail(path)


class _Commands:
    """The commands of a batch, by the address that each is about.

    A batch of a thousand addresses can come with two thousand `pfctl -k`: in each line those
    about its own address are enough.
    """

    def __init__(self, commands: Sequence[str], targets: set[str]) -> None:
        self._common: list[str] = []
        self._own: dict[str, list[str]] = {}
        for command in commands:
            about = targets.intersection(command.split())
            text = command[:MOST_COMMAND]
            for target in about:
                self._own.setdefault(target, []).append(text)
            if not about:
                self._common.append(text)

    def of(self, target: str) -> list[str]:
        return [*self._common, *self._own.get(target, ())][:MOST_COMMANDS]


def _told(entry: LedgerEntry) -> dict[str, Any]:
    """Return what a line says of the decision itself."""
    decision = entry.decision
    return {
        "target": entry.target,
        "table": decision.table,
        "duration_seconds": decision.duration,
        "step": decision.step,
        "event_time": format_timestamp(decision.event_time),
        "score": round(decision.score, 6),
        "reasons": decision.reasons,
        "features": decision.features,
        "model": decision.model_version,
        "by_hand": decision.by_hand,
        **({"members": decision.members[:MOST_MEMBERS]} if decision.members else {}),
    }


def _append(path: Path, lines: bytes) -> None:
    """Write all of the lines or none: half a line would spoil the next one, too."""
    descriptor = open_private(path, _FLAGS)
    try:
        os.fchmod(descriptor, _OWNER_ONLY)  # it may be of somebody's `touch`
        before = os.fstat(descriptor).st_size
        try:
            _write_all(descriptor, _end_missing(descriptor, before) + lines)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)


def _end_missing(descriptor: int, size: int) -> bytes:
    """Return what ends a line that a kill or a crash has left without an end."""
    return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _size(path: Path) -> int:
    """Return the size of a file; what is no regular one is not ours to move, and has none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
