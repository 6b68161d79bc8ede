"""A unix socket at a path: made, taken over from an earlier run, and removed."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ai_suricata.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    Reach = Callable[[Path], AbstractContextManager[str]]
    """Gives the text by which bind(2) and connect(2) are told of a path."""


@contextlib.contextmanager
def plainly(path: Path) -> Iterator[str]:
    """Yield the path as it is, of at most 107 bytes (unix(7), sun_path)."""
    yield str(path)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a socket is to be, for whom, and how that is told."""

    path: Path
    variable: str
    """The setting that names the path."""
    mode: int
    """Who may connect: the permissions of the file."""
    holder: str = "another process"
    """What else may listen there."""
    remedy: str = "name another path"
    reach: Reach = plainly

    def problem(self, text: str) -> ConfigError:
        """Return the error that says it."""
        return ConfigError([f"{self.variable}: {text}"])


class Listener:
    """Owns the socket and its file."""

    def __init__(self, place: Place, kind: socket.SocketKind, backlog: int = 0) -> None:
        """Bind, and listen where `kind` is a stream: `backlog` connections wait to be accepted.

        Raises `ConfigError`.
        """
        self.path = place.path
        self.is_stream = kind is socket.SOCK_STREAM
        self.socket = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
        try:
            self._bind(place, backlog)
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

    def _bind(self, place: Place, backlog: int) -> None:
        try:
            _make_room(place)
            # The file gets the mode that the socket has (Linux, unix_bind): at no moment is it
            # open to others. The umask takes from it, chmod gives it back.
            os.fchmod(self.socket.fileno(), place.mode)
            with place.reach(self.path) as reachable:
                self.socket.bind(reachable)
            self.path.chmod(place.mode)
            if self.is_stream:
                self.socket.listen(backlog)
        except OSError as error:
            raise place.problem(_explained(place, error)) from error

    def _inode_at_path(self) -> tuple[int, int] | None:
        try:
            status = os.lstat(self.path)
        except OSError:  # gone, or out of reach
            return None
        return status.st_dev, status.st_ino


def _make_room(place: Place) -> None:
    """Remove the socket of an earlier run; raises `ConfigError` where the path is taken."""
    path = place.path
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise place.problem(f"{path} is there and no socket; move it away, or {place.remedy}")
    if _is_heard(place):
        raise place.problem(
            f"{place.holder} listens on {path} (ss -xlp shows which); stop it, or {place.remedy}"
        )
    path.unlink(missing_ok=True)


def _is_heard(place: Place) -> bool:
    """Whether a process holds the socket: connect(2) is refused where none does (unix(7))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            with place.reach(place.path) as reachable:
                probe.connect(reachable)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:  # which says: heard, as a stream
                raise
    return True


def _explained(place: Place, error: OSError) -> str:
    """Return a sentence on why the socket can't be made."""
    folder = place.path.parent
    if isinstance(error, FileNotFoundError):
        return (
            f"there is no folder {folder}; make it, for all who are to connect (with systemd: "
            f"RuntimeDirectory= in the unit), or {place.remedy}"
        )
    if isinstance(error, PermissionError):
        return (
            f"uid {os.geteuid()} may not make a socket in {folder}; grant write and search on that "
            f"folder, or {place.remedy}"
        )
    return f"no socket can be made at {place.path}: {error.strerror or error}; {place.remedy}"
