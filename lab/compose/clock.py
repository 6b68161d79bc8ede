"""When people and programs do something in a day."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from lab.compose.take import SECOND

if TYPE_CHECKING:
    import random

HOUR = 3600 * SECOND
DAY = 24 * HOUR
_FIRST = datetime(2026, 1, 5, tzinfo=UTC)


class Hours(Enum):
    """The middle and the spread of what somebody does, in hours of the local day."""

    ANY = (12.0, 0.0)
    OFFICE = (13.0, 2.5)
    EVENING = (20.0, 2.0)
    NIGHT = (3.0, 1.0)


def midnight(seed: int) -> int:
    """Return when the day of a seed begins: microseconds since the epoch, UTC."""
    begin = _FIRST + timedelta(days=(seed * 37) % 340)
    return round(begin.timestamp()) * SECOND


def moment(rng: random.Random, hours: Hours, zone: float) -> int:
    """Return a moment of the day, in microseconds; `zone`: hours that local time is ahead."""
    middle, spread = hours.value
    if spread == 0.0:
        return rng.randrange(DAY)
    local = rng.gauss(middle, spread) - zone
    return round((local % 24) * HOUR) % DAY


def between(rng: random.Random, low: float, high: float) -> float:
    """Return a number between two positive ones: as likely twice the lower as half the higher."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))
