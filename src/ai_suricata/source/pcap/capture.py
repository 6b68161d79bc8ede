"""Telling captures from eve files by their first bytes, and what a capture begins with.

Formats: pcap (draft-ietf-opsawg-pcap, "File Header" and "Packet Record") and pcapng
(draft-ietf-opsawg-pcapng, "Block Types").
"""

from __future__ import annotations

import gzip
import struct
import zlib
from enum import Enum, auto
from typing import TYPE_CHECKING, BinaryIO

from ai_suricata.core.errors import AiSuricataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIXES = (".pcap", ".pcapng", ".cap")
"""What captures are called; their first bytes decide, not their names."""

COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".lz4")

GZIP = b"\x1f\x8b"
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
    b"\x34\xcd\xb2\xa1": ("<", 1e-6),  # Kuznetzov's variant of longer packet headers
    b"\xa1\xb2\xcd\x34": (">", 1e-6),
}
"""Byte order, and the unit of a timestamp's fraction in seconds."""
_HEAD_BYTES = 64 * 1024
_EVE_FIELD = b'"event_type"'
_FILE_HEADER_BYTES = 24
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_LITTLE = 0x1A2B3C4D
_RESOLUTION_OPTION = 9
_MOST_BLOCKS = 10_000
"""Blocks of a pcapng file that are looked at: packets come soon after the interfaces."""
_MOST_BODY = 1024 * 1024


class InputError(AiSuricataError):
    """What was named can't be replayed; nothing was started. The text says the remedy."""


class Kind(Enum):
    """What a file is."""

    CAPTURE = auto()
    COMPRESSED = auto()
    """A compressed capture, which Suricata can't read."""
    BROKEN = auto()
    """Called a capture, and none."""
    EMPTY = auto()
    """Called a capture, and without a byte: one that is begun looks like that."""
    EVE = auto()
    OTHER = auto()


def kind_of(path: Path) -> Kind:
    """Return what the file is, by its first bytes before its name; raises OSError."""
    head = _head(path)
    content = read_head(path)
    if _is_capture(head):
        return Kind.CAPTURE
    if _is_capture(content) or _is_named_compressed(path):
        return Kind.COMPRESSED
    if path.suffix.lower() in SUFFIXES:
        return Kind.BROKEN if head else Kind.EMPTY
    is_damaged = head.startswith(GZIP) and not content  # its reader says so
    return Kind.EVE if is_damaged or _EVE_FIELD in content else Kind.OTHER


def _is_capture(head: bytes) -> bool:
    return head[:4] in _PCAP or head[:4] == _PCAPNG


def _is_named_compressed(path: Path) -> bool:
    endings = [suffix.lower() for suffix in path.suffixes[-2:]]
    return (
        len(endings) == 2  # noqa: PLR2004 - what it is, and how it is compressed
        and endings[0] in SUFFIXES
        and endings[1] in COMPRESSED_SUFFIXES
    )


def read_head(path: Path) -> bytes:
    """Return the first 64 KiB of what the file holds, gzip'd or plain; nothing where it is damaged.

    Raises OSError.
    """
    head = _head(path)
    if not head.startswith(GZIP):
        return head
    try:
        with gzip.open(path) as content:
            return content.read(_HEAD_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b""


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def first_packet(path: Path) -> float | None:
    """Return when a capture's first packet was seen, in seconds since the epoch; raises OSError.

    None where it holds none; 0.0 where the packet carries no time.
    """
    with path.open("rb") as file:
        try:
            magic = file.read(4)
            file.seek(0)
            return _first_of_pcapng(file) if magic == _PCAPNG else _first_of_pcap(file)
        except struct.error:  # it ends within a header
            return None


def _first_of_pcap(file: BinaryIO) -> float | None:
    header = file.read(_FILE_HEADER_BYTES)
    if header[:4] not in _PCAP:
        return None
    order, unit = _PCAP[header[:4]]
    seconds, fraction, length = struct.unpack(f"{order}III", file.read(12))
    file.seek(4, 1)  # the packet's length on the wire
    held = len(file.read(min(length, _MOST_BODY)))
    return seconds + fraction * unit if held == min(length, _MOST_BODY) else None


def _first_of_pcapng(file: BinaryIO) -> float | None:
    units: list[float] = []
    for kind, order, body in _blocks(file):
        if kind == _SECTION:
            units = []
        elif kind == _INTERFACE:
            units.append(_unit(order, body))
        elif kind == _SIMPLE_PACKET:
            return 0.0
        elif kind in {_PACKET, _OLD_PACKET}:
            number, high, low = struct.unpack_from(f"{order}III", body)
            if kind == _OLD_PACKET:  # two fields of 16 bits: interface, and packets dropped
                number = struct.unpack_from(f"{order}H", body)[0]
            return float((high << 32 | low) * units[number]) if number < len(units) else 0.0
    return None


def _blocks(file: BinaryIO) -> Iterator[tuple[int, str, bytes]]:
    """Yield type, byte order and the (first MiB of the) body of the first blocks."""
    order = "<"
    for _ in range(_MOST_BLOCKS):
        head = file.read(8)
        if head[:4] == _PCAPNG:  # reads the same in either byte order, which follows it
            (mark,) = struct.unpack("<I", file.read(4))
            file.seek(-4, 1)
            order = "<" if mark == _LITTLE else ">"
        kind, length = struct.unpack(f"{order}II", head)
        if length < 12:  # noqa: PLR2004 - type, and the length twice
            return
        body = file.read(min(length - 12, _MOST_BODY))
        file.seek(length - 8 - len(body), 1)
        yield kind, order, body


def _unit(order: str, body: bytes) -> float:
    """Return an interface's unit of time in seconds: option `if_tsresol`, else microseconds."""
    at = 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, at)
        if code == _RESOLUTION_OPTION and length and at + 4 < len(body):
            value = body[at + 4]
            return float(2.0 ** -(value & 0x7F) if value & 0x80 else 10.0**-value)
        at += 4 + length + -length % 4
    return 1e-6
