"""Behaviour on disk: segments of a log, the older ones compacted beside the work.

`behaviour.1.log`, `behaviour.2.log`, ...: flushes are appended to the last. When it has grown, a
new one begins, and a thread writes those before it anew as one, from their own records. What is
read is all of them in order; later rows of an address take the place of earlier ones.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING

import numpy as np
import structlog

from ai_suricata.core.errors import StateError
from ai_suricata.state.base import Snapshot
from ai_suricata.state.file import append, sync_folder
from ai_suricata.state.log import Head, Record, encode, header, layout_of, records
from ai_suricata.state.row import Rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ai_suricata.state.base import Changes
    from ai_suricata.state.log import Packed
    from ai_suricata.state.row import Layout

log = structlog.get_logger(__name__)

_LEAST_SEGMENT = 64 * 1024 * 1024
"""Bytes below which compacting is not worth it."""
_NO_ROWS = np.zeros((0, 0), np.uint8)
_NAME = re.compile(r"behaviour\.(\d+)\.log")


class BehaviourLog:
    """Implements `BehaviourStore` in one folder."""

    def __init__(self, folder: Path, layout: Layout, least: int = _LEAST_SEGMENT) -> None:
        """`layout`: of the rows; `least`: bytes that a segment has before it is compacted."""
        self._folder = folder
        self._layout = layout
        self._least = least
        self._number = 1
        self._size = 0
        self._compacted = 0
        self._compacting: asyncio.Task[None] | None = None

    async def load(self) -> Snapshot | None:
        """Return all rows and the latest position, or None on a first start. `StateError`."""
        return await asyncio.to_thread(self._load)

    async def save(self, changes: Changes) -> None:
        """Append the changes and wait for the disk. Raises `StateError`; nothing is then kept."""
        await asyncio.to_thread(self._append, changes)
        idle = self._compacting is None or self._compacting.done()
        if idle and self._size > self._least + 2 * self._compacted:
            # Here and not in the task: the next save may begin before that does.
            last, self._number, self._size = self._number, self._number + 1, 0
            self._compacting = asyncio.create_task(self._compact(last), name="compact")

    async def close(self) -> None:
        """Wait for a compaction that is under way."""
        if self._compacting is not None:
            await self._compacting

    def _load(self) -> Snapshot | None:
        for unfinished in self._folder.glob("behaviour.*.log.new"):
            unfinished.unlink()
        segments = self._segments()
        # A torn end stays as it is: what follows goes into a segment of its own.
        self._number = max(segments, default=0) + 1
        paths = list(segments.values())
        head, last = self._survey(paths)
        if head is None:
            return None
        if not all(map(self._is_ours, paths)):
            log.warning("behaviour of another version is left behind", folder=str(self._folder))
        addresses: list[str] = []
        packed = np.zeros((len(last), self._layout.width), np.uint8)
        for names, rows in self._surviving(paths, last):
            packed[len(addresses) : len(addresses) + len(names)] = rows
            addresses += names
        columns = self._layout.unpack(packed)
        return Snapshot(head.position, head.clock, Rows(addresses, columns), head.notes)

    def _append(self, changes: Changes) -> None:
        packed = self._layout.pack(changes.rows.columns)
        head = Head(changes.position, changes.clock, tuple(changes.gone), dict(changes.notes))
        content = encode(Record(head, list(changes.rows.addresses), packed))
        if not self._size:
            content = header(self._layout.digest) + content
        append(self._path(self._number), content)
        self._size += len(content)

    async def _compact(self, last: int) -> None:
        """Write the segments up to `last` as one. A failure is told; the next time may do."""
        try:
            self._compacted = await asyncio.to_thread(self._rewrite, last)
        except StateError as error:
            log.error("the log of behaviour can't be compacted", problem=str(error))

    def _rewrite(self, last: int) -> int:
        """Put one segment in the place of all up to `last`; return its size."""
        old = {number: path for number, path in self._segments().items() if number <= last}
        beside = self._path(last).with_name(self._path(last).name + ".new")
        try:
            size = self._write(beside, list(old.values()))
            beside.replace(self._path(last))
            sync_folder(self._folder)
            for number, path in old.items():
                if number < last:
                    path.unlink()
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise StateError(f"{beside} can't be written: {error.strerror}; make room") from error
        return size

    def _write(self, target: Path, paths: list[Path]) -> int:
        """Write what survives of `paths` as one segment; return its size."""
        head, last = self._survey(paths)
        with target.open("wb") as file:
            file.write(header(self._layout.digest))
            if head is not None:
                plain = Head(head.position, head.clock, notes=head.notes)
                for addresses, rows in self._surviving(paths, last):
                    file.write(encode(Record(plain, addresses, rows)))
                # The last word is the latest position, whichever rows came last.
                file.write(encode(Record(plain, [], _NO_ROWS)))
            file.flush()
            os.fsync(file.fileno())
            return file.tell()

    def _path(self, number: int) -> Path:
        return self._folder / f"behaviour.{number}.log"

    def _segments(self) -> dict[int, Path]:
        """Return the segments by number, the oldest first."""
        try:
            found = {
                int(match[1]): path
                for path in self._folder.iterdir()
                if (match := _NAME.fullmatch(path.name))
            }
        except OSError as error:
            raise StateError(f"{self._folder} can't be read: {error.strerror}") from error
        return dict(sorted(found.items()))

    def _survey(self, paths: Iterable[Path]) -> tuple[Head | None, dict[str, int]]:
        """Return the last head, and for each address the number of the record with its last row."""
        head: Head | None = None
        last: dict[str, int] = {}
        for number, record in enumerate(self._records(paths)):
            head = record.head
            for address in head.gone:
                last.pop(address, None)
            last.update(dict.fromkeys(record.addresses, number))
        return head, last

    def _surviving(
        self, paths: Iterable[Path], last: dict[str, int]
    ) -> Iterator[tuple[list[str], Packed]]:
        """Yield rows that no later record replaces: a second reading, so that few are in memory."""
        for number, record in enumerate(self._records(paths)):
            chosen = [i for i, name in enumerate(record.addresses) if last.get(name) == number]
            if chosen:
                yield [record.addresses[i] for i in chosen], record.rows[chosen]

    def _records(self, paths: Iterable[Path]) -> Iterator[Record]:
        """Yield all records, those of another version without their rows.

        The windows of another version mean something else; its position is still right. Segments
        of both stand side by side until the next compaction, which must not mix them up.
        """
        for path in paths:
            ours = self._is_ours(path)
            for record in records(path):
                yield record if ours else Record(record.head, [], _NO_ROWS)

    def _is_ours(self, path: Path) -> bool:
        """Whether a segment's rows are of this version; one cut short in its header has none."""
        return layout_of(path) in {self._layout.digest, ""}
