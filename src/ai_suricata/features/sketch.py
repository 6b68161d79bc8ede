"""Bitmaps that count distinct values by linear counting (Whang, Vander-Zanden and Taylor, 1990).

The sketches of a row lie side by side, each as wide as what it counts asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.behaviour import SKETCH_STARTS, SKETCH_WORDS, Sketch

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORD_BITS = 64
_STARTS = np.array(SKETCH_STARTS[:-1], dtype=np.int64)
_FIRST_BITS = (_STARTS * _WORD_BITS).astype(np.uint64)
_BITS = np.array(SKETCH_WORDS, dtype=np.uint64) * np.uint64(_WORD_BITS)
_ROWS = np.arange(len(Sketch))


def _estimates() -> NDArray[np.float64]:
    """Return for each sketch how many values each number of set bits stands for.

    m bits of which z are zero stand for about m * ln(m / z) distinct values. A full bitmap has no
    such figure; it is taken as if half a bit were left.
    """
    most = max(SKETCH_WORDS) * _WORD_BITS
    widths = _BITS.astype(np.float64)[:, None]
    zeros = np.maximum(widths - np.arange(most + 1), 0.5)
    found: NDArray[np.float64] = np.round(widths * np.log(widths / zeros))
    return found


_DISTINCT = _estimates()


def bits_of(values: NDArray[np.int64], sketches: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash each value to one of the bits of its sketch (SplitMix64; Steele, Lea and Flood, 2014).

    Bits are numbered over all sketches of a row. A multiplication alone would spread neighbouring
    ports more evenly than chance, and linear counting, which expects chance, would take 200 of
    them for 340. What `DAY_SEEN` holds are no hashes but the bits themselves.
    """
    z = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    plain = sketches == Sketch.DAY_SEEN
    z[plain] = values[plain].astype(np.uint64)
    bits: NDArray[np.uint64] = _FIRST_BITS[sketches] + z % _BITS[sketches]
    return bits


def count_distinct(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Estimate how many values each sketch has seen: (rows, words) to (rows, len(Sketch))."""
    set_bits = np.add.reduceat(np.bitwise_count(words).astype(np.int64), _STARTS, axis=1)
    found: NDArray[np.float64] = _DISTINCT[_ROWS, set_bits]
    return found


def seen_bits(words: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return the 64 bits of `DAY_SEEN`: (rows, words) to (rows, 64)."""
    word = words[:, _STARTS[Sketch.DAY_SEEN]]
    shifted = word[:, None] >> np.arange(_WORD_BITS, dtype=np.uint64)
    found: NDArray[np.bool_] = (shifted & np.uint64(1)).astype(np.bool_)
    return found
