"""How long: each return costs the next step."""

from __future__ import annotations

import pytest

from ai_suricata.core.decision import LedgerEntry, LedgerState
from ai_suricata.respond.escalation import LIFTED_BY_HAND, STEPS, duration_of, next_step
from fakes.response import NOW, decision


def entry(state: LedgerState, step: int, ends: float = NOW + 1, note: str = "") -> LedgerEntry:
    """Return the latest entry of an address."""
    return LedgerEntry(decision(step=step), state, NOW, ends, note)


def test_the_steps_are_ten_minutes_an_hour_a_day_and_a_week() -> None:
    """In seconds."""
    assert (600, 3600, 24 * 3600, 7 * 24 * 3600) == STEPS


def test_an_unknown_address_begins_at_the_first_step() -> None:
    """Nothing is known of it."""
    assert 0 == next_step(None, NOW)


@pytest.mark.parametrize(("before", "after"), [(0, 1), (1, 2), (2, 3), (3, 3)])
def test_a_watched_address_goes_one_step_up_and_stays_at_the_last(before: int, after: int) -> None:
    """Each return costs more."""
    assert after == next_step(entry(LedgerState.WATCHED, before), NOW)


@pytest.mark.parametrize("state", [LedgerState.WATCHED, LedgerState.REFUSED])
def test_what_is_over_counts_no_more(state: LedgerState) -> None:
    """The end of watching is the end, whether the ledger was tidied up or not."""
    assert 0 == next_step(entry(state, 2, ends=NOW), NOW)


def test_a_refused_decision_keeps_its_step() -> None:
    """Nothing was enforced, so nothing is added, and nothing forgotten."""
    assert 2 == next_step(entry(LedgerState.REFUSED, 2), NOW)


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_a_fixed_duration_wins_over_the_step(step: int) -> None:
    """BLOCK_DURATION as a number."""
    assert STEPS[step] == duration_of(step, None)
    assert 86_400 == duration_of(step, 86_400)


def test_a_block_that_was_lifted_by_hand_makes_the_next_no_longer() -> None:
    """The operator said that it was wrong; what came before it still counts."""
    lifted = entry(LedgerState.WATCHED, 1, note=f"{LIFTED_BY_HAND}: a customer")

    assert 1 == next_step(lifted, NOW)
    assert 2 == next_step(entry(LedgerState.WATCHED, 1, note="its time has ended"), NOW)
