"""Datagrams of benign clients, and the servers that answer them.

The shapes are those of OpenVPN (P_CONTROL_HARD_RESET), WireGuard (handshake initiation of 148
bytes, response of 92), NTP (RFC 5905) and RTP (RFC 3550); the contents are random.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from lab import dns, estate

if TYPE_CHECKING:
    from lab.means import Means

OPENVPN, WIREGUARD, NTP, VIDEO = 1194, 51820, 123, 3478
PORTS = (OPENVPN, WIREGUARD, NTP, VIDEO)
_REST = 3.0  # seconds: the longest pause inside a tunnel


class Answerer(asyncio.DatagramProtocol):
    """Answers what has the shape of a service's request, and is silent to the rest."""

    def __init__(self, port: int) -> None:
        """`port`: the service."""
        self._port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one datagram."""
        if reply := answer(self._port, data):
            self._transport.sendto(reply, addr)


def answer(port: int, data: bytes) -> bytes:
    """Return what the service of a port says to a datagram; nothing where it says nothing."""
    if port == NTP:
        return b"\x24\x02" + data[2:40] + data[40:48] if len(data) == 48 else b""
    if port == WIREGUARD:
        if data[:4] == b"\x01\0\0\0" and len(data) == 148:
            return b"\x02\0\0\0" + data[4:92]
        return data if data[:4] == b"\x04\0\0\0" else b""
    if port == OPENVPN:
        if data[:1] == b"\x38" and len(data) >= 14:
            return b"\x40" + data[1:] + bytes(12)
        return data if data[:1] in {b"\x20", b"\x48"} else b""
    return data if data[:1] in {b"\x80", b"\x00"} else b""


async def _exchange(means: Means, server: str, port: int, packets: list[bytes]) -> None:
    """Send packets with pauses; raises TimeoutError where the first finds no answer."""
    loop = asyncio.get_running_loop()
    answered = loop.create_future()

    class Talk(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            del data, addr
            if not answered.done():
                answered.set_result(None)

        def error_received(self, exc: Exception) -> None:
            if not answered.done():
                answered.set_exception(exc)

    transport, _ = await loop.create_datagram_endpoint(
        Talk, local_addr=(means.source, 0), remote_addr=(server, port)
    )
    try:
        for number, packet in enumerate(packets):
            transport.sendto(packet)
            if number == 0:
                async with asyncio.timeout(3):
                    await answered
            await asyncio.sleep(means.rng.uniform(0.02, 0.2 if port == VIDEO else _REST))
    finally:
        transport.close()


async def use_vpn(means: Means) -> None:
    """Open a tunnel and use it for a while."""
    rng = means.rng
    if means.habits.random() < 0.5:
        first = b"\x01\0\0\0" + rng.randbytes(144)
        rest = [b"\x04\0\0\0" + rng.randbytes(rng.randint(28, 1300)) for _ in range(20)]
        await _exchange(means, estate.VPN, WIREGUARD, [first, *rest[: rng.randint(3, 20)]])
        return
    first = b"\x38" + rng.randbytes(13)
    rest = [b"\x20" + rng.randbytes(90) for _ in range(6)]
    rest += [b"\x48" + rng.randbytes(rng.randint(60, 1200)) for _ in range(rng.randint(3, 20))]
    await _exchange(means, estate.VPN, OPENVPN, [first, *rest])


async def ask_time(means: Means) -> None:
    """Ask for the time, once or in a burst of four."""
    request = b"\x23\x00\x06\xec" + bytes(36) + means.rng.randbytes(8)
    await _exchange(means, estate.VPN, NTP, [request] * means.rng.choice((1, 1, 4)))


async def call_video(means: Means) -> None:
    """Send pictures and sound to a meeting outside, and get as many back."""
    server = means.rng.choice(estate.OUTSIDE_VIDEO)
    hello = b"\x00\x01" + means.rng.randbytes(18)
    count = means.rng.randint(100, 400)
    media = [b"\x80" + means.rng.randbytes(means.rng.randint(80, 1100)) for _ in range(count)]
    await _exchange(means, server, VIDEO, [hello, *media])


async def miss_service(means: Means) -> None:
    """Send datagrams to a port that has been closed since: the host says so, each time anew."""
    port = means.habits.choice((5060, 1194, 514, 4500, 27015, 3478))
    for _ in range(means.rng.randint(2, 5)):
        packet = means.rng.randbytes(means.rng.randint(20, 200))
        try:
            await dns.ask(means.source, estate.WEB, packet, port=port)
        except OSError:
            await asyncio.sleep(means.rng.uniform(0.5, 4))


async def ping(means: Means) -> None:
    """Ping a server, a few times or only once (RFC 792)."""
    count, pause = str(means.rng.randint(1, 6)), f"{means.rng.choice((0.5, 1, 2))}"
    server = means.rng.choice((estate.WEB, estate.API, estate.DNS))
    process = await asyncio.create_subprocess_exec(
        "ping", "-n", "-q", "-I", means.source, "-c", count, "-i", pause, "-w", "15", server
    )
    await process.wait()
