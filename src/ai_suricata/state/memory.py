"""State in memory, kept in files of the state directory.

Behaviour and position are a log of changes (`state.behaviour`); `ledger-NAME.jsonl` is a journal
of ledger entries, one JSON object a line, the latest line of a target being the valid one.
Neither holds anything that is executed when it is read.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import structlog

from ai_suricata.core.address import parse_target
from ai_suricata.core.decision import LedgerEntry, LedgerState
from ai_suricata.core.errors import StateError
from ai_suricata.state.behaviour import BehaviourLog
from ai_suricata.state.file import append, cut, lock, replace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ai_suricata.state.row import Layout


log = structlog.get_logger(__name__)

_LINES_BEFORE_COMPACTION = 1000
_ENDED = frozenset({LedgerState.FORGOTTEN})
_entry = msgspec.json.Decoder(LedgerEntry)


class MemoryState:
    """Both stores, in one folder."""

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        """`name`: of the ledger (see `ledger_name`); `layout`: of the rows of behaviour."""
        self.folder = folder
        self._lock: int | None = None
        self.behaviour = BehaviourLog(folder, layout)
        self.ledger = LedgerJournal(folder / f"ledger-{name}.jsonl")

    async def open(self) -> None:
        """Make the folder and take it for this process. Raises `StateError`, with the remedy."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        except OSError as error:
            raise StateError(
                f"{self.folder} can't be made: {error.strerror}; "
                "set STATE_DIR to a folder that this user may write"
            ) from error
        if self._lock is None:
            self._lock = lock(self.folder / "lock")

    async def close(self) -> None:
        """Finish what is under way."""
        await self.behaviour.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def ledger_name(firewall: str, *, dry_run: bool) -> str:
    """Name the ledger of a firewall; a dry run's wishes are kept apart from a real one's."""
    return "dry_run" if dry_run else firewall


class LedgerJournal:
    """Ledger entries as lines of JSON."""

    def __init__(self, path: Path) -> None:
        """`path`: a .jsonl file; made at the first entry."""
        self.path = path
        self._lines = 0
        self._latest: dict[tuple[str, str], LedgerEntry] = {}

    async def load(self) -> list[LedgerEntry]:
        """Return the latest entry of each target and table; mend a line that a crash cut short."""
        await asyncio.to_thread(self._load)
        return list(self._latest.values())

    async def append(self, entries: Sequence[LedgerEntry]) -> None:
        """Write the entries and wait for the disk. Raises `StateError`."""
        if entries:
            await asyncio.to_thread(self._append, entries)

    def read(self) -> list[LedgerEntry]:
        """Return the latest entries without mending anything, for those who only look."""
        return list(self._scan().latest.values())

    def _load(self) -> None:
        found = self._scan()
        self._latest, self._lines = found.latest, found.lines
        if found.torn:
            cut(self.path, found.torn)
        if found.damaged and not self._keep_aside():
            return
        if found.damaged or self._lines > _LINES_BEFORE_COMPACTION:
            self._compact()

    def _scan(self) -> _Found:
        try:
            *lines, torn = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return _Found()
        except OSError as error:
            raise StateError(
                f"{self.path} can't be read: {error.strerror}; grant the right"
            ) from error
        # What has no line end was never acknowledged: nothing was sent because of it.
        found = _Found(lines=len(lines), torn=len(torn))
        for number, line in enumerate(lines, start=1):
            try:
                _take(found.latest, _decoded(line))
            except (msgspec.DecodeError, ValueError) as error:
                found.damaged = True
                log.error(
                    "ledger line can't be read and is left out",
                    file=str(self.path),
                    line=number,
                    problem=str(error),
                )
        return found

    def _append(self, entries: Sequence[LedgerEntry]) -> None:
        append(self.path, b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))
        self._lines += len(entries)
        for entry in entries:
            _take(self._latest, entry)
        if self._lines > _LINES_BEFORE_COMPACTION + 4 * len(self._latest):
            self._compact()

    def _keep_aside(self) -> bool:
        """Copy a damaged file before it is written anew; a person may still read more out of it."""
        aside = self.path.with_name(self.path.name + ".damaged")
        try:
            replace(aside, self.path.read_bytes())
        except (OSError, StateError) as error:
            log.error("damaged ledger can't be copied and stays as it is", problem=str(error))
            return False
        log.error("damaged ledger is kept aside", file=str(aside))
        return True

    def _compact(self) -> None:
        """Write only what is still valid. All of it is durable already: a failure loses nothing."""
        entries = self._latest.values()
        try:
            replace(self.path, b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))
        except StateError as error:
            log.warning("ledger can't be compacted and grows on", problem=str(error))
            return
        self._lines = len(self._latest)


@dataclass(slots=True)
class _Found:
    """What a journal holds."""

    latest: dict[tuple[str, str], LedgerEntry] = field(default_factory=dict)
    lines: int = 0
    torn: int = 0
    """Bytes behind the last line end, left by a crash."""
    damaged: bool = False
    """Whether a whole line could not be read."""


def _decoded(line: bytes) -> LedgerEntry:
    """Return the entry of a line; DecodeError or ValueError where it is none."""
    entry = _entry.decode(line)
    parse_target(entry.target)  # raises here, and not in the middle of enforcing
    return entry


def _take(latest: dict[tuple[str, str], LedgerEntry], entry: LedgerEntry) -> None:
    """Let an entry take the place of the earlier one of its target and table."""
    key = (entry.target, entry.decision.table)
    latest.pop(key, None)
    if entry.state not in _ENDED:
        latest[key] = entry
