"""The servers of the lab. Run inside a namespace: `python -m lab.server PLAN`.

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
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from lab import datagram, dns, login, web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_STREAMS: dict[str, tuple[tuple[int, ...], login.Serve]] = {
    "mail": ((25, 587), login.smtp),
    "box": ((110,), login.pop3),
    "imap": ((143,), login.imap),
    "ftp": ((21,), login.ftp),
    "desktop": ((3389,), login.rdp),
    "control": ((4444,), login.rdp),
}
"""Ports of each service, and who serves them; web and DNS are known by themselves."""


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What one server process listens on."""

    hosts: dict[str, Sequence[str]]
    """Addresses by service: web, dns, vpn, and those of `_STREAMS`."""
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
        for address in plan.hosts.get("web", ()):
            await servers.enter_async_context(await asyncio.start_server(web.serve, address, 80))
            secure = await asyncio.start_server(web.serve, address, 443, ssl=tls)
            await servers.enter_async_context(secure)
        for service, (ports, handler) in _STREAMS.items():
            for address, port in product(plan.hosts.get(service, ()), ports):
                server = await asyncio.start_server(handler, address, port)
                await servers.enter_async_context(server)
        for address, port, protocol in _datagram_services(plan):
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                protocol, local_addr=(address, port)
            )
            servers.callback(transport.close)
        Path(plan.ready).touch()  # noqa: ASYNC240 - once, before anything is served
        await stop.wait()
        sys.exit(0)  # connections that are still open end with the process


def _datagram_services(
    plan: ServerPlan,
) -> Iterator[tuple[str, int, Callable[[], asyncio.DatagramProtocol]]]:
    for address in plan.hosts.get("dns", ()):
        yield address, 53, dns.Responder
    for address, port in product(plan.hosts.get("vpn", ()), datagram.PORTS):
        yield address, port, partial(datagram.Answerer, port)


if __name__ == "__main__":
    asyncio.run(serve(ServerPlan(**json.loads(Path(sys.argv[1]).read_text(encoding="ascii")))))
