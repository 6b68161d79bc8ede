"""Feature vectors by name: `vectors["failed_ports"]` is one column of the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.schema import FEATURES, INDEX

if TYPE_CHECKING:
    from numpy.typing import NDArray


SCALING = "log1p float32"
"""Names what `scaled` does; an artifact that was trained on another scaling is refused."""


class Vectors:
    """A matrix (rows, len(FEATURES)) whose columns are asked for by feature name."""

    def __init__(self, matrix: NDArray[np.float64]) -> None:
        """`matrix`: in the order of `core.schema`; any other width is a programming error."""
        if matrix.ndim != 2 or matrix.shape[1] != len(FEATURES):  # noqa: PLR2004 - rows and columns
            raise ValueError(f"expected (rows, {len(FEATURES)}), got {matrix.shape}")
        self.matrix = matrix

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        column: NDArray[np.float64] = self.matrix[:, INDEX[name]]
        return column

    def __len__(self) -> int:
        return len(self.matrix)

    def row(self, index: int) -> dict[str, float]:
        """Return one vector as name: value."""
        return dict(zip(INDEX, self.matrix[index].tolist(), strict=True))


def ramp(values: NDArray[np.float64], *steps: tuple[float, float]) -> NDArray[np.float64]:
    """Map values to scores, linear between the (value, score) steps, 0 below half of the first."""
    (first, _), xs, ys = steps[0], [x for x, _ in steps], [y for _, y in steps]
    return np.interp(values, [first / 2, *xs], [0.0, *ys])


def scaled(matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return log(1 + value), for counts that run from one to millions (see `SCALING`).

    The precision is that of scikit-learn's trees, so that training and serving round alike.
    """
    return np.log1p(np.maximum(np.ascontiguousarray(matrix), 0.0)).astype(np.float32)
