"""The control socket: for its owner alone."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from ai_suricata.control.address import short
from ai_suricata.core.listener import Listener, Place

if TYPE_CHECKING:
    from pathlib import Path

MODE = 0o600
BACKLOG = 8
_CREDENTIALS = struct.Struct("3i")
"""struct ucred of unix(7): process, user, group."""


def listening(path: Path) -> Listener:
    """Return the control socket, bound; raises `ConfigError`. A long path is no trouble."""
    place = Place(path, "CONTROL_SOCKET", MODE, holder="another daemon", reach=short)
    return Listener(place, socket.SOCK_STREAM, BACKLOG)


def peer_uid(connection: socket.socket) -> int:
    """Return the user at the other end, as the kernel knows it (unix(7), SO_PEERCRED)."""
    size = _CREDENTIALS.size
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    uid: int = _CREDENTIALS.unpack(told)[1]
    return uid
