"""The state directory: there, writable, and with room."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from ai_suricata.doctor.finding import ok, size, warning, wrong

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.config.settings import Settings
    from ai_suricata.doctor.finding import Finding

PART = "state directory"
LEAST = 16 * 1024 * 1024
"""Bytes without which hardly a start succeeds."""
_ROW = 1024
"""Bytes of one source in the log of behaviour, at most."""
_ALERT = 700
"""Bytes of one alert in the store, about."""


def examine(settings: Settings) -> list[Finding]:
    """Look at STATE_DIR. It is not made, and what is written to try it is gone at once."""
    folder = settings.state.directory
    if folder.exists():
        return [_writable(folder), _room(folder, needed(settings))]
    parent = next(each for each in folder.absolute().parents if each.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK, effective_ids=True):
        remedy = f"make it (mkdir -p {folder}) and give it to the user of the daemon"
        return [wrong(PART, f"{folder} does not exist, and {_us()} can't make it", remedy)]
    made = ok(PART, f"{folder} does not exist yet; the daemon makes it")
    return [made, _room(parent, needed(settings))]


def needed(settings: Settings) -> int:
    """Return the bytes that the state takes at most; files are written anew beside the old ones."""
    return 2 * (settings.features.max_sources * _ROW + settings.sink.max_alerts * _ALERT)


def _writable(folder: Path) -> Finding:
    if not folder.is_dir():
        return wrong(PART, f"{folder} is no folder", "name a folder in STATE_DIR")
    try:
        # Tried, not read off the rights: a read-only file system shows no right that is missing.
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"doctor")
            file.flush()
    except OSError as error:
        remedy = "grant the right to the user of the daemon, or name another folder in STATE_DIR"
        return wrong(PART, f"{_us()} can't write in {folder}: {error.strerror}", remedy)
    return ok(PART, f"{folder} can be written by {_us()}")


def _room(folder: Path, wanted: int) -> Finding:
    free = shutil.disk_usage(folder).free
    sentence = f"{size(free)} are free; the state may take {size(wanted)}"
    if free < LEAST:
        return wrong(PART, sentence, "make room: without it nothing is remembered over a restart")
    if free < wanted:
        return warning(PART, sentence, "make room, or lower MAX_SOURCES and MAX_ALERTS")
    return ok(PART, sentence)


def _us() -> str:
    return f"uid {os.geteuid()}"
