"""Each followed eve.json of this machine: can it be read, is it alive, and what arrives in it."""

from __future__ import annotations

import glob
import os
import stat
from typing import TYPE_CHECKING

from ai_suricata.doctor.finding import wrong
from ai_suricata.doctor.sight import MOST, judge, sight_of
from ai_suricata.source.file.obstacle import describe, describe_pattern
from ai_suricata.source.identity import COMPRESSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.core.clock import Clock
    from ai_suricata.doctor.finding import Finding
    from ai_suricata.doctor.sight import Sight


def examine(settings: SourceSettings, clock: Clock) -> list[Finding]:
    """Look at every followed file, and at every glob that matches none."""
    return [found for path in settings.paths for found in _matched(path, clock)]


def look(path: str, most: int = MOST) -> Sight:
    """Read the last bytes of a file. Raises OSError, and ValueError where it is no regular file."""
    # Not blocking: a named pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is no regular file")
        start = max(0, status.st_size - most)
        content = os.pread(descriptor, most, start)
    finally:
        os.close(descriptor)
    return sight_of(content, is_whole=not start)


def _matched(path: str, clock: Clock) -> Iterator[Finding]:
    # As the source does: a file may have brackets in its name, and packed ones are not followed.
    globbed = glob.has_magic(path) and not os.path.lexists(path)
    matched = sorted(glob.glob(path)) if globbed else [path]  # noqa: PTH207 - may be absolute
    paths = [each for each in matched if not (globbed and each.endswith(COMPRESSED))]
    if not paths:
        yield wrong(path, describe_pattern(path), "start Suricata, or correct EVE_PATH")
    for each in paths:
        yield from _file(each, clock)


def _file(path: str, clock: Clock) -> Iterator[Finding]:
    try:
        sight = look(path)
    except OSError as error:
        yield _unreadable(path, error)
        return
    except ValueError as error:
        yield wrong(path, str(error), "name the file itself in EVE_PATH")
        return
    yield from judge(path, sight, clock)


def _unreadable(path: str, error: OSError) -> Finding:
    sentence, _, remedy = describe(path, error).partition(": ")
    if isinstance(error, PermissionError):
        return wrong(path, sentence, remedy)
    return wrong(path, describe(path, error), "start Suricata, or correct EVE_PATH")
