"""The response path, joined, with nothing behind it."""

from __future__ import annotations

import pytest

from fakes.response import ResponsePath


@pytest.fixture
def path() -> ResponsePath:
    """Return the response path with an empty ledger."""
    return ResponsePath()
