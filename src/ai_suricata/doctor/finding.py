"""What the doctor says: one sentence on one part, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Status(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and may hurt later or sees less than it could."""
    WRONG = "wrong"
    """The daemon can't do its work with it."""


class Finding(msgspec.Struct, frozen=True):
    """One line of the report. Holds no secret, whatever the settings hold."""

    part: str
    status: Status
    sentence: str
    remedy: str = ""
    """What to do; empty where nothing is to be done."""


def ok(part: str, sentence: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(part, Status.OK, sentence)


def warning(part: str, sentence: str, remedy: str) -> Finding:
    """Return a finding that the operator should know."""
    return Finding(part, Status.WARNING, sentence, remedy)


def wrong(part: str, sentence: str, remedy: str) -> Finding:
    """Return a finding with which the daemon can't work."""
    return Finding(part, Status.WRONG, sentence, remedy)


def duration(seconds: float) -> str:
    """Return a time span as people say it, in its greatest whole unit: `3 h`, `12 s`, `0.4 ms`."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= 2 * size or (unit == "s" and seconds >= 1):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1000:.1f} ms"


def size(number: float) -> str:
    """Return bytes as people say them: `4.0 MiB`."""
    for unit in ("bytes", "KiB", "MiB"):
        if number < 1024:  # noqa: PLR2004 - the step from one unit to the next
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"
