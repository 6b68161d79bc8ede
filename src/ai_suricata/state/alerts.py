"""The newest alerts in a file of the state directory: one JSON object a line, the newest last.

Lines are appended without a sync: of the last seconds before a power cut an alert may be lost, a
block never, for the ledger keeps those. At twice the number that is kept, the file is written anew
with the newest ones. One process writes; any number may read meanwhile, as each look opens the
file that stands there and keeps it until it has seen enough.
"""

from __future__ import annotations

import asyncio
import os
import threading
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from ai_suricata.core.errors import StateError
from ai_suricata.state.file import replace
from ai_suricata.state.shared import StoredAlert

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

_BLOCK = 64 * 1024
"""Bytes that are read at a time, from the end on: some 120 alerts."""
_OWNER_ONLY = 0o600

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StoredAlert)


class FileAlerts:
    """Implements `AlertStore`. The disk is touched in threads, never in the event loop."""

    def __init__(self, path: Path, most: int) -> None:
        """`most`: alerts that are kept (MAX_ALERTS). Nothing is opened or made before `add`."""
        self.path = path
        self._most = most
        self._lines: int | None = None
        """Lines of the file, None where they are to be counted: at first, and after an error."""
        # Of threads, not of tasks: a cancelled task leaves its thread at work.
        self._writing = threading.Lock()

    async def add(self, alerts: Sequence[StoredAlert]) -> None:
        """Keep the alerts, in order; the oldest go.

        Raises `StateError` naming the file; whether they are kept is then unknown.
        """
        kept = alerts[-self._most :] if self._most else ()
        if kept:
            await asyncio.to_thread(self._add, kept)

    async def newest(self, limit: int, offset: int = 0) -> list[StoredAlert]:
        """Return alerts, the newest first; lines that are none are passed over, yet counted.

        Raises `StateError` naming the file.
        """
        start = max(0, offset)
        return await asyncio.to_thread(self._read, start, start + max(0, limit))

    async def find(self, alert_id: str) -> StoredAlert | None:
        """Return the alert, or None where it is not (or no longer) kept. Raises `StateError`."""
        return await asyncio.to_thread(self._find, alert_id)

    def _add(self, alerts: Sequence[StoredAlert]) -> None:
        content = _encoder.encode_lines(alerts)
        with self._writing:
            try:
                lines = self._mended() if self._lines is None else self._lines
                self._lines = None  # unknown again, should the writing break off
                self._append(content)
                self._lines = self._compacted(lines + len(alerts))
            except OSError as error:
                raise StateError(
                    f"{self.path} can't be written: {error.strerror}; make room or grant the right"
                ) from error

    def _append(self, content: bytes) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _OWNER_ONLY)
        with os.fdopen(descriptor, "ab") as file:
            file.write(content)

    def _mended(self) -> int:
        """Count the lines, after cutting off one that was written in part."""
        try:
            with self.path.open("r+b") as file:
                lines, whole, end = 0, 0, 0
                while block := file.read(_BLOCK):
                    lines += block.count(b"\n")
                    if b"\n" in block:
                        whole = end + block.rindex(b"\n") + 1
                    end += len(block)
                file.truncate(whole)
                return lines
        except FileNotFoundError:
            return 0

    def _compacted(self, lines: int) -> int:
        """Write the file anew where it has grown to twice its size; return its lines."""
        if lines < 2 * self._most:
            return lines
        newest = list(self._newest(self._most))
        replace(self.path, b"".join(line + b"\n" for line in reversed(newest)))
        return len(newest)

    def _read(self, start: int, end: int) -> list[StoredAlert]:
        lines = islice(self._told(), start, end)
        return [alert for line in lines if (alert := _alert_of(line)) is not None]

    def _find(self, alert_id: str) -> StoredAlert | None:
        needle = _encoder.encode(alert_id)
        # Decoding is most of the work, and a look for the bytes spares nearly all of it.
        found = (_alert_of(line) for line in self._told() if needle in line)
        return next((alert for alert in found if alert is not None and alert.id == alert_id), None)

    def _told(self) -> Iterator[bytes]:
        """Yield the lines that count, the newest first; `StateError` where they can't be read."""
        try:
            yield from self._newest(self._most)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StateError(
                f"{self.path} can't be read: {error.strerror}; grant the right, or look as the "
                "user of the daemon"
            ) from error

    def _newest(self, most: int) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            yield from islice(_backwards(file), most)


def _backwards(file: BinaryIO) -> Iterator[bytes]:
    """Yield the whole lines of a file from its end on; what follows the last one is no line."""
    place = file.seek(0, os.SEEK_END)
    later: list[bytes] = []
    """Parts of the line that the blocks cut through, the last one first."""
    torn = True
    while place:
        size = min(_BLOCK, place)
        place -= size
        file.seek(place)
        first, *rest = file.read(size).split(b"\n")
        for piece in reversed(rest):
            line = b"".join([piece, *reversed(later)])
            if not torn:
                yield line
            later, torn = [], False
        later.append(first)
    if later and not torn:
        yield b"".join(reversed(later))


def _alert_of(line: bytes) -> StoredAlert | None:
    """Decode a line; what a crash or another version left there is None."""
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
