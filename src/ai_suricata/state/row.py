"""Rows of behaviour as arrays and as bytes.

State keeps rows without knowing what their columns mean: a `Layout` only says how wide each is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rows:
    """Addresses, and for each of them one entry in every column."""

    addresses: Sequence[str]
    columns: Mapping[str, NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.addresses)

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """Return copies of some of the rows, by index."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return Rows([self.addresses[index] for index in chosen.tolist()], columns)

    def with_more(self, more: Rows) -> Rows:
        """Return these rows and others of the same columns."""
        columns = {
            name: np.concatenate((column, more.columns[name]))
            for name, column in self.columns.items()
        }
        return Rows([*self.addresses, *more.addresses], columns)


class Layout:
    """How the columns of a row stand side by side in bytes, little-endian."""

    def __init__(self, columns: Mapping[str, NDArray[np.generic]]) -> None:
        """Take names, types and widths from `columns`, of any number of rows."""
        self._kinds = {
            name: (column.dtype.newbyteorder("<"), column.shape[1:])
            for name, column in sorted(columns.items())
        }
        self.width = sum(_bytes_of(dtype, shape) for dtype, shape in self._kinds.values())
        kinds = [(name, dtype.str, shape) for name, (dtype, shape) in self._kinds.items()]
        self.digest = blake2b(repr(kinds).encode(), digest_size=8).hexdigest()
        """Names the layout: bytes of another one must not be read with this."""

    def pack(self, columns: Mapping[str, NDArray[np.generic]]) -> NDArray[np.uint8]:
        """Return the rows as bytes, shape (rows, width)."""
        parts = []
        for name, (dtype, shape) in self._kinds.items():
            column = np.ascontiguousarray(columns[name], dtype=dtype)
            flat = column.reshape(len(column), math.prod(shape)).view(np.uint8)
            parts.append(flat.reshape(len(column), _bytes_of(dtype, shape)))
        return np.concatenate(parts, axis=1)

    def unpack(self, rows: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
        """Return the columns of rows packed with the same layout, shape (rows, width)."""
        columns: dict[str, NDArray[np.generic]] = {}
        start = 0
        for name, (dtype, shape) in self._kinds.items():
            end = start + _bytes_of(dtype, shape)
            part = np.ascontiguousarray(rows[:, start:end])
            columns[name] = part.view(dtype).reshape(len(rows), *shape)
            start = end
        return columns


def _bytes_of(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> int:
    return dtype.itemsize * math.prod(shape)
