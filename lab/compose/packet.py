"""IP packets as bytes: what is read of their headers, and what is written into them.

RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 768 (UDP), RFC 792 and RFC 4443 (ICMP), RFC
1071 (checksums). A packet begins with its IP header; whatever link it came over is gone.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

ICMP, TCP, UDP, ICMP_V6 = 1, 6, 17, 58
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
_V4_HEADER, _V6_HEADER = 20, 40
_TTL_V4, _HOPS_V6 = 8, 7
_PORTS = struct.Struct("!HH")
_WORD = struct.Struct("!H")
_SHORTEST = {TCP: 20, UDP: 8, ICMP: 8, ICMP_V6: 8}
_CHECKSUM = {TCP: 16, UDP: 6, ICMP: 2, ICMP_V6: 2}
_ECHO = {ICMP: (8, 0), ICMP_V6: (128, 129)}
_ERRORS = {ICMP: frozenset({3, 4, 5, 11, 12}), ICMP_V6: frozenset({1, 2, 3, 4})}
_ERROR_HEADER = 8


class MalformedError(ValueError):
    """The bytes are no packet that can be placed elsewhere. The text is the reason, one word."""


class Header(NamedTuple):
    """What a packet says of itself."""

    protocol: int
    source: bytes
    """4 or 16 bytes."""
    target: bytes
    source_port: int
    """Of ICMP echo: its identifier, in both ports. Of other ICMP: 0."""
    target_port: int
    flags: int
    """Of TCP; else 0."""
    sequence: int
    """Of TCP; else 0."""
    payload: int
    """Bytes after the header of TCP or UDP; 0 for ICMP."""
    about: Header | None
    """Of an ICMP error: the packet that it is about."""


def trim(data: bytes) -> bytes:
    """Return the packet without the link's padding; raises MalformedError where it is cut off."""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= _V4_HEADER:
        (length,) = _WORD.unpack_from(data, 2)
    elif version == 6 and len(data) >= _V6_HEADER:
        length = _V6_HEADER + int(_WORD.unpack_from(data, 4)[0])
    else:
        raise MalformedError("not-ip")
    if length > len(data):
        raise MalformedError("cut-off")
    return data[:length]


def read(data: bytes) -> Header:
    """Return the headers of a whole packet; raises MalformedError with the reason."""
    return _read(data, about=True)


def _read(data: bytes, *, about: bool) -> Header:
    """As `read`; `about`: whether it may be an ICMP error (that is never about another one)."""
    protocol, offset = _network(data)
    source, target = _ends(data)
    if len(data) < offset + (_SHORTEST[protocol] if about else 8):
        raise MalformedError("cut-off")
    if protocol in {ICMP, ICMP_V6}:
        return _read_icmp(data, protocol, offset, about=about)
    near, far = (int(port) for port in _PORTS.unpack_from(data, offset))
    if protocol == UDP or not about:
        return Header(protocol, source, target, near, far, 0, 0, len(data) - offset - 8, None)
    sequence = int.from_bytes(data[offset + 4 : offset + 8], "big")
    payload = len(data) - offset - (data[offset + 12] >> 4) * 4
    flags = data[offset + 13]
    return Header(protocol, source, target, near, far, flags, sequence, payload, None)


def _read_icmp(data: bytes, protocol: int, offset: int, *, about: bool) -> Header:
    source, target = _ends(data)
    kind = data[offset]
    if kind in _ECHO[protocol]:
        identifier = int(_WORD.unpack_from(data, offset + 4)[0])
        return Header(protocol, source, target, identifier, identifier, 0, 0, 0, None)
    if not about or kind not in _ERRORS[protocol]:
        raise MalformedError("other-icmp")
    inner = _read(data[offset + _ERROR_HEADER :], about=False)
    return Header(protocol, source, target, 0, 0, 0, 0, 0, inner)


def _network(data: bytes) -> tuple[int, int]:
    """Return the transport protocol and where its header begins."""
    if not data:
        raise MalformedError("cut-off")
    if data[0] >> 4 == 4 and len(data) >= _V4_HEADER:
        if int(_WORD.unpack_from(data, 6)[0]) & 0x3FFF:
            raise MalformedError("fragment")
        protocol, offset = data[9], (data[0] & 15) * 4
    elif data[0] >> 4 == 6 and len(data) >= _V6_HEADER:
        protocol, offset = data[6], _V6_HEADER
    else:
        raise MalformedError("not-ip")
    if protocol not in _SHORTEST:
        raise MalformedError("other-protocol")
    return protocol, offset


def _ends(data: bytes) -> tuple[bytes, bytes]:
    if data[0] >> 4 == 4:
        return data[12:16], data[16:20]
    return data[8:24], data[24:40]


def readdress(
    data: bytes, ends: tuple[bytes, bytes], ports: tuple[int, int], *, hops: int = 0
) -> bytes:
    """Return the packet with other (source, target) addresses and ports, and right checksums.

    `hops` is taken off its time to live, down to 1. ICMP has no ports; the packet that an ICMP
    error is about gets the ends the other way round, as it went the other way.
    """
    protocol, offset = _network(data)
    packet = bytearray(data)
    place = _TTL_V4 if data[0] >> 4 == 4 else _HOPS_V6
    packet[place] = max(1, packet[place] - hops)
    _write_ends(packet, ends)
    if protocol in {TCP, UDP}:
        _PORTS.pack_into(packet, offset, *ports)
    elif data[offset] in _ERRORS[protocol]:
        inner = offset + _ERROR_HEADER
        packet[inner:] = _readdress_inner(data[inner:], ends[::-1], ports[::-1])
    _write_checksum(packet, protocol, offset)
    return bytes(packet)


def _readdress_inner(data: bytes, ends: tuple[bytes, bytes], ports: tuple[int, int]) -> bytes:
    """As `readdress`, for a packet that may be cut off: its transport checksum stays."""
    protocol, offset = _network(data)
    packet = bytearray(data)
    _write_ends(packet, ends)
    if protocol in {TCP, UDP}:
        _PORTS.pack_into(packet, offset, *ports)
    return bytes(packet)


def _write_ends(packet: bytearray, ends: tuple[bytes, bytes]) -> None:
    """Write the addresses; of IPv4 the header's checksum as well."""
    if packet[0] >> 4 == 6:
        packet[8:24], packet[24:40] = ends
        return
    packet[12:16], packet[16:20] = ends
    packet[10:12] = b"\0\0"
    _WORD.pack_into(packet, 10, checksum(packet[: (packet[0] & 15) * 4]))


def _write_checksum(packet: bytearray, protocol: int, offset: int) -> None:
    place = offset + _CHECKSUM[protocol]
    packet[place : place + 2] = b"\0\0"
    segment = packet[offset:]
    pseudo = b"" if protocol == ICMP else pseudo_header(packet, protocol, len(segment))
    total = checksum(pseudo + segment)
    if protocol == UDP and total == 0:
        total = 0xFFFF  # RFC 768: 0 says that there is no checksum
    _WORD.pack_into(packet, place, total)


def pseudo_header(packet: bytes | bytearray, protocol: int, length: int) -> bytes:
    """Return what the checksum of a segment of so many bytes covers beside itself."""
    ends = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
    if packet[0] >> 4 == 4:
        return bytes(ends) + struct.pack("!BBH", 0, protocol, length)
    return bytes(ends) + struct.pack("!IHBB", length, 0, 0, protocol)


def checksum(data: bytes | bytearray) -> int:
    """Return the Internet checksum (RFC 1071).

    The sum of 16-bit words with the carries added in again is the number that the bytes are,
    modulo 65,535: 65,536 leaves 1 when divided by that.
    """
    if len(data) % 2:
        data = bytes(data) + b"\0"
    number = int.from_bytes(data, "big")
    folded = number % 0xFFFF or (0xFFFF if number else 0)
    return ~folded & 0xFFFF
