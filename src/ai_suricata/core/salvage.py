"""What can still be read of a record that a strict decoder refuses.

Two things are wrong with such records: the text is damaged (`mend` puts it right where nothing has
to be guessed), or a field holds another type than it should (`Salvager` reads each field by
itself, so that one strange field does not cost the whole record).
"""

from __future__ import annotations

import re
import types
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union, get_args, get_origin

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

S = TypeVar("S", bound=msgspec.Struct)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CONTROLS = bytes(range(0x20))
_BLANKS = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))
_HIGH, _ANY = rb"u[dD][89abAB][0-9a-fA-F]{2}", rb"u[dD][89a-fA-F][0-9a-fA-F]{2}"
_LOW = rb"u[dD][c-fC-F][0-9a-fA-F]{2}"
_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)"  # behind an even number of backslashes the next one begins an escape
    rb"(?:(\\" + _HIGH + rb"\\" + _LOW + rb")|\\" + _ANY + rb")"
)
"""A pair of escaped surrogates (group 2), or one without its other half."""


def mend(line: bytes) -> bytes:
    """Return the line with what no JSON may hold replaced; it may still be no JSON.

    - A byte order mark at the beginning goes (RFC 8259, 8.1).
    - Bytes that are no UTF-8, and escaped surrogates without their other half, become U+FFFD.
      Traffic decides what stands in some fields, so such a line is an event none the less.
    - Control characters become blanks, inside of strings or between records. A file that was
      truncated while it was written to begins with NUL bytes up to the writer's old place.
    """
    text = line.removeprefix(_BYTE_ORDER_MARK).translate(_BLANKS)
    if rb"\ud" in text or rb"\uD" in text:
        text = _SURROGATE.sub(_without_lone_surrogate, text)
    return text.decode("utf-8", "replace").encode()


def _without_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape[2] is not None else escape[1] + rb"\ufffd"


class Salvager(Generic[S]):
    """Reads a struct field by field."""

    def __init__(self, kind: type[S]) -> None:
        """`kind`: the struct; fields that are structs themselves are read in the same way."""
        fields = msgspec.structs.fields(kind)
        self._kind = kind
        self._required = {field.name for field in fields if field.required}
        self._readers = {field.name: _reader_of(field.type) for field in fields}
        absent = msgspec.Raw()
        pieces = [
            (field.name, msgspec.Raw, msgspec.field(default=absent, name=field.encode_name))
            for field in fields
        ]
        self._decoder = msgspec.json.Decoder(msgspec.defstruct(kind.__name__, pieces))

    def read(self, text: bytes | msgspec.Raw, lost: set[str], path: str = "") -> S:
        """Return what can be read; a field that can't be has its default.

        The names of those, as `alert.severity`, are added to `lost`; `path` begins them. Raises
        msgspec.ValidationError where `text` is no object or lacks what `kind` requires,
        msgspec.DecodeError where it is no JSON, RecursionError where it is nested too deeply.
        """
        pieces = self._decoder.decode(text)
        values: dict[str, Any] = {}
        for name, read in self._readers.items():
            piece = getattr(pieces, name)
            if not bytes(piece):
                continue
            try:
                values[name] = read(piece, lost, f"{path}{name}.")
            except (msgspec.DecodeError, UnicodeDecodeError):
                lost.add(path + name)
        missing = self._required - values.keys()
        if missing:
            raise msgspec.ValidationError(f"lacks {', '.join(sorted(missing))}")
        return self._kind(**values)


def _reader_of(annotation: Any) -> Callable[[msgspec.Raw, set[str], str], Any]:  # noqa: ANN401 - any annotation
    """Return what reads a value of this type, or raises msgspec.DecodeError."""
    is_union = get_origin(annotation) in {Union, types.UnionType}
    kinds = get_args(annotation) if is_union else (annotation,)
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return Salvager(kind).read
    decoder = msgspec.json.Decoder(annotation, strict=False)
    return lambda piece, _lost, _path: decoder.decode(piece)
