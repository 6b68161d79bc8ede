"""How much may be decided in a minute and at a time, for each table apart."""

from __future__ import annotations

import pytest

from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.respond.budget import BUDGET, MINUTE, Budget
from fakes.response import NOW, decision, respond_settings

BLOCK, LIMIT = Table.BLOCK, Table.LIMIT


def budget(minute: int = 3, total: int = 100, pause: float = 300) -> Budget:
    """Return a budget of which nothing is used up."""
    return Budget(
        respond_settings(
            BLOCKS_PER_MINUTE=str(minute), BLOCKS_TOTAL=str(total), BUDGET_PAUSE=str(pause)
        )
    )


def admitted(asked: Budget, *times: float, table: Table = BLOCK) -> list[bool]:
    """Ask for one entry at each time; return which were admitted."""
    return [not asked.admit(table, NOW + time, 0) for time in times]


def entry(
    at: float,
    state: LedgerState = LedgerState.ENFORCED,
    *,
    table: Table = BLOCK,
    by_hand: bool = False,
) -> LedgerEntry:
    """Return what the ledger holds of a decision made `at` seconds after NOW."""
    made = decision(f"203.0.113.{int(at) % 250}", NOW + at, table=table, by_hand=by_hand)
    return LedgerEntry(made, state, NOW + at, NOW + at + 600)


def test_as_many_as_the_setting_says_are_admitted_in_a_minute() -> None:
    """The one after them is not."""
    assert [True, True, True, False] == admitted(budget(), 0, 10, 20, 59)


def test_the_window_slides() -> None:
    """An entry counts until a whole minute has gone by, to the second and no earlier."""
    sliding = budget()

    assert [True, True, True] == admitted(sliding, 0, 30, 40)
    assert [True] == admitted(sliding, 60.001)
    assert [False] == admitted(sliding, 90)


def test_past_the_minute_the_breaker_opens_for_the_pause() -> None:
    """Nothing is decided while it is open, though the window has room again; then it goes on."""
    asked = budget(pause=300)
    assert [True, True, True, False] == admitted(asked, 0, 0, 0, 1)

    assert [False, False] == admitted(asked, 62, 300.999)
    assert asked.open(BLOCK, NOW + 300.999)
    assert not asked.open(BLOCK, NOW + 301)
    assert [True, True, True, False] == admitted(asked, 301, 301, 302, 303)


def test_a_refusal_by_the_breaker_does_not_prolong_it() -> None:
    """However many come, it closes when it said it would."""
    asked = budget(minute=1, pause=100)

    assert [True, False] == admitted(asked, 0, 0)
    assert [False] * 99 == admitted(asked, *range(1, 100))
    assert [True] == admitted(asked, 100)


def test_each_table_has_a_budget_of_its_own() -> None:
    """A flood of forged sources fills the rate-limit table's, and stops no block."""
    asked = budget()

    assert [True] * 3 + [False] * 997 == admitted(asked, *[0] * 1000, table=LIMIT)
    assert asked.open(LIMIT, NOW)
    assert not asked.open(BLOCK, NOW)
    assert [True, True, True] == admitted(asked, 0, 0, 0)


def test_no_more_stand_at_a_time_than_the_total_says() -> None:
    """As long as there is no room; it does not open the breaker, and counts nobody."""
    asked = budget(total=5)

    refused = [bool(asked.admit(BLOCK, NOW, standing)) for standing in (5, 6, 5, 5, 5)]
    assert [True] * 5 == refused
    assert not asked.open(BLOCK, NOW)
    assert "" == asked.admit(BLOCK, NOW, 4)


@pytest.mark.parametrize(
    ("table", "name"), [(BLOCK, "the block table"), (LIMIT, "the rate-limit table")]
)
def test_a_refusal_says_what_is_used_up_until_when_and_what_to_do(table: Table, name: str) -> None:
    """In words, for the log and the operator; the end is rounded up to the second."""
    asked = budget(minute=1, pause=300)
    asked.admit(table, NOW, 0)

    expected = (
        f"{BUDGET}more than 1 new entries in a minute; nothing is decided for {name} "
        "until 2023-11-14T22:18:21Z; ai-suricata blocks list shows them; "
        "raise BLOCKS_PER_MINUTE if they are right"
    )
    assert expected == asked.admit(table, NOW + 0.5, 0)
    assert expected == asked.admit(table, NOW + 200, 0)


def test_a_full_table_says_so_and_what_to_do() -> None:
    """It names the other setting."""
    expected = (
        f"{BUDGET}7 entries stand in the block table, and BLOCKS_TOTAL is 5; nothing is decided "
        "for it until some have ended; ai-suricata blocks list shows them; "
        "raise BLOCKS_TOTAL if they are right"
    )
    assert expected == budget(total=5).admit(BLOCK, NOW, 7)


def test_a_time_that_no_calendar_has_is_told_all_the_same() -> None:
    """A clock can be wrong by ages: that may not stop the response."""
    asked = budget(minute=1)
    asked.admit(BLOCK, 1e12, 0)

    assert "until 9999-12-31T23:59:59Z" in asked.admit(BLOCK, 1e12, 0)


@pytest.mark.parametrize("restart", [0.0, 59.0])
def test_a_restart_gives_no_new_budget(restart: float) -> None:
    """What was decided in the last minute counts, whatever has become of it since."""
    asked = budget(minute=4)
    states = LedgerState.REQUESTED, LedgerState.FAILED, LedgerState.WATCHED
    asked.recall([entry(-restart / 2 - n, state) for n, state in enumerate(states)], NOW)

    assert [True, False] == admitted(asked, 0, 0)


def test_a_restart_does_not_close_the_breaker() -> None:
    """A crash every other minute would otherwise multiply the budget."""
    entries = [entry(-130), entry(-125), entry(-120)]
    asked = budget(pause=300)
    asked.recall(entries, NOW)

    assert asked.open(BLOCK, NOW)
    assert [False, False, True] == admitted(asked, 0, 179.9, 180)
    assert not asked.open(LIMIT, NOW)


def test_a_minute_that_was_not_full_leaves_the_breaker_closed() -> None:
    """Three in two minutes are no flood, nor are three in the minute of another table."""
    asked = budget(pause=300)
    asked.recall([entry(-130), entry(-125), entry(-60), entry(-59, table=LIMIT)], NOW)

    assert not asked.open(BLOCK, NOW)
    assert [True, True, False] == admitted(asked, 0, 0, 0)


def test_a_pause_that_is_over_stays_over() -> None:
    """The ledger keeps entries for days."""
    asked = budget(pause=300)
    asked.recall([entry(-302), entry(-301), entry(-300)], NOW)

    assert [True, True, True] == admitted(asked, 0, 0, 0)


def test_refusals_and_orders_of_the_operator_take_nothing_from_the_budget() -> None:
    """Neither went through it."""
    refused = [entry(-n, LedgerState.REFUSED) for n in range(5)]
    by_hand = [entry(-n, by_hand=True) for n in range(5)]
    asked = budget()
    asked.recall([*refused, *by_hand], NOW)

    assert [True, True, True, False] == admitted(asked, 0, 0, 0, 0)


def test_a_greater_minute_takes_effect_at_once() -> None:
    """The operator has looked, and raised it as the words say: nobody waits for the pause."""
    asked = budget(minute=2)
    assert [True, True, False] == admitted(asked, 0, 0, 0)

    asked.reload(respond_settings(BLOCKS_PER_MINUTE="4"))

    assert not asked.open(BLOCK, NOW)
    assert [True, True, False] == admitted(asked, 0, 0, 0)


def test_other_settings_leave_an_open_breaker_open() -> None:
    """SIGHUP is no way round it; a shorter pause is."""
    asked = budget(minute=2, pause=300)
    assert [True, True, False] == admitted(asked, 0, 0, 0)

    asked.reload(respond_settings(BLOCKS_PER_MINUTE="1", BUDGET_PAUSE="300"))
    assert asked.open(BLOCK, NOW + 299)

    asked.reload(respond_settings(BLOCKS_PER_MINUTE="1", BUDGET_PAUSE="100"))
    assert not asked.open(BLOCK, NOW + 100)
    assert [True, False] == admitted(asked, 100, 100)


def test_a_smaller_minute_counts_what_was_admitted_before() -> None:
    """No more than the new number in a minute from then on."""
    asked = budget(minute=5, pause=1)
    assert [True] * 4 == admitted(asked, 0, 0, 0, 0)

    asked.reload(respond_settings(BLOCKS_PER_MINUTE="2", BUDGET_PAUSE="1"))

    assert [False, False, True, True, False] == admitted(asked, 5, 30, 61, 61, 61)


def test_a_clock_that_is_set_back_uses_up_nothing_for_long() -> None:
    """What lies in the future counts as of now: for a minute, or for one pause."""
    asked = budget(minute=2, pause=100)
    assert [True, True, False] == admitted(asked, 86_400, 86_400, 86_400)

    assert [False] == admitted(asked, 0)
    assert [True] == admitted(asked, 101)


def test_a_clock_that_was_set_back_before_a_restart_does_no_more() -> None:
    """As above, out of the ledger."""
    asked = budget(minute=2, pause=100)
    asked.recall([entry(86_400), entry(86_401)], NOW)

    assert [False, True, True, False] == admitted(asked, 99, 101, 101, 101)


def test_no_more_times_are_kept_than_a_minute_may_have() -> None:
    """Neither of a flood nor of a ledger with a hundred thousand entries."""
    asked = budget(minute=3, pause=1)
    asked.recall([entry(-n / 1000) for n in range(10_000)], NOW)
    assert 3 == len(asked._windows[BLOCK].times)

    for second in range(1000):
        asked.admit(BLOCK, NOW + 10 + second / 2, 0)
        assert len(asked._windows[BLOCK].times) <= 3


def test_the_minute_is_one() -> None:
    """BLOCKS_PER_MINUTE says so."""
    assert 60 == MINUTE
