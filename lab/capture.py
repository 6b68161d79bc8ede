"""Captures written by hand: whole TCP connections, each packet with its right checksums.

The formats are pcap and pcapng (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng), the packets
Ethernet, RFC 791 and RFC 9293. For what real traffic can't be made to do at will: a connection
that crosses from one capture into the next, and the same packets in two formats.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from lab.forger import checksum

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_IP = struct.Struct("!BBHHHBBH4s4s")
_TCP = struct.Struct("!HHIIBBHHH")
_ETHERNET = bytes.fromhex("020000000001 020000000002 0800")
_TICK = 0.001  # seconds between two packets of a connection
_LINK_ETHERNET = 1
_SNAP = 65535

Packet = tuple[float, bytes]
"""Seconds since the epoch, and an Ethernet frame."""


class Connection:
    """The packets of one TCP connection, a millisecond apart."""

    def __init__(self, client: str, port: int, server: str, service: int, at: float) -> None:
        """`port` of the client, `service` of the server; `at`: seconds since the epoch."""
        self.packets: list[Packet] = []
        self._time = at
        self._ends = ((client, port), (server, service))
        self._next = [1000, 9000]  # sequence numbers of client and server

    def open(self) -> Connection:
        """Add the three packets of the handshake."""
        self.packet(0, SYN)
        self.packet(1, SYN | ACK)
        self.packet(0, ACK)
        return self

    def exchange(self, question: bytes, answer: bytes) -> Connection:
        """Add a question and its answer, each acknowledged."""
        for sender, data in ((0, question), (1, answer)):
            self.packet(sender, PSH | ACK, data)
            self.packet(1 - sender, ACK)
        return self

    def close(self) -> Connection:
        """Add the farewell of both sides."""
        self.packet(0, FIN | ACK)
        self.packet(1, FIN | ACK)
        self.packet(0, ACK)
        return self

    def refuse(self) -> Connection:
        """Add what a closed port says to a first packet."""
        self.packet(0, SYN)
        self.packet(1, RST | ACK)
        return self

    def packet(self, sender: int, flags: int, data: bytes = b"") -> None:
        """Add one packet of the client (0) or the server (1)."""
        (source, port), (target, service) = self._ends[sender], self._ends[1 - sender]
        expected = self._next[1 - sender] if flags & ACK else 0
        bare = _TCP.pack(port, service, self._next[sender], expected, 5 << 4, flags, 64240, 0, 0)
        frame = _ETHERNET + _datagram(source, target, bare, data)
        self.packets.append((self._time, frame))
        self._time += _TICK
        self._next[sender] += len(data) + bool(flags & (SYN | FIN))


def _datagram(source: str, target: str, tcp: bytes, data: bytes) -> bytes:
    """Return an IPv4 packet of a TCP header without checksum and its data."""
    ends = IPv4Address(source).packed + IPv4Address(target).packed
    length = len(tcp) + len(data)
    pseudo = ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, length)
    padding = bytes(length % 2)
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp + data + padding)) + tcp[18:]
    header = _IP.pack(0x45, 0, _IP.size + length, 1, 0, 64, 6, 0, ends[:4], ends[4:])
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + tcp + data


def http(client: str, port: int, server: str, target: str, at: float) -> Connection:
    """Return a whole connection with one request for `target`, which is not found."""
    question = f"GET {target} HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: lab\r\n\r\n"
    answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    connection = Connection(client, port, server, 80, at).open()
    return connection.exchange(question.encode("ascii"), answer.encode("ascii")).close()


def write_pcap(path: Path, packets: Iterable[Packet], *, order: str = "<") -> Path:
    """Write packets in the order of time, with microseconds; `order`: of bytes, `<` or `>`."""
    parts = [struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAP, _LINK_ETHERNET)]
    for at, frame in sorted(packets):
        whole, micros = divmod(round(at * 1e6), 10**6)
        parts += struct.pack(f"{order}IIII", whole, micros, len(frame), len(frame)), frame
    path.write_bytes(b"".join(parts))
    return path


def write_pcapng(path: Path, packets: Iterable[Packet], *, order: str = "<") -> Path:
    """Write packets in the order of time, with nanoseconds (option `if_tsresol`)."""
    section = struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1)
    resolution = struct.pack(f"{order}HHBxxxHH", 9, 1, 9, 0, 0)
    interface = struct.pack(f"{order}HHI", _LINK_ETHERNET, 0, _SNAP) + resolution
    parts = [_block(order, 0x0A0D0D0A, section), _block(order, 1, interface)]
    for at, frame in sorted(packets):
        nanos = round(at * 1e6) * 1000
        head = struct.pack(
            f"{order}IIIII", 0, nanos >> 32, nanos & 0xFFFFFFFF, len(frame), len(frame)
        )
        parts.append(_block(order, 6, head + frame))
    path.write_bytes(b"".join(parts))
    return path


def _block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length
