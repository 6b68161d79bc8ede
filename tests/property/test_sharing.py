"""Two instances that are cut off, killed and joined in any order: both block the same."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from ai_suricata.core.decision import Table
from fakes.sharing import Board, Instance

TARGETS = ("203.0.113.1", "203.0.113.2", "2001:db8::3")
instances = st.integers(0, 1)
targets = st.sampled_from(TARGETS)
operations = st.one_of(
    st.tuples(st.just("block"), instances, targets),
    st.tuples(st.just("lift"), instances, targets),
    st.tuples(st.sampled_from(["enforce", "forget", "part", "join", "step", "kill"]), instances),
    st.tuples(st.just("wait"), st.sampled_from([30.0, 300.0, 601.0])),
    st.tuples(st.just("empty")),
)


class History:
    """Carries out operations, and knows what must be blocked in the end."""

    def __init__(self) -> None:
        self.board = Board()
        self.pair = (Instance(self.board), Instance(self.board))
        self.decided: dict[str, float] = {}
        self.lifted: set[tuple[str, float]] = set()

    async def do(self, name: str, which: object = None, target: str = "") -> None:
        """Carry out one operation, a second after the one before."""
        self.board.clock.advance(1)
        if name == "wait":
            assert isinstance(which, float)
            self.board.clock.advance(which)
        elif name == "empty":
            self.board.held.clear()
        elif isinstance(which, int):
            await self._do(name, self.pair[which], target)

    async def _do(self, name: str, at: Instance, target: str) -> None:
        if name == "block" and target not in at.live:
            self.decided[target] = self.board.clock.now()
            await at.block(target)
        elif name == "lift" and target in at.live:
            entry = at.path.ledger.latest(target, Table.BLOCK)
            assert entry is not None
            self.lifted.add((target, entry.decision.decided_at))
            await at.lift(target)
        elif name in {"part", "join"}:
            at.line.away = name == "part"
        elif name == "forget":
            await at.path.ledger.forget()
        elif name == "kill":
            await at.restart()
        elif name in {"enforce", "step"}:
            await getattr(at, name)()

    async def settle(self) -> None:
        """Join both, and let all be told and done."""
        for _ in range(3):
            for each in self.pair:
                each.line.away = False
                await each.step()
                await each.enforce()

    def expected(self) -> set[str]:
        """Return whose latest decision lasts and was not lifted."""
        now = self.board.clock.now()
        return {
            target
            for target, at in self.decided.items()
            if at + 600 > now and (target, at) not in self.lifted
        }


@settings(max_examples=300, deadline=None)
@given(st.lists(operations, max_size=40))
def test_in_any_order_of_events_both_come_to_block_the_same(
    done: list[tuple[str, ...]],
) -> None:
    """Nothing that lasts is forgotten, and nothing returns that was lifted.

    Whatever was cut off, killed or emptied meanwhile.
    """

    async def lived() -> None:
        history = History()
        for operation in done:
            await history.do(*operation)
        await history.settle()
        for each in history.pair:
            assert history.expected() == each.live
            held = await each.path.firewall.entries(Table.BLOCK)
            assert history.expected() == {str(target) for target in held}

    asyncio.run(lived())
