"""What follows from a verdict: a pure function."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import msgspec
import pytest

from ai_suricata.core.address import parse_network
from ai_suricata.core.decision import LIVE, LedgerEntry, LedgerState, Table
from ai_suricata.core.verdict import Action, Verdict
from ai_suricata.respond.budget import BUDGET
from ai_suricata.respond.escalation import LIFTED_BY_HAND, STEPS
from ai_suricata.respond.ledger import Ledger
from ai_suricata.respond.never_block import NeverBlock
from ai_suricata.respond.policy import BlankHistory, Ruling, rule
from fakes.response import ATTACKER, NOW, Disk, clock_at, decision, respond_settings, verdict

if TYPE_CHECKING:
    from ai_suricata.respond.policy import History

NETWORK = "203.0.113.0/24"
"""Of the attacker."""
NEVER = NeverBlock({"NEVER_BLOCK": [ip_network("198.51.100.0/24")]})


class Known:
    """A history out of entries, one for each target and table."""

    def __init__(self, *entries: LedgerEntry) -> None:
        self.held = {(e.target, e.decision.table): e for e in entries}

    def latest(self, target: str, table: Table) -> LedgerEntry | None:
        """Look the target up."""
        return self.held.get((target, table))

    def covering(self, target: str, table: Table) -> LedgerEntry | None:
        """Look at each network in turn."""
        for (text, held_in), held in self.held.items():
            network = parse_network(text)
            holds = "/" in text and parse_network(target).network_address in network
            if holds and held_in is table and held.state in LIVE:
                return held
        return None


def entry(
    state: LedgerState,
    *,
    target: str = ATTACKER,
    table: Table = Table.BLOCK,
    step: int = 0,
    ends: float = NOW + 60,
    note: str = "",
    by_hand: bool = False,
) -> LedgerEntry:
    """Return what the ledger holds of the attacker, or of its network."""
    made = decision(target, table=table, step=step, duration=STEPS[step], by_hand=by_hand)
    return LedgerEntry(made, state, NOW, ends, note)


def ruled(given: Verdict, *known: LedgerEntry, now: float = NOW, **variables: str) -> Ruling | None:
    """Rule on a verdict, where the ledger holds `known`."""
    return rule(given, Known(*known), NEVER, respond_settings(**variables), now)


@pytest.mark.parametrize(
    ("action", "table"),
    [
        (Action.BLOCK, Table.BLOCK),
        (Action.RATE_LIMIT, Table.LIMIT),
        (Action.MONITOR, None),
        (Action.LOG, None),
        (Action.IGNORE, None),
    ],
)
def test_an_action_has_its_table(action: Action, table: Table | None) -> None:
    """Two actions reach the firewall, the others nobody."""
    ruling = ruled(verdict(action=action))

    assert table == (ruling.decision.table if ruling else None)


def test_a_decision_carries_what_the_verdict_knew() -> None:
    """Whoever asks why gets score, reasons, features, model, and the times of the event."""
    given = verdict(
        at=NOW - 3,
        score=0.91,
        reasons=("a", "b"),
        model_version="m-1",
        written=int(NOW - 1) * 1_000_000,
        features={"ports": 40.0},
    )
    ruling = ruled(given)

    assert ruling is not None
    expected = decision(
        at=NOW,
        event_time=given.time,
        score=0.91,
        reasons=("a", "b"),
        model_version="m-1",
        written=given.written,
        features={"ports": 40.0},
    )
    assert Ruling(expected) == ruling


@pytest.mark.parametrize("action", [Action.BLOCK, Action.RATE_LIMIT])
def test_a_host_at_home_is_never_decided_on(action: Action) -> None:
    """Even where its verdict calls for it."""
    assert ruled(verdict(action=action, home=True)) is None


@pytest.mark.parametrize("state", [LedgerState.REQUESTED, LedgerState.ENFORCED, LedgerState.FAILED])
def test_who_is_in_the_table_already_gets_no_second_ruling(state: LedgerState) -> None:
    """Requested, enforced or to be tried again."""
    assert ruled(verdict(), entry(state)) is None


def test_what_has_run_out_shields_nobody() -> None:
    """A firewall is away, so that it is not out everywhere: an attack that goes on is a return."""
    leaving = ruled(verdict(), entry(LedgerState.ENFORCED, step=1, ends=NOW - 1))
    assert leaving is not None
    assert leaving.decision.step == 2
    for state in (LedgerState.REQUESTED, LedgerState.FAILED):
        again = ruled(verdict(), entry(state, step=1, ends=NOW - 1))
        assert again is not None
        assert again.decision.step == 0


def test_a_blocked_address_is_not_rate_limited_besides() -> None:
    """The other way round, a limited one can still be blocked."""
    limited = entry(LedgerState.ENFORCED, table=Table.LIMIT)

    assert ruled(verdict(action=Action.RATE_LIMIT), entry(LedgerState.ENFORCED)) is None
    assert ruled(verdict(), limited) is not None


def test_a_listed_address_is_refused_with_the_reason() -> None:
    """It is recorded, so that the operator sees what would have happened."""
    ruling = ruled(verdict("198.51.100.9"))

    assert ruling is not None
    assert "never blocked: NEVER_BLOCK: 198.51.100.0/24" == ruling.refused


def test_a_refusal_is_told_once_while_it_stands() -> None:
    """An address that is never blocked does not fill the ledger with each verdict."""
    refused = LedgerEntry(
        decision("198.51.100.9"), LedgerState.REFUSED, NOW, NOW + 600, "never blocked"
    )

    assert ruled(verdict("198.51.100.9"), refused, now=NOW + 599) is None
    assert ruled(verdict("198.51.100.9", NOW + 600), refused, now=NOW + 600) is not None


def test_events_older_than_the_duration_are_refused_with_their_age() -> None:
    """A backlog after downtime is recorded: the block would have ended by now."""
    late = ruled(verdict(at=NOW - 601))
    just = ruled(verdict(at=NOW - 600))

    assert late is not None
    assert "601 s old, and it would have ended after 600 s" == late.refused
    assert just is not None
    assert not just.refused


def test_a_refusal_for_old_events_does_not_protect_from_new_ones() -> None:
    """Who still attacks after the backlog is blocked at once, not when the refusal ends."""
    refused = entry(LedgerState.REFUSED, ends=NOW + 600)

    assert ruled(verdict(at=NOW - 700), refused) is None
    assert Ruling(decision()) == ruled(verdict(), refused)


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_who_returns_while_watched_comes_one_step_higher(step: int) -> None:
    """10 minutes, 1 hour, 24 hours, 7 days, and 7 days again."""
    ruling = ruled(verdict(), entry(LedgerState.WATCHED, step=step))
    higher = min(step + 1, 3)

    assert ruling is not None
    assert (higher, [600, 3600, 86_400, 604_800][higher]) == (
        ruling.decision.step,
        ruling.decision.duration,
    )


def test_who_was_forgotten_begins_anew() -> None:
    """Also where the time of watching is over and nobody has tidied up yet."""
    ruling = ruled(verdict(), entry(LedgerState.WATCHED, step=2, ends=NOW))

    assert ruling is not None
    assert 0 == ruling.decision.step


def test_a_refusal_does_not_wipe_out_what_came_before() -> None:
    """A returning attacker whose old events were refused is still a returning one."""
    refused = entry(LedgerState.REFUSED, step=2)
    ruling = ruled(verdict(), refused)

    assert ruling is not None
    assert 2 == ruling.decision.step


def test_a_fixed_duration_takes_the_place_of_the_steps() -> None:
    """The step is still counted."""
    ruling = ruled(verdict(), entry(LedgerState.WATCHED, step=1), BLOCK_DURATION="120")

    assert ruling is not None
    assert (120.0, 2) == (ruling.decision.duration, ruling.decision.step)


def test_a_rate_limit_has_its_own_duration() -> None:
    """Whatever BLOCK_DURATION says."""
    given = verdict(action=Action.RATE_LIMIT)
    ruling = ruled(given, BLOCK_DURATION="120", RATE_LIMIT_DURATION="90")

    assert ruling is not None
    assert 90.0 == ruling.decision.duration


def test_the_target_is_the_address_of_the_verdict() -> None:
    """One address, never a network."""
    ruling = ruled(verdict())

    assert ruling is not None
    assert ATTACKER == ruling.decision.target


def test_a_flow_is_as_old_as_its_record_and_not_as_its_start() -> None:
    """A connection is told of when it ends: an attack that goes on must not count as history."""

    def ruling(written: float) -> Ruling | None:
        begun = verdict(at=NOW - 700, written=int(written * 1_000_000))
        return rule(begun, BlankHistory(), NEVER, respond_settings(), NOW)

    ended_now, read_late = ruling(NOW - 1), ruling(NOW - 700)
    assert ended_now is not None
    assert ended_now.refused == ""
    assert read_late is not None
    assert "700 s old" in read_late.refused


@pytest.mark.parametrize("action", [Action.BLOCK, Action.RATE_LIMIT])
@pytest.mark.parametrize("state", [LedgerState.REQUESTED, LedgerState.ENFORCED, LedgerState.FAILED])
def test_an_address_in_a_blocked_network_gets_no_second_ruling(
    state: LedgerState, action: Action
) -> None:
    """Neither a block of its own nor a rate limit."""
    network = entry(state, target=NETWORK)

    assert ruled(verdict(action=action), network) is None
    assert ruled(verdict("192.0.2.7", action=action), network) is not None


def test_a_rate_limited_network_does_not_shield_from_a_block() -> None:
    """An operator can limit a network by hand; its worst address is blocked all the same."""
    limited = entry(LedgerState.ENFORCED, target=NETWORK, table=Table.LIMIT)

    assert ruled(verdict(action=Action.RATE_LIMIT), limited) is None
    assert ruled(verdict(), limited) is not None


def test_a_wish_for_a_network_that_ran_out_shields_nobody() -> None:
    """Whatever the history calls live: it is asked here too."""
    ran_out = entry(LedgerState.REQUESTED, target=NETWORK, ends=NOW - 1)
    released = entry(LedgerState.WATCHED, target=NETWORK)

    assert ruled(verdict(), ran_out) is not None
    assert ruled(verdict(), released) is not None


def test_a_block_by_hand_is_as_good_as_any() -> None:
    """The operator was first: there is nothing to decide."""
    by_hand = entry(LedgerState.ENFORCED, by_hand=True)
    network = entry(LedgerState.ENFORCED, target=NETWORK, by_hand=True)

    assert ruled(verdict(), by_hand) is None
    assert ruled(verdict(action=Action.RATE_LIMIT), by_hand) is None
    assert ruled(verdict(), network) is None


@pytest.mark.parametrize("state", [LedgerState.WATCHED, LedgerState.REQUESTED])
@pytest.mark.parametrize("table", list(Table))
@pytest.mark.parametrize("action", [Action.BLOCK, Action.RATE_LIMIT])
def test_what_was_lifted_by_hand_is_not_decided_again_for_an_hour(
    action: Action, table: Table, state: LedgerState
) -> None:
    """What is known of it has not changed; also where the wish had not got to the firewall yet."""
    lifted = entry(state, table=table, ends=NOW, note=f"{LIFTED_BY_HAND}: a customer")
    hour, later = NOW + 3600, NOW + 3600.000_001

    assert ruled(verdict(at=NOW - 1, action=action), lifted) is None
    assert ruled(verdict(at=hour, action=action), lifted, now=hour) is None
    assert ruled(verdict(at=later, action=action), lifted, now=hour + 5) is not None


def test_a_lift_by_the_clock_excuses_nothing() -> None:
    """A backlog read late tells of an attacker who was let go only because the time was up."""
    released = entry(LedgerState.WATCHED, note="its time has ended")

    assert ruled(verdict(at=NOW - 1), released) is not None


def test_want_of_budget_stands_in_nobodys_way() -> None:
    """Whoever was turned away because too many came is decided anew, and told of anew."""
    turned_away = entry(LedgerState.REFUSED, note=f"{BUDGET}more than 300")
    listed = msgspec.structs.replace(turned_away, decision=decision("198.51.100.9"))

    assert Ruling(decision()) == ruled(verdict(), turned_away)
    again = ruled(verdict("198.51.100.9"), listed)
    assert again is not None
    assert "never blocked: NEVER_BLOCK: 198.51.100.0/24" == again.refused


async def test_the_ledger_is_a_history() -> None:
    """What is recorded there decides here: an address, its network, and nobody else."""
    ledger = Ledger(Disk(), clock_at())
    await ledger.request([decision(NETWORK), decision("192.0.2.7")])
    history: History = ledger

    def rules(address: str) -> Ruling | None:
        return rule(verdict(address), history, NEVER, respond_settings(), NOW)

    assert rules(ATTACKER) is None
    assert rules("192.0.2.7") is None
    assert rules("192.0.2.8") is not None
