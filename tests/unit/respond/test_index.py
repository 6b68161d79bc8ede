"""What a round asks of the ledger is found without going through all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.respond.index import Index
from fakes.response import NOW, decision

if TYPE_CHECKING:
    from collections.abc import Iterable

TARGETS = ("203.0.113.1", "203.0.113.2", "203.0.113.0/24", "2001:db8::1")
entries = st.builds(
    lambda target, table, state, end: LedgerEntry(decision(target, table=table), state, NOW, end),
    st.sampled_from(TARGETS),
    st.sampled_from(list(Table)),
    st.sampled_from(list(LedgerState)),
    st.sampled_from([NOW + seconds for seconds in (-10.0, 0.0, 10.0, 20.0)]),
)


def latest(kept: Iterable[LedgerEntry]) -> dict[tuple[str, Table], LedgerEntry]:
    """Return what should be held: the last entry of each key, but for the forgotten."""
    found = {(e.target, e.decision.table): e for e in kept}
    return {key: e for key, e in found.items() if e.state is not LedgerState.FORGOTTEN}


clocks = st.sampled_from([NOW, NOW + 15, NOW + 5, NOW - 20])


@given(st.lists(st.tuples(entries, clocks), max_size=30))
def test_every_answer_is_that_of_a_look_at_all_entries(
    kept: list[tuple[LedgerEntry, float]],
) -> None:
    """In any order of changes, with a clock that goes back now and then."""
    index = Index()
    for number, (entry, now) in enumerate(kept, start=1):
        index.keep(entry)
        model = latest(each for each, _ in kept[:number])
        assert {id(e) for e in model.values()} == {id(e) for e in index.values()}
        assert {id(e) for e in model.values() if e.expires_at <= now} == {
            id(e) for e in index.over(now)
        }
        assert min((e.expires_at for e in model.values()), default=None) == index.next_end()
        for table in Table:
            for state in LedgerState:
                expected = [e for (_, t), e in model.items() if (t, e.state) == (table, state)]
                assert len(expected) == index.count(table, (state,))
                assert {id(e) for e in expected} == {id(e) for e in index.of(table, (state,))}
            held = {e.target for e in index.covering("203.0.113.2", table)}
            network = {"203.0.113.0/24"} if ("203.0.113.0/24", table) in model else set()
            assert network == held
