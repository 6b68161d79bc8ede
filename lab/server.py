"""The servers of the lab: web, mail and DNS. Run inside a namespace: `python -m lab.server PLAN`.

PLAN is a JSON file: addresses to listen on by service, the certificate, its key, and the path of
a file that is made once every port is open.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab import dns, web

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAIL_IDLE = 30.0  # seconds that a mail client may be silent
_MAILBOXES = ("info", "sales", "office", "help")
_REPLIES = {
    "EHLO": b"250-mail.example.org\r\n250 SIZE 10485760\r\n",
    "HELO": b"250 mail.example.org\r\n",
    "MAIL": b"250 2.1.0 Ok\r\n",
    "DATA": b"354 End data with <CR><LF>.<CR><LF>\r\n",
    "RSET": b"250 2.0.0 Ok\r\n",
    "NOOP": b"250 2.0.0 Ok\r\n",
    "QUIT": b"221 2.0.0 Bye\r\n",
}


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What one server process listens on."""

    web: Sequence[str]
    mail: Sequence[str]
    dns: Sequence[str]
    certificate: str
    key: str
    ready: str
    """Path of the file that says: all ports are open."""

    def write(self, path: Path) -> Path:
        """Write the plan as JSON and return its path."""
        path.write_text(json.dumps(asdict(self)), encoding="ascii")
        return path


async def serve(plan: ServerPlan) -> None:
    """Open every port of the plan, say so, and serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(plan.certificate, plan.key)
    async with AsyncExitStack() as servers:
        for address in plan.web:
            await servers.enter_async_context(await asyncio.start_server(web.serve, address, 80))
            secure = await asyncio.start_server(web.serve, address, 443, ssl=tls)
            await servers.enter_async_context(secure)
        for address in plan.mail:
            await servers.enter_async_context(await asyncio.start_server(serve_mail, address, 25))
        for address in plan.dns:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                dns.Responder, local_addr=(address, 53)
            )
            servers.callback(transport.close)
        Path(plan.ready).touch()  # noqa: ASYNC240 - once, before anything is served
        await stop.wait()
        sys.exit(0)  # connections that are still open end with the process


async def serve_mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take mail for the mailboxes that exist, on one connection (RFC 5321)."""
    try:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        while await _serve_command(reader, writer):
            pass
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        pass  # whoever left without QUIT has left
    finally:
        writer.close()


async def _serve_command(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    line = await _line(reader)
    verb = line[:4].upper()
    if verb == "RCPT":
        writer.write(_recipient(line))
        return True
    writer.write(_REPLIES.get(verb, b"502 5.5.2 Command not recognised\r\n"))
    await writer.drain()
    if verb == "DATA":
        while await _line(reader) != ".":
            pass
        writer.write(b"250 2.0.0 Ok: queued\r\n")
    return verb != "QUIT"


async def _line(reader: asyncio.StreamReader) -> str:
    async with asyncio.timeout(_MAIL_IDLE):
        line = await reader.readuntil(b"\n")
    return line.decode("latin-1").rstrip("\r\n")


def _recipient(line: str) -> bytes:
    known = any(f"<{name}@example.org>" in line for name in _MAILBOXES)
    return b"250 2.1.5 Ok\r\n" if known else b"550 5.1.1 No such mailbox\r\n"


if __name__ == "__main__":
    asyncio.run(serve(ServerPlan(**json.loads(Path(sys.argv[1]).read_text(encoding="ascii")))))
