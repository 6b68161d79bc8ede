"""What systemd is told, as sd_notify(3) does: a datagram to the socket that it named."""

from __future__ import annotations

import os
import socket

import structlog

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"

_SEND_SECONDS = 1.0
_log = structlog.stdlib.get_logger(__name__)


def status(text: str) -> str:
    """Return the line that `systemctl status` shows."""
    return f"STATUS={text}"


def notify(*lines: str) -> bool:
    """Tell systemd; return whether it was told. Without NOTIFY_SOCKET there is nobody to tell.

    The environment is read at each call, as sd_notify(3) does. A message that can't be sent is
    logged: the work does not depend on it.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    # A leading @ stands for the zero byte of Linux' abstract sockets, unix(7).
    address = "\0" + path[1:] if path.startswith("@") else path
    # A line break in a status text would start an assignment of its own.
    message = "\n".join(" ".join(line.splitlines()) for line in lines)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(_SEND_SECONDS)
            sender.sendto(message.encode(), address)
    except OSError as error:
        _log.warning("systemd could not be told", socket=path, error=str(error))
        return False
    return True


def watchdog_interval() -> float | None:
    """Return the seconds between signs of life, or None where systemd does not wait for any.

    That is half of WatchdogSec, as sd_watchdog_enabled(3) recommends.
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", "")
    if pid and pid != str(os.getpid()):
        return None
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return int(microseconds) / 2 / 1_000_000
