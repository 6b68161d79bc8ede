"""A clock that stands still, and tails that are closed when the test ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.clock import ManualClock
from unit.source.following import new_tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ai_suricata.source.file.tail import Tail


@pytest.fixture
def clock() -> ManualClock:
    """Seconds that pass only when the test says so."""
    return ManualClock(1000.0)


@pytest.fixture
def follow(clock: ManualClock) -> Iterator[Callable[..., Tail]]:
    """Make tails (`new_tail`) that are closed at the end."""
    made: list[Tail] = []

    def make(*args: object, **changes: object) -> Tail:
        made.append(new_tail(*args, clock=clock, **changes))  # type: ignore[arg-type] # passed on
        return made[-1]

    yield make
    for tail in made:
        tail.close()
