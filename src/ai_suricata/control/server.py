"""The daemon's end of the control socket. Nothing that a peer sends may raise, or keep it busy."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Self

import structlog

from ai_suricata.control import protocol
from ai_suricata.control.listener import listening, peer_uid
from ai_suricata.control.protocol import Failure, ProtocolError, decode_order, encode_problem
from ai_suricata.core.errors import StateError
from ai_suricata.respond.order import InvalidOrderError, RefusedOrderError

if TYPE_CHECKING:
    import socket
    from pathlib import Path
    from types import TracebackType

    from ai_suricata.core.listener import Listener
    from ai_suricata.respond.operator import Operator

MOST_CONNECTIONS = 8
IDLE = 10.0
"""Seconds for a whole order to come in, and for a reply to go out."""
PARTING = 5.0
"""Seconds that orders under way have at the end."""

_log = structlog.get_logger(__name__)


class ControlServer:
    """Listens while it is entered: `async with ControlServer(operator, path)`."""

    def __init__(
        self,
        operator: Operator,
        path: Path,
        *,
        idle: float = IDLE,
        longest: float = protocol.LONGEST_ORDER,
    ) -> None:
        """`idle` and `longest` are in seconds: for a line, and for an order."""
        self._operator = operator
        self._path = path
        self._idle = idle
        self._longest = longest
        self._listener: Listener | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._orders: set[asyncio.Task[bytes]] = set()

    async def __aenter__(self) -> Self:
        """Listen. Raises `ConfigError` where the socket can't be made."""
        self._listener = listening(self._path)
        self._server = await asyncio.start_unix_server(
            self._accept, sock=self._listener.socket, limit=protocol.MOST_ORDER
        )
        _log.info("orders are taken", socket=str(self._path))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take no more orders; those under way are finished, within a bounded time."""
        if self._server is not None:
            self._server.close()
        if self._orders:
            await asyncio.wait(self._orders, timeout=PARTING)
        left = [*self._orders, *self._connections]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this in a task of its own
        writer.transport.set_write_buffer_limits(high=0)  # what is drained is gone out wholly
        # An order that outlives its connection takes the place of one.
        full = len(self._connections | self._orders) >= MOST_CONNECTIONS
        self._connections.add(task)
        try:
            if full:
                text = f"{MOST_CONNECTIONS} connections are open; try again"
                await self._send(writer, encode_problem(Failure.BUSY, text))
            elif not self._may(writer.get_extra_info("socket")):
                text = "orders are taken from the daemon's own user and root alone"
                await self._send(writer, encode_problem(Failure.REFUSED, text))
            else:
                await self._serve(reader, writer)
        except (OSError, TimeoutError) as error:
            _log.debug("control connection broken off", problem=str(error))
        except asyncio.CancelledError:
            # The server's end is the only one that cancels. asyncio would log a traceback of a
            # handler that ends as cancelled (asyncio.streams, `connection_made`).
            _log.debug("control connection was open at the end")
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    def _may(self, connection: socket.socket) -> bool:
        """Whether the peer is the owner or root; the file's mode says so, and this once more."""
        uid = peer_uid(connection)
        if uid in {0, os.geteuid()}:
            return True
        _log.warning("another user's order was not taken", uid=uid)
        return False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    line = await reader.readuntil()
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                text = f"an order has {protocol.MOST_ORDER} bytes at most"
                await self._send(writer, encode_problem(Failure.INVALID, text))
                return
            await self._send(writer, await self._answer(line))

    async def _send(self, writer: asyncio.StreamWriter, line: bytes) -> None:
        writer.write(line)
        async with asyncio.timeout(self._idle):
            await writer.drain()

    async def _answer(self, line: bytes) -> bytes:
        """Carry the order out; one that takes too long goes on, since half of it is worse."""
        order = asyncio.create_task(self._reply(line), name="order")
        self._orders.add(order)
        order.add_done_callback(self._orders.discard)
        done, _ = await asyncio.wait({order}, timeout=self._longest)
        if done:
            return order.result()
        text = f"not done within {self._longest:g} s; it goes on, `ai-suricata status` shows it"
        return encode_problem(Failure.BUSY, text)

    async def _reply(self, line: bytes) -> bytes:
        try:
            return protocol.encode_result(await decode_order(line).put(self._operator))
        except (ProtocolError, InvalidOrderError) as error:
            return encode_problem(Failure.INVALID, str(error))
        except RefusedOrderError as error:
            return encode_problem(Failure.REFUSED, str(error))
        except StateError as error:
            return encode_problem(Failure.FAILED, str(error))
        except Exception:  # noqa: BLE001 - whatever it is, no order may end the daemon that blocks
            _log.exception("an order has failed")
            return encode_problem(Failure.FAILED, "the daemon failed; its log says how")
