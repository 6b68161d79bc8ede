"""When the tables are looked at, and the firewalls asked."""

from __future__ import annotations

import math

from ai_suricata.respond.schedule import Schedule
from fakes.response import NOW, clock_at, respond_settings


def test_both_are_due_at_once_and_then_by_their_intervals() -> None:
    """Each by its own."""
    settings = respond_settings(RECONCILE_INTERVAL="30", NEVER_BLOCK_REFRESH="600")
    schedule = Schedule(clock_at())
    assert -math.inf == schedule.reconcile_at(settings) == schedule.survey_at(settings)

    schedule.reconciled(whole=True)
    schedule.surveyed(whole=True)
    assert (NOW + 30, NOW + 600) == (
        schedule.reconcile_at(settings),
        schedule.survey_at(settings),
    )


def test_what_was_broken_off_comes_again_soon() -> None:
    """The tables at once; a firewall that did not say what it lives by after a minute."""
    settings = respond_settings()
    schedule = Schedule(clock_at())
    schedule.reconciled(whole=False)
    schedule.surveyed(whole=False)

    assert -math.inf == schedule.reconcile_at(settings)
    assert NOW + 60 == schedule.survey_at(settings)


def test_a_clock_that_was_set_back_makes_both_due() -> None:
    """Nobody knows how long ago it was."""
    settings, clock = respond_settings(), clock_at()
    schedule = Schedule(clock)
    schedule.reconciled(whole=True)
    schedule.surveyed(whole=True)
    clock.advance(-1)

    assert -math.inf == schedule.reconcile_at(settings) == schedule.survey_at(settings)
