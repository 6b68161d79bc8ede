"""Whether an operator has told the daemon to decide nothing new: `paused.json`.

The file's presence is what counts, so that a restart, or a crash, never goes on deciding against
the operator's word. What it holds is only the reason.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from ai_suricata.core.errors import StateError
from ai_suricata.state.file import replace, sync_folder

if TYPE_CHECKING:
    from pathlib import Path


class Hold(msgspec.Struct, frozen=True):
    """Since when nothing new is decided, and why."""

    reason: str
    since: float
    """Wall-clock seconds since the epoch; 0 where the file does not tell."""


class HoldFile:
    """Keeps one `Hold`, or none."""

    def __init__(self, path: Path) -> None:
        """`path`: a .json file, which is there as long as the hold is."""
        self.path = path

    async def load(self) -> Hold | None:
        """Return the hold, or None. Raises `StateError` where nobody can tell whether there is one.

        A file whose content can't be read is a hold all the same: `touch paused.json` makes one.
        """
        return await asyncio.to_thread(self._load)

    async def set(self, hold: Hold) -> None:
        """Store the hold, durably. Raises `StateError`."""
        await asyncio.to_thread(replace, self.path, msgspec.json.encode(hold))

    async def clear(self) -> None:
        """Remove it, durably; there need be none. Raises `StateError`; the hold then stays."""
        await asyncio.to_thread(self._clear)

    def _load(self) -> Hold | None:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Hold)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            return Hold(f"{self.path} is there, and says no reason", 0.0)
        except OSError as error:
            raise StateError(
                f"{self.path} can't be read: {error.strerror}; grant the right, or remove it to "
                "let new blocks be decided"
            ) from error

    def _clear(self) -> None:
        try:
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)
        except OSError as error:
            raise StateError(
                f"{self.path} can't be removed: {error.strerror}; grant the right"
            ) from error
