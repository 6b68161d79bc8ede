"""The socket that Suricata connects to."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ai_suricata.core.listener import Listener, Place

if TYPE_CHECKING:
    from ai_suricata.config.source import SourceSettings

MODE = 0o660
"""Suricata often runs as another user: it gets in by the group."""

BACKLOG = 64
"""Connections that wait to be accepted."""


def listening(settings: SourceSettings) -> Listener:
    """Return the socket that the settings name, bound; raises `ConfigError`.

    Suricata connects to the same path, so that it has to be short enough for unix(7) as it is.
    """
    place = Place(
        settings.socket_path,
        "EVE_SOCKET",
        MODE,
        remedy="name another path here and in Suricata's `filename`",
    )
    stream = settings.socket_type == "stream"
    return Listener(place, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM, BACKLOG)
