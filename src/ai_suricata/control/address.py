"""Where the control socket is, however long the path to it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from ai_suricata.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ai_suricata.config.settings import StateSettings

_LONGEST = 107
"""Bytes of a socket's path: `sun_path` of unix(7), without the zero at its end."""
_LONGEST_NAME = _LONGEST - len("/proc/self/fd/1234567/")
"""Bytes of its last part, whatever the number of the folder's descriptor."""


def socket_path(settings: StateSettings) -> Path:
    """Return where the daemon listens."""
    return settings.control_socket or settings.directory / "control.sock"


@contextlib.contextmanager
def short(path: Path) -> Iterator[str]:
    """Yield a path to the same file that bind(2) and connect(2) take.

    A longer one goes by its folder's descriptor (proc(5), /proc/self/fd); raises what opening the
    folder does, and `ConfigError` where the name alone is too long.
    """
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        problem = f"{path} has too long a name for a socket; it may have {_LONGEST_NAME} bytes"
        raise ConfigError([f"CONTROL_SOCKET: {problem}"])
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
