"""Samples of rejected lines: what they were, for whoever has to find out why they were none.

EVE records can hold passwords, so only the owner may read the file. A flood of bad lines costs no
more than a few samples a minute: they are counted elsewhere (`lines_rejected_total`).
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import structlog

from ai_suricata.core.timestamp import MICROSECONDS, format_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ai_suricata.core.clock import Clock

log = structlog.get_logger(__name__)

MOST_A_BATCH = 3
"""Samples of one reason that are taken at once."""
MOST_A_MINUTE = 6
"""Samples of one reason that are taken in a minute."""
MOST_REASONS = 32
"""Reasons of which samples are taken in a minute; there are fewer than ten."""
LINE_BYTES = 4096
"""First bytes of a line that are kept."""

_MINUTE = 60.0
_OWNER_ONLY = 0o600
# Never follow a link that somebody else has laid, nor wait for the reader of a pipe.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class DeadLetter:
    """Keeps the newest samples in two files: the present one, and the one before it (`.1`).

    Each line is a JSON object: `time`, `reason`, `origin` where it is known, `bytes` (the length
    of what was handed over) and `line` (see `readable`). A file is opened anew for each batch that
    has samples, so that it may be renamed or removed at any time.
    """

    def __init__(self, path: Path, most_bytes: int, clock: Clock) -> None:
        """`path`: the present file, made at the first sample; `most_bytes`: of both, 0 for none."""
        self.path = path
        self.older = path.with_name(f"{path.name}.1")
        self.unwritten = 0
        """Samples that were lost because the disk failed."""
        self._most = most_bytes // 2
        self._clock = clock
        self._taken: Counter[str] = Counter()
        """Samples by reason since `_since`."""
        self._since = float("-inf")
        self._broken = False
        self._closed = False

    def take(self, samples: Iterable[tuple[str, bytes]], origin: str = "") -> None:
        """Keep some of the samples, each a reason and the beginning of a line. Never raises."""
        if not self._most or self._closed:
            return
        now = self._clock.now()
        letters = [
            letter
            for reason, line in self._chosen(samples, now)
            if len(letter := _letter(now, reason, origin, line)) <= self._most
        ]
        if letters:
            self._write(letters)

    def close(self) -> None:
        """Take no more samples; say how many are missing."""
        if self.unwritten and not self._closed:
            log.warning("samples of rejected lines were lost", number=self.unwritten)
        self._closed = True

    def _chosen(
        self, samples: Iterable[tuple[str, bytes]], now: float
    ) -> Iterable[tuple[str, bytes]]:
        """Yield few of each reason, so that a flood of one leaves room for the others."""
        if not 0 <= now - self._since < _MINUTE:  # below 0: the clock was set back
            self._taken.clear()
            self._since = now
        batch: Counter[str] = Counter()
        for reason, line in samples:
            known = reason in self._taken or len(self._taken) < MOST_REASONS
            if not known or batch[reason] >= MOST_A_BATCH or self._taken[reason] >= MOST_A_MINUTE:
                continue
            batch[reason] += 1
            self._taken[reason] += 1
            yield reason, line

    def _write(self, letters: list[bytes]) -> None:
        written = 0
        try:
            for letter in letters:
                self._append(letter)
                written += 1
        except OSError as error:
            self.unwritten += len(letters) - written
            if not self._broken:
                log.error(
                    "samples of rejected lines can't be written",
                    file=str(self.path),
                    problem=error.strerror,
                )
            self._broken = True
        else:
            self._broken = False

    def _append(self, letter: bytes) -> None:
        """Write all of the letter or none: half a line would spoil the next one, too."""
        self._make_room(len(letter))
        descriptor = os.open(self.path, _FLAGS, _OWNER_ONLY)
        try:
            os.fchmod(descriptor, _OWNER_ONLY)  # it may be of somebody's `touch`
            before = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, letter)
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)

    def _make_room(self, size: int) -> None:
        """Let the present file take the older one's place where the letter would not fit."""
        present = _size(self.path)
        if present + size > self._most:
            self.path.replace(self.older)
        if _size(self.older) > self._most:  # of a time when more was allowed
            self.older.unlink()


def readable(line: bytes) -> str:
    r"""Return the beginning of a line as text that can be turned back into its bytes.

    A backslash is doubled; a byte that is no UTF-8 becomes `\xNN`.
    """
    return line[:LINE_BYTES].replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def _letter(now: float, reason: str, origin: str, line: bytes) -> bytes:
    # A path, which an origin often is, need not be UTF-8 either.
    fields: dict[str, str | int] = {
        "time": format_timestamp(int(now * MICROSECONDS)),
        "reason": reason,
        **({"origin": readable(os.fsencode(origin))} if origin else {}),
        "bytes": len(line),
        "line": readable(line),
    }
    return msgspec.json.encode(fields) + b"\n"


def _size(path: Path) -> int:
    """Return the size of a file; what is no regular one is not ours to move, and has none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
