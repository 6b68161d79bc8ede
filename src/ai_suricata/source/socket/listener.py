"""A unix socket at a path: made, taken over from an earlier run, and removed."""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING

from ai_suricata.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.source.identity import Inode

MODE = 0o660
"""Suricata often runs as another user: it gets in by the group."""

BACKLOG = 64
"""Connections that wait to be accepted."""


class Listener:
    """Owns the socket and its file."""

    def __init__(self, settings: SourceSettings) -> None:
        """Bind and listen; raises `ConfigError`."""
        self.path = settings.socket_path
        self.is_stream = settings.socket_type == "stream"
        kind = socket.SOCK_STREAM if self.is_stream else socket.SOCK_DGRAM
        self.socket = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
        try:
            self._bind()
            self._inode = self._inode_at_path()
        except BaseException:  # whatever it was, the descriptor is given back
            self.socket.close()
            raise

    def close(self) -> None:
        """Close the socket, and remove its file unless somebody has put another one there."""
        self.socket.close()
        if self.is_at_path():
            self.path.unlink(missing_ok=True)

    def is_at_path(self) -> bool:
        """Whether those who connect to the path still reach this socket."""
        return self._inode_at_path() == self._inode

    def _bind(self) -> None:
        try:
            _make_room(self.path)
            # The file gets the mode that the socket has (Linux, unix_bind): at no moment is it
            # open to others. The umask takes from it, chmod gives it back.
            os.fchmod(self.socket.fileno(), MODE)
            self.socket.bind(str(self.path))
            self.path.chmod(MODE)
            if self.is_stream:
                self.socket.listen(BACKLOG)
        except OSError as error:
            raise ConfigError([_explain(self.path, error)]) from error

    def _inode_at_path(self) -> Inode | None:
        try:
            status = os.lstat(self.path)
        except OSError:  # gone, or out of reach
            return None
        return status.st_dev, status.st_ino


def _make_room(path: Path) -> None:
    """Remove the socket of an earlier run; raises `ConfigError` where the path is taken."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        problem = f"{path} is there and no socket; move it away, or name another path"
        raise ConfigError([f"EVE_SOCKET: {problem}"])
    if _is_heard(path):
        problem = (
            f"another process listens on {path} (ss -xlp shows which); stop it, or name another "
            "path here and in Suricata's `filename`"
        )
        raise ConfigError([f"EVE_SOCKET: {problem}"])
    path.unlink(missing_ok=True)


def _is_heard(path: Path) -> bool:
    """Whether a process holds the socket: connect(2) is refused where none does (unix(7))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:  # which says: heard, as a stream
                raise
    return True


def _explain(path: Path, error: OSError) -> str:
    """Return a sentence on why the socket can't be made."""
    folder = path.parent
    if isinstance(error, FileNotFoundError):
        return (
            f"EVE_SOCKET: there is no folder {folder}; make it for this user and Suricata's (with "
            "systemd: RuntimeDirectory= in the unit), or name another path"
        )
    if isinstance(error, PermissionError):
        return (
            f"EVE_SOCKET: uid {os.geteuid()} may not make a socket in {folder}; grant write and "
            "search on that folder, or name another path"
        )
    return f"EVE_SOCKET: no socket can be made at {path}: {error.strerror or error}; name another"
