"""What arrives at every address of the Internet: lone packets that nobody has asked for.

These are written, not recorded: a SYN or a datagram has few bytes, and all of them are known. The
styles are those of the programs that send them: kernels repeat a SYN, scanners as zmap (Durumeric
et al., "ZMap", USENIX Security 2013) and masscan don't.
"""

from __future__ import annotations

import math
import struct
from enum import Enum
from typing import TYPE_CHECKING

from lab.compose.packet import ACK, ICMP, RST, SYN, TCP, UDP, readdress
from lab.compose.take import SECOND, Conversation, Segment

if TYPE_CHECKING:
    import random
CLIENT, SERVER = bytes((198, 18, 0, 1)), bytes((192, 0, 2, 1))
"""The ends until the packet is placed."""

WORM_PORTS = {
    23: 20, 445: 16, 22: 9, 2323: 5, 5555: 5, 81: 4, 1433: 7, 3389: 7, 80: 6, 8080: 6,
    8081: 2, 8088: 2, 88: 1, 82: 1, 443: 3, 8443: 2, 3306: 4, 5900: 3, 5901: 1, 139: 3, 135: 2,
    25: 2, 21: 3, 110: 1, 143: 1, 993: 1, 6379: 3, 9200: 2, 27017: 2, 11211: 1, 5432: 2, 2375: 2,
    7547: 3, 37215: 2, 52869: 1, 60001: 1, 8291: 2, 8728: 1, 1080: 2, 3128: 2, 8888: 2, 8000: 1,
    9000: 1, 10000: 2, 4899: 2, 1723: 1, 2222: 2, 22222: 1, 9999: 1, 6666: 1, 5060: 1, 1521: 1,
    111: 1, 389: 1, 502: 1, 102: 1, 49152: 1, 5431: 1, 9001: 1, 3388: 1, 3390: 1, 33899: 1,
}  # fmt: skip
"""TCP ports by how often they are asked for."""
WORM_PORTS_UDP = {
    5060: 12, 53: 8, 123: 7, 1900: 8, 161: 6, 19: 3, 137: 4, 111: 2, 389: 3, 11211: 3, 1434: 4,
    69: 2, 500: 2, 520: 1, 5353: 2, 3702: 2, 17: 1, 27015: 1, 53413: 4, 623: 2, 5683: 2, 1194: 1,
    47808: 1, 10001: 1, 33434: 1,
}  # fmt: skip
_TAIL = 0.22  # of the probes, at ports of no list
_SERVICES = (443, 80, 8443, 993, 25, 587, 465, 22, 143, 8080, 995, 110, 3389, 21, 5061, 8448)
"""What a stranger tries because it was told so: an old bookmark, an old record of DNS."""
_SERVICES_UDP = (443, 443, 3478, 500, 4500, 1194, 51820, 5061, 10000, 19302)
_INSISTENCE = (1, 2, 2, 3, 3, 4, 5, 5)
"""A kernel repeats a SYN: a client that sends a single one is rare."""
_KERNEL = (1, 3, 7, 15, 31)
_WINDOWS = (3, 9)
_DATAGRAM_AGAIN = (2, 5, 15)


class Style(Enum):
    """Who wrote a SYN: window, options, and the seconds after which it comes again."""

    LINUX = (64240, bytes.fromhex("020405b40402080a000000010000000001030307"), _KERNEL)
    WINDOWS = (8192, bytes.fromhex("020405b40103030801010402"), _WINDOWS)
    MASSCAN = (1024, b"", ())
    ZMAP = (65535, bytes.fromhex("020405b4"), ())
    BOTNET = (14600, bytes.fromhex("020405b4"), (3,))


def syn(
    rng: random.Random, port: int, style: Style, *, again: int = 0, refused: bool = False
) -> Conversation:
    """Return a SYN that is refused, or else repeated up to `again` times, unanswered."""
    window, options, pauses = style.value
    sequence, own = rng.randrange(2**32), rng.randint(1024, 65535)
    packet = _tcp(CLIENT, SERVER, own, port, (sequence, 0), SYN, window, options)
    made = Conversation(TCP, CLIENT, SERVER, own, port, 0, sequence=sequence)
    made.segments.append(Segment(0, outward=True, data=packet))
    if refused:
        answer = _tcp(SERVER, CLIENT, port, own, (0, (sequence + 1) % 2**32), RST | ACK, 0, b"")
        made.segments.append(Segment(rng.randint(100, 90_000), outward=False, data=answer))
        made.answered = True
        return made
    for pause in pauses[:again]:
        made.segments.append(Segment(pause * SECOND, outward=True, data=packet))
    return made


def answer(rng: random.Random, port: int) -> Conversation:
    """Return a SYN and ACK to nobody's SYN: somebody forged our address elsewhere."""
    own = rng.randint(1024, 65535)
    numbers = (rng.randrange(2**32), rng.randrange(2**32))
    packet = _tcp(CLIENT, SERVER, port, own, numbers, SYN | ACK, 64240, b"\x02\x04\x05\xb4")
    made = Conversation(TCP, CLIENT, SERVER, port, own, 0, sequence=numbers[0])
    made.segments.append(Segment(0, outward=True, data=packet))
    return made


def datagram(rng: random.Random, port: int, payload: bytes, *, again: int = 0) -> Conversation:
    """Return a UDP datagram, sent again up to `again` times, unanswered."""
    own = port if port == 123 else rng.randint(1024, 65535)
    packet = _udp(own, port, payload)
    made = Conversation(UDP, CLIENT, SERVER, own, port, 0)
    for pause in (0, *_DATAGRAM_AGAIN[:again]):
        made.segments.append(Segment(pause * SECOND, outward=True, data=packet))
    return made


def echo(rng: random.Random) -> Conversation:
    """Return one ICMP echo request, unanswered."""
    identity = rng.randrange(1, 2**16)
    body = struct.pack("!BBHHH", 8, 0, 0, identity, rng.choice((0, 1, 256)))
    packet = _ip(ICMP, CLIENT, SERVER, body + rng.randbytes(rng.choice((0, 8, 32, 56))), (0, 0))
    made = Conversation(ICMP, CLIENT, SERVER, identity, identity, 0)
    made.segments.append(Segment(0, outward=True, data=packet))
    return made


def probe(rng: random.Random, *, refused: float) -> Conversation:
    """Return one probe of a worm or a scanner; `refused`: the share that gets a reset."""
    if rng.random() < 0.03:
        return echo(rng)
    if rng.random() < 0.2:
        port = _draw(rng, WORM_PORTS_UDP)
        return datagram(rng, port, _question(rng, port), again=rng.choice((0, 0, 0, 1)))
    return probe_tcp(rng, _draw(rng, WORM_PORTS), refused=refused)


def probe_tcp(rng: random.Random, port: int, *, refused: float) -> Conversation:
    """Return one SYN of a worm or a scanner to a port."""
    styles = (Style.MASSCAN, Style.ZMAP, Style.BOTNET, Style.WINDOWS, Style.LINUX)
    style = rng.choices(styles, (5, 4, 4, 3, 2))[0]
    again = rng.choice((0, 0, 0, 0, 1, 2))
    return syn(rng, port, style, again=again, refused=rng.random() < refused)


def mistake(rng: random.Random, *, refused: float) -> Conversation:
    """Return what a client sends to the wrong place, insisting a little."""
    if rng.random() < 0.2:
        again = rng.choice((0, 1, 2, 3))
        return datagram(
            rng, rng.choice(_SERVICES_UDP), rng.randbytes(rng.randint(20, 1200)), again=again
        )
    style = rng.choice((Style.LINUX, Style.LINUX, Style.WINDOWS))
    port = rng.choice(_SERVICES[:6]) if rng.random() < 0.6 else rng.choice(_SERVICES)
    again = 0 if rng.random() < 0.04 else rng.choice(_INSISTENCE)
    return syn(rng, port, style, again=again, refused=rng.random() < refused)


def peer(rng: random.Random, port: int) -> Conversation:
    """Return a file sharer's call to an address where there was a peer once (BEP 5)."""
    if rng.random() < 0.25:
        return syn(rng, port, Style.WINDOWS, again=rng.choice((1, 2)))
    ping = b"d1:ad2:id20:" + rng.randbytes(20) + b"e1:q4:ping1:t2:" + rng.randbytes(2) + b"1:y1:qe"
    return datagram(rng, port, ping, again=rng.choice((0, 0, 1, 2)))


def _draw(rng: random.Random, ports: dict[int, int]) -> int:
    """Return a port of the list, or one of the long tail: low ports more often than high ones."""
    if rng.random() < _TAIL:
        return min(65_535, max(1, round(math.exp(math.log(65_535) * rng.uniform(0.35, 1.0)))))
    return int(rng.choices(list(ports), list(ports.values()))[0])


def _question(rng: random.Random, port: int) -> bytes:
    """Return what is asked at a UDP port; mere bytes where no protocol is known to us."""
    if port == 5060:
        return (
            b"OPTIONS sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060\r\n"
            b"From: <sip:100@192.0.2.1>\r\nTo: <sip:100@192.0.2.1>\r\nCSeq: 1 OPTIONS\r\n"
            b"User-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n"
        )
    if port == 53:
        head = struct.pack("!HHHHHH", rng.randrange(2**16), 0x0100, 1, 0, 0, 0)
        return head + b"\x07version\x04bind\0\0\x10\0\x03"
    if port == 123:
        return b"\x17\0\x03\x2a" + bytes(4)
    if port == 1900:
        return b'M-SEARCH * HTTP/1.1\r\nHost:239.255.255.250:1900\r\nMan:"ssdp:discover"\r\n\r\n'
    return rng.randbytes(rng.choice((1, 4, 8, 24, 48)))


def _tcp(  # noqa: PLR0913, PLR0917 - the fields of a header
    source: bytes,
    target: bytes,
    own: int,
    port: int,
    numbers: tuple[int, int],
    flags: int,
    window: int,
    options: bytes,
) -> bytes:
    head = struct.pack(
        "!HHIIBBHHH", own, port, *numbers, (20 + len(options)) // 4 << 4, flags, window, 0, 0
    )
    return _ip(TCP, source, target, head + options, (own, port))


def _udp(own: int, port: int, payload: bytes) -> bytes:
    head = struct.pack("!HHHH", own, port, 8 + len(payload), 0)
    return _ip(UDP, CLIENT, SERVER, head + payload, (own, port))


def _ip(
    protocol: int, source: bytes, target: bytes, segment: bytes, ports: tuple[int, int]
) -> bytes:
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 1, 0, 64, protocol, 0, source, target
    )
    return readdress(head + segment, (source, target), ports)


def ports_of(rng: random.Random, count: int) -> list[int]:
    """Return different TCP ports as a worm with several ways in tries them."""
    found: dict[int, None] = {}
    while len(found) < count:
        found[_draw(rng, WORM_PORTS)] = None
    return list(found)
