"""Where the sockets of the tests lie."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def path() -> Iterator[Path]:
    """Return a path with room for its 107 bytes, which pytest's own folder may not have."""
    with tempfile.TemporaryDirectory(prefix="socket-") as folder:
        yield Path(folder) / "eve.sock"
