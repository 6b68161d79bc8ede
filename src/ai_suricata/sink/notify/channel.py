"""A way to reach people: what each must be able to do, and how it fails."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ai_suricata.core.errors import AiSuricataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ai_suricata.sink.notify.notice import Notice

    Observer: TypeAlias = Callable[[str, str], None]
    """Called with a channel's name and what became of one notice: sent, retried (once for each
    further try), dropped (never sent) or refused (never sent, since the server said no)."""


class DeliveryError(AiSuricataError):
    """A message was not taken. The text holds no secret and nothing that the server wrote."""

    def __init__(self, problem: str, *, final: bool = False, after: float = 0.0) -> None:
        """With `final`, trying again changes nothing; `after`: seconds that the server asks for."""
        super().__init__(problem)
        self.final = final
        self.after = after


class Channel(Protocol):
    """One way to reach people. Never used by two tasks at once."""

    name: str
    """For logs and metrics: `webhook`."""
    interval: float
    """Least seconds between two messages."""
    most: int
    """Notices that fit into one message."""

    def compose(self, notices: Sequence[Notice], lost: int) -> bytes:
        """Return the message; `lost`: notices since the last message that will never be told.

        A message has an id of its own: it is the same at each try, so that one that arrives twice
        can be told.
        """
        ...

    async def send(self, message: bytes) -> None:
        """Send it, within a bounded time. Raises `DeliveryError`."""
        ...


def ignore(_channel: str, _result: str) -> None:
    """Observe nothing."""


def reason(error: BaseException) -> str:
    """Return why a connection failed, without any text that a peer wrote or that holds a secret.

    Libraries wrap what the system said; that is looked for among the causes.
    """
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return next((told for each in causes if (told := _told(each))), "no connection")


def _told(error: BaseException) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'no handshake').replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return "its name can't be resolved"
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno).lower()
    return None
