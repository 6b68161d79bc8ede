"""Asks the system's resolver for a name, so that nobody has to wait for an answer that is late.

getaddrinfo(3) can't be broken off. Left to the event loop, a call that hangs (a name server that
is gone: up to 30 seconds, resolv.conf(5)) holds the end of the loop and of the program, whatever
time limit stands around it. So it is called here first, in a thread that dies with the program;
a channel connects only once there is an answer.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress

from ai_suricata.sink.notify.channel import DeliveryError, reason


class Lookup:
    """One name. At most one question is out at a time."""

    def __init__(self, host: str, port: int) -> None:
        """`host`: a name or an address."""
        self._host = host
        self._port = port
        self._answer: asyncio.Future[OSError | None] | None = None

    async def answered(self) -> None:
        """Wait until the resolver answers, be it that there is no such name.

        That is for whoever connects to say: a proxy may know it. Raises `DeliveryError` where the
        resolver has given up.
        """
        if self._answer is None or self._answer.done():
            self._answer = asyncio.get_running_loop().create_future()
            asked = (asyncio.get_running_loop(), self._answer)
            threading.Thread(target=self._ask, args=asked, name="lookup", daemon=True).start()
        error = await asyncio.shield(self._answer)
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            raise DeliveryError(reason(error))

    def _ask(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[OSError | None]) -> None:
        said: OSError | None = None
        try:
            socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            said = error
        except UnicodeError:  # what is no name is for the library to say
            said = None
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_tell, answer, said)


def _tell(answer: asyncio.Future[OSError | None], said: OSError | None) -> None:
    if not answer.done():
        answer.set_result(said)
