"""The operator's end of the control socket: one order, one answer, within a time limit."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ai_suricata.control.address import short
from ai_suricata.control.protocol import (
    LONGEST_ORDER,
    MOST_REPLY,
    VERSION,
    Failure,
    Problem,
    Reply,
    encode_order,
)
from ai_suricata.core.errors import AiSuricataError

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.control.order import Order

T = TypeVar("T")
CONNECTING = 5.0
"""Seconds that a daemon has to take a connection."""
_MARGIN = 10.0  # seconds past the daemon's own limit
_PIECE = 64 * 1024


class NoDaemonError(AiSuricataError):
    """Nobody listens on the socket."""


class ControlError(AiSuricataError):
    """The daemon, or the way to it, did not do as asked. The text says why."""

    def __init__(self, failure: Failure, text: str) -> None:
        """`text`: for people."""
        super().__init__(text)
        self.failure = failure


def listens(path: Path) -> bool:
    """Say whether a daemon listens at `path`, be it one that is not for this user."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECTING)
        try:
            with short(path) as reachable:
                connection.connect(reachable)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:  # it is there, and does not let us in: `ask` says why
            return True
    return True


def ask(path: Path, order: Order, kind: type[T], seconds: float = LONGEST_ORDER + _MARGIN) -> T:
    """Put one order to the daemon that listens at `path`, and return its answer.

    `kind`: what the order is answered by. Raises `NoDaemonError` and `ControlError`.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CONNECTING)
            with short(path) as reachable:
                connection.connect(reachable)
            connection.settimeout(seconds)
            # Who is turned away is told so at once, and may find the line closed to his order.
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(encode_order(order))
            line = _line(connection)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NoDaemonError(f"no daemon listens on {path}") from error
    except PermissionError as error:
        raise ControlError(
            Failure.REFUSED, f"{path} is for the user of the daemon; run this as that user or root"
        ) from error
    except OSError as error:  # a time that is over is one, too
        text = f"the daemon at {path} does not answer: {error}"
        raise ControlError(Failure.FAILED, text) from error
    return _result(line, kind)


def _line(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size <= MOST_REPLY and (part := connection.recv(_PIECE)):
        parts.append(part)
        size += len(part)
        if part.endswith(b"\n"):
            return b"".join(parts)
    raise ConnectionAbortedError("its answer breaks off; its log may say why")


def _result(line: bytes, kind: type[T]) -> T:
    try:
        reply = msgspec.json.decode(line, type=Reply)
        problem = reply.problem
        if problem is None and reply.version != VERSION:
            text = f"the daemon speaks version {reply.version}, this command {VERSION}; restart it"
            problem = Problem(Failure.INVALID, text)
        if problem is None:
            return msgspec.json.decode(reply.result, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        text = f"the answer is of another version ({error}); restart the daemon after an update"
        raise ControlError(Failure.FAILED, text) from error
    raise ControlError(problem.failure, problem.text)
