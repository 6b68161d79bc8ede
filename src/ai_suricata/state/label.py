"""What an operator has said of addresses, for training: `labels.jsonl`, the newest last.

A label is made by a person, who is asked once and may never say it again: so the file is bounded
by what a disk hardly notices (some 20,000 labels), and only past that the older half goes.
"""

from __future__ import annotations

import asyncio
import threading
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from ai_suricata.core.errors import StateError
from ai_suricata.state.file import append, replace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_BYTES = 32 * 1024 * 1024
"""Size from which on the older half of the labels goes."""


class Kind(StrEnum):
    """What a person says of an address by unblocking or blocking it."""

    NORMAL = "normal"
    ATTACK = "attack"


class Label(msgspec.Struct, frozen=True):
    """One address, what a person said of it, and how it behaved at that moment."""

    time: float
    """Wall-clock seconds since the epoch."""
    address: str
    """Canonical text of an address or a network."""
    label: Kind
    reason: str
    schema: int
    """Version of the feature schema."""
    features: dict[str, float] | None
    """All features by name, or None where nothing is known of the address."""
    model: str
    """Version of the model that served then, or `none`."""


class LabelLog:
    """Appends to one file."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        """`path`: a .jsonl file; made at the first label."""
        self.path = path
        self._most = most_bytes
        # Of threads, not of tasks: a cancelled task leaves its thread at work.
        self._writing = threading.Lock()

    async def append(self, labels: Sequence[Label]) -> None:
        """Keep the labels, durably. Raises `StateError` naming the file."""
        if labels:
            await asyncio.to_thread(self._append, labels)

    def read(self) -> list[Label]:
        """Return all labels, the oldest first; lines that are none are passed over."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StateError(
                f"{self.path} can't be read: {error.strerror}; grant the right"
            ) from error
        return [label for line in lines if (label := _label_of(line)) is not None]

    def _append(self, labels: Sequence[Label]) -> None:
        content = b"".join(msgspec.json.encode(label) + b"\n" for label in labels)
        with self._writing:
            append(self.path, self._line_end() + content)
            if self.path.stat().st_size > self._most:
                lines = self.path.read_bytes().splitlines(keepends=True)
                replace(self.path, b"".join(lines[len(lines) // 2 :]))

    def _line_end(self) -> bytes:
        """Return what ends a line that a crash cut short, so that it does not spoil the next."""
        try:
            with self.path.open("rb") as file:
                file.seek(-1, 2)
                return b"" if file.read(1) == b"\n" else b"\n"
        except OSError:  # there is no file, or nothing in it; what is worse, `append` tells
            return b""


def _label_of(line: bytes) -> Label | None:
    try:
        return msgspec.json.decode(line, type=Label)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
