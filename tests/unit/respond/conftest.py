"""The response path, joined, with nothing behind it."""

from __future__ import annotations

import pytest

from fakes.response import FakeFirewall, ResponsePath


@pytest.fixture
def path() -> ResponsePath:
    """Return the response path with an empty ledger."""
    return ResponsePath()


@pytest.fixture
def pair() -> ResponsePath:
    """Return the response path to two firewalls."""
    return ResponsePath(others=(FakeFirewall("second"),))
