"""The window of the last minute."""

from __future__ import annotations

from ai_suricata.core.clock import ManualClock
from ai_suricata.telemetry.window import SPAN, Window

START = 1_700_000_000.0


def test_an_empty_window_has_no_mean() -> None:
    """Nothing has no average: not zero, None."""
    summary = Window(ManualClock(START)).summary()

    assert 0 == summary.count
    assert summary.mean is None


def test_values_of_several_seconds_are_joined() -> None:
    """Count, sum and extremes are those of all values of the minute."""
    clock = ManualClock(START)
    window = Window(clock)
    window.add([0.2, 0.4])
    clock.advance(30)
    window.add([0.9])
    summary = window.summary()

    assert 3 == summary.count
    assert 0.5 == summary.mean
    assert (0.2, 0.9) == (summary.least, summary.greatest)


def test_values_leave_after_a_minute() -> None:
    """What is a whole span old no longer counts, what is a second younger does."""
    clock = ManualClock(START)
    window = Window(clock)
    window.count(7)
    clock.advance(SPAN - 1)

    assert 7 == window.summary().count

    clock.advance(1)

    assert 0 == window.summary().count


def test_a_bucket_is_used_again_a_minute_later() -> None:
    """The slot of a second is emptied before it serves the second one span later."""
    clock = ManualClock(START)
    window = Window(clock)
    window.count(7)
    clock.advance(SPAN)
    window.count(2)

    assert 2 == window.summary().count


def test_it_stays_as_small_as_it_is() -> None:
    """A day of values takes no more buckets than a minute of them."""
    clock = ManualClock(START)
    window = Window(clock)
    for _ in range(24 * 60):
        window.add([0.1] * 100)
        clock.advance(60.5)

    assert SPAN == len(window._buckets)


def test_a_clock_set_back_counts_nothing_twice() -> None:
    """What was written in seconds that now lie ahead is not of the last minute."""
    clock = ManualClock(START)
    window = Window(clock)
    window.count(7)
    clock.advance(-30)
    window.count(1)

    assert 1 == window.summary().count
