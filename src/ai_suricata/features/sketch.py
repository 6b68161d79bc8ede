"""Bitmaps that count distinct values by linear counting (Whang, Vander-Zanden and Taylor, 1990)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SKETCH_BITS = 256

# m bits of which z are zero stand for about m * ln(m / z) distinct values. A full bitmap has no
# such figure; it is taken as if half a bit were left.
_ZEROS = np.maximum(SKETCH_BITS - np.arange(SKETCH_BITS + 1), 0.5)
_DISTINCT = np.round(SKETCH_BITS * np.log(SKETCH_BITS / _ZEROS))


def bits_of(values: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash each value to one of the bits (SplitMix64; Steele, Lea and Flood, 2014).

    A multiplication alone would spread neighbouring ports more evenly than chance, and linear
    counting, which expects chance, would take 200 of them for 340.
    """
    z = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits: NDArray[np.uint64] = (z ^ (z >> np.uint64(31))) % np.uint64(SKETCH_BITS)
    return bits


def count_distinct(sketches: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Estimate how many values each sketch has seen: (..., 4 words) to (...)."""
    found: NDArray[np.float64] = _DISTINCT[np.bitwise_count(sketches).sum(axis=-1, dtype=np.int64)]
    return found
