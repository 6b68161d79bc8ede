"""How a long piece of work says how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Progress(Protocol):
    """Is told what is being done, and how much of the whole is."""

    def __call__(self, what: str, share: float) -> None:
        """Take note; `share`: 0..1."""
        ...


def silent(what: str, share: float) -> None:
    """Tell nobody."""
    del what, share


def part(progress: Progress, start: float, end: float) -> Progress:
    """Return what tells of one part of the work, which lies between two shares of the whole."""

    def tell(what: str, share: float) -> None:
        progress(what, start + (end - start) * share)

    return tell


def by_bytes(progress: Progress, what: str, path: Path) -> Callable[[int], None]:
    """Return what takes the bytes that are read of a file, and tells the share of it."""
    size = max(path.stat().st_size, 1)
    return lambda done: progress(what, done / size)
