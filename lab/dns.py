"""As much of the domain name system as the lab's servers and clients speak (RFC 1035, RFC 3596)."""

from __future__ import annotations

import asyncio
import struct
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import random

A, AAAA, MX, TXT = 1, 28, 15, 16
KNOWN_SUFFIXES = ("example.org", "example.net", "example.com")
_HEADER = struct.Struct("!HHHHHH")
_QUESTION = struct.Struct("!HH")
_RECORD = struct.Struct("!HHHIH")
_POINTER_TO_QUESTION = 0xC00C
_ANSWERED, _NO_SUCH_NAME = 0x8580, 0x8583  # response, authoritative, recursion; RCODE 0 or 3
_TTL = 300


def question(rng: random.Random, name: str, kind: int) -> bytes:
    """Return a query packet for one name and record type."""
    header = _HEADER.pack(rng.randrange(2**16), 0x0100, 1, 0, 0, 0)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return header + labels + b"\0" + _QUESTION.pack(kind, 1)


def answer(packet: bytes) -> bytes:
    """Return the response to a query packet; raises ValueError or struct.error on a broken one."""
    identity, _, count, *_ = _HEADER.unpack_from(packet)
    name, end = _name(packet, _HEADER.size)
    kind, _ = _QUESTION.unpack_from(packet, end)
    asked = packet[_HEADER.size : end + _QUESTION.size]
    if count != 1 or not name.endswith(KNOWN_SUFFIXES) or name.startswith("missing"):
        return _HEADER.pack(identity, _NO_SUCH_NAME, 1, 0, 0, 0) + asked
    data = _data(name, kind)
    record = _RECORD.pack(_POINTER_TO_QUESTION, kind, 1, _TTL, len(data)) + data if data else b""
    return _HEADER.pack(identity, _ANSWERED, 1, 1 if data else 0, 0, 0) + asked + record


def _name(packet: bytes, offset: int) -> tuple[str, int]:
    labels = []
    while length := packet[offset]:
        if length > 63 or offset + length + 1 >= len(packet):
            raise ValueError("a label of the question is too long")
        labels.append(packet[offset + 1 : offset + 1 + length].decode("ascii"))
        offset += length + 1
    return ".".join(labels), offset + 1


def _data(name: str, kind: int) -> bytes:
    """Return the record's data: always the same for a name, and nothing for unknown types."""
    digest = blake2b(name.encode(), digest_size=2).digest()
    if kind == A:
        return IPv4Address("203.0.113.0").packed[:3] + digest[:1]
    if kind == AAAA:
        return IPv6Address("2001:db8:3::").packed[:14] + digest
    if kind == MX:
        return b"\0\x0a\x04mail\xc0\x0c"
    if kind == TXT:
        return b"\x0bv=spf1 -all"
    return b""


class Responder(asyncio.DatagramProtocol):
    """Answers each query that can be read, and is silent to the rest."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one query."""
        try:
            reply = answer(data)
        except (ValueError, IndexError, struct.error):
            return
        self._transport.sendto(reply, addr)


class _Asker(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        if not self.reply.done():
            self.reply.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(exc)


async def ask(source: str, server: str, packet: bytes, *, port: int = 53) -> bytes:
    """Send a packet from `source` and return the reply; raises OSError or TimeoutError."""
    transport, asker = await asyncio.get_running_loop().create_datagram_endpoint(
        _Asker, local_addr=(source, 0), remote_addr=(server, port)
    )
    try:
        transport.sendto(packet)
        async with asyncio.timeout(3):
            return await asker.reply
    finally:
        transport.close()
