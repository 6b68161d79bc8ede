"""What the tests of the source share: settings, lines, and a Tail that is read to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_suricata.config.source import SourceSettings
from ai_suricata.core.position import files_of
from ai_suricata.source.file.tail import Tail

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.core.clock import ManualClock
    from ai_suricata.core.position import FilePosition, Position

GRACE = 5.0


def settings_for(*paths: Path | str, **changes: object) -> SourceSettings:
    """Return settings that follow `paths`; `changes` are fields of SourceSettings."""
    values: dict[str, Any] = {"rotation_grace": GRACE, "poll_interval": 0.01, **changes}
    return SourceSettings(paths=tuple(map(str, paths)), **values)


def new_tail(
    *paths: Path | str, clock: ManualClock, position: Position | None = None, **changes: object
) -> Tail:
    """Return a Tail on a clock that stands still."""
    return Tail(settings_for(*paths, **changes), position, clock.now)


def lines(first: int, last: int, width: int = 120) -> list[bytes]:
    """Return numbered lines like EVE records, each of `width` bytes without its end."""
    return [
        b'{"flow_id":%08d,"pad":"' % n + b"x" * (width - 26) + b'"}' for n in range(first, last)
    ]


def text(content: list[bytes]) -> bytes:
    """Return the lines as they stand in a file."""
    return b"".join(line + b"\n" for line in content)


def append(path: Path, content: bytes) -> None:
    """Write at the end of the file, which is created where it is missing."""
    with path.open("ab") as file:
        file.write(content)


def read(tail: Tail) -> list[bytes]:
    """Return all lines that wait."""
    found: list[bytes] = []
    while (batch := tail.poll()) is not None:
        found += batch.lines
    return found


def unread(position: Position, path: Path) -> list[FilePosition]:
    """Return the places in the files of a path that are not finished."""
    return [place for place in files_of(position, str(path)) if not place.done]


def finished(position: Position, path: Path) -> list[FilePosition]:
    """Return the places of the files of a path that have been read to their end."""
    return [place for place in files_of(position, str(path)) if place.done]
