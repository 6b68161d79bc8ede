"""A log of changes: behaviour and position, appended together, compacted beside the work.

`behaviour.log` begins with a header that names the layout of its rows; then one record follows
another, each with its length, its CRC and everything that one flush has to keep: the position and
the rows that have changed. A record is whole or it is not there: reading ends at the first one
that a crash cut short. Later rows of an address take the place of earlier ones.

When much of the log is out of date it is written anew, from its own records and in a thread, while
appending goes on to a second file; no row in memory is touched, so a million rows don't stall the
pipeline.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ai_suricata.core.errors import StateError
from ai_suricata.core.position import Position

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Packed = NDArray[np.uint8]
    """Rows as bytes, shape (rows, width of the layout)."""

_MAGIC = b"ai-suricata log 1\n"
_HEAD = struct.Struct("<II")  # length of the body, CRC-32 of the body
_LONGEST_HEADER = 128
_SIZES = struct.Struct("<III")  # bytes of the head, rows, bytes of the addresses


class Head(msgspec.Struct, frozen=True):
    """What a record says besides its rows."""

    position: Position
    clock: int
    """Number of events that made this state."""
    gone: tuple[str, ...] = ()
    """Addresses whose rows are no longer kept, before the rows of this record."""
    notes: dict[str, tuple[str, ...]] = {}
    """Short lists that go with the rows, by name."""


@dataclass(frozen=True, slots=True)
class Record:
    """One flush."""

    head: Head
    addresses: list[str]
    rows: Packed
    """(addresses, width of the layout)."""


_head = msgspec.json.Decoder(Head)


def encode(record: Record) -> bytes:
    """Return a record as it stands in the file."""
    head = msgspec.json.encode(record.head)
    names = "\n".join(record.addresses).encode()
    sizes = _SIZES.pack(len(head), len(record.addresses), len(names))
    body = b"".join((sizes, head, names, record.rows.tobytes()))
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def decode(body: bytes) -> Record:
    """Return the record of a body; ValueError where it is none."""
    try:
        head_size, count, name_size = _SIZES.unpack_from(body)
        names = _SIZES.size + head_size
        rows = names + name_size
        head = _head.decode(body[_SIZES.size : names])
        addresses = body[names:rows].decode().split("\n") if count else []
    except (struct.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"record of another shape: {error}") from error
    if len(addresses) != count or len(body) < rows or (len(body) - rows) % max(count, 1):
        raise ValueError("record of another shape: lengths don't agree")
    packed = np.frombuffer(body, np.uint8, len(body) - rows, rows)
    return Record(head, addresses, packed.reshape(count, (len(body) - rows) // max(count, 1)))


def header(layout_digest: str) -> bytes:
    """Return what a log begins with."""
    return _MAGIC + layout_digest.encode() + b"\n"


def layout_of(path: Path) -> str:
    """Return the digest of the layout of a log's rows; "" where a crash cut the header short.

    Raises `StateError` where the file can't be read or is no log.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_LONGEST_HEADER)
    except OSError as error:
        raise StateError(f"{path} can't be read: {error.strerror}; grant the right") from error
    if not start.startswith(_MAGIC) and not _MAGIC.startswith(start):
        raise StateError(f"{path} is no log of ours; move it away to begin anew")
    digest, end, _ = start[len(_MAGIC) :].partition(b"\n")
    if not end:
        return ""
    return digest.decode("ascii", "replace")


def records(path: Path) -> Iterator[Record]:
    """Yield the whole records of a log, up to the first that is not whole.

    Raises `StateError` where the file can't be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(len(header(layout_of(path))))
            while len(head := file.read(_HEAD.size)) == _HEAD.size:
                length, crc = _HEAD.unpack(head)
                body = file.read(length)
                if not length or len(body) < length:
                    return  # a crash cut it short
                if zlib.crc32(body) != crc and not file.read(1):
                    return  # as above: its length was written before its content
                yield _checked(body, crc)
    except OSError as error:
        raise StateError(f"{path} can't be read: {error.strerror}; grant the right") from error
    except ValueError as error:
        raise StateError(f"{path} can't be read ({error}); move it away to begin anew") from error


def _checked(body: bytes, crc: int) -> Record:
    """Return the record; ValueError where it was whole once and is damaged: nobody guesses."""
    if zlib.crc32(body) != crc:
        raise ValueError("a record is damaged")
    return decode(body)
