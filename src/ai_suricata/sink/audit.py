"""The audit log: one JSON line for each change of a decision, append-only.

The file is opened anew for each batch, so that it can be rotated by renaming it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import structlog

from ai_suricata.core.timestamp import MICROSECONDS, format_timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ai_suricata.core.clock import Clock
    from ai_suricata.core.decision import LedgerEntry, LedgerState

log = structlog.get_logger(__name__)


class AuditLog:
    """Appends to one file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """`path`: a .jsonl file; made at the first line."""
        self.path = path
        self._clock = clock
        self._broken = False

    def write(self, entries: Sequence[LedgerEntry], state: LedgerState, note: str) -> None:
        """Write that the entries have gone into `state`. A disk that fails is told once."""
        now = format_timestamp(int(self._clock.now() * MICROSECONDS))
        lines = b"".join(
            msgspec.json.encode(
                {
                    "time": now,
                    "state": state,
                    "target": entry.target,
                    "table": entry.decision.table,
                    "duration_seconds": entry.decision.duration,
                    "step": entry.decision.step,
                    "event_time": format_timestamp(entry.decision.event_time),
                    "score": round(entry.decision.score, 6),
                    "reasons": entry.decision.reasons,
                    "model": entry.decision.model_version,
                    "note": note,
                }
            )
            + b"\n"
            for entry in entries
        )
        try:
            self._append(lines)
        except OSError as error:
            self._tell(str(error))
        else:
            self._broken = False

    def _append(self, lines: bytes) -> None:
        """Write all of the lines or none: half a line would spoil the next one, too."""
        with open(self.path, "ab", buffering=0, opener=_owner_only) as file:
            before = file.tell()
            try:
                written = file.write(lines)
                if written != len(lines):
                    file.write(lines[written:])
            except OSError:
                file.truncate(before)
                raise

    def _tell(self, problem: str) -> None:
        if not self._broken:
            log.error("audit log can't be written", file=str(self.path), problem=problem)
        self._broken = True


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
