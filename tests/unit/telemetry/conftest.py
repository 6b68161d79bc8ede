"""Metrics on a clock that the test moves."""

from __future__ import annotations

import pytest

from ai_suricata.core.clock import ManualClock
from ai_suricata.telemetry.metrics import Metrics


@pytest.fixture
def clock() -> ManualClock:
    """Give a wall clock that the test moves."""
    return ManualClock(1_700_000_000.0)


@pytest.fixture
def metrics(clock: ManualClock) -> Metrics:
    """Measure on that clock."""
    return Metrics(clock)
