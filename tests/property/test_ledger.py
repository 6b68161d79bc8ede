"""The ledger and its journal against a model: any order of events, a reload at any point."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ai_suricata.core.decision import LIVE, LedgerState, Table
from ai_suricata.respond.ledger import Ledger
from ai_suricata.state.memory import LedgerJournal
from fakes.response import clock_at, decision

if TYPE_CHECKING:
    from collections.abc import Coroutine

TARGETS = ("203.0.113.1", "203.0.113.2", "2001:db8::3")
DURATIONS = (10.0, 600.0)

addresses = st.sampled_from(TARGETS)
tables = st.sampled_from(list(Table))
Key = tuple[str, Table]


class LedgerMachine(RuleBasedStateMachine):
    """Drives a ledger over a real file; `held` is what it should say: (state, end) by key."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.jsonl"
        self.clock = clock_at()
        self.ledger = Ledger(LedgerJournal(self.path), self.clock)
        self.durations: dict[Key, float] = {}
        self.held: dict[Key, tuple[LedgerState, float]] = {}

    def teardown(self) -> None:
        """Remove the folder."""
        self.folder.cleanup()

    def run(self, work: Coroutine[Any, Any, object]) -> None:
        """Do one thing to its end."""
        asyncio.run(work)

    @rule(address=addresses, table=tables, duration=st.sampled_from(DURATIONS))
    def request(self, address: str, table: Table, duration: float) -> None:
        """Wish for a block."""
        now = self.clock.now()
        made = decision(address, now, table=table, duration=duration)
        self.run(self.ledger.request([made]))
        self.durations[address, table] = duration
        self.held[address, table] = (LedgerState.REQUESTED, now + duration)

    @rule(address=addresses, table=tables, duration=st.sampled_from(DURATIONS))
    def refuse(self, address: str, table: Table, duration: float) -> None:
        """Refuse a block."""
        now = self.clock.now()
        made = decision(address, now, table=table, duration=duration)
        self.run(self.ledger.refuse([(made, "never blocked")]))
        self.durations[address, table] = duration
        self.held[address, table] = (LedgerState.REFUSED, now + duration)

    @rule(table=tables)
    def confirm(self, table: Table) -> None:
        """Prove all that is pending."""
        self.run(self.ledger.confirm(self.ledger.pending(table)))
        self._move(table, LedgerState.ENFORCED)

    @rule(table=tables)
    def fail(self, table: Table) -> None:
        """Let the firewall say no to all that is live."""
        self.run(self.ledger.fail(self.ledger.live(table), "no"))
        self._move(table, LedgerState.FAILED)

    @rule(table=tables)
    def end(self, table: Table) -> None:
        """End all that is live."""
        self.run(self.ledger.end(self.ledger.live(table), "spared"))
        now = self.clock.now()
        for key, (state, ends) in list(self.held.items()):
            if key[1] is table and state in LIVE and ends > now:
                self.held[key] = (state, now)

    @rule(table=tables)
    def release(self, table: Table) -> None:
        """Take out what has ended."""
        self.run(self.ledger.release(self.ledger.ended(table)))
        now = self.clock.now()
        for key, (state, ends) in list(self.held.items()):
            if key[1] is table and state in LIVE and ends <= now:
                self.held[key] = (LedgerState.WATCHED, now + self.durations[key])

    @rule()
    def forget(self) -> None:
        """Tidy up."""
        self.run(self.ledger.forget())
        now = self.clock.now()
        over = {LedgerState.WATCHED, LedgerState.REFUSED}
        self.held = {k: v for k, v in self.held.items() if v[0] not in over or v[1] > now}

    @rule(seconds=st.sampled_from([1.0, 10.0, 600.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @rule(torn=st.binary(max_size=40))
    def crash(self, torn: bytes) -> None:
        """Start anew from the file, at whose end a write was cut short."""
        if self.path.exists():
            with self.path.open("ab") as file:
                file.write(torn.replace(b"\n", b""))
        self.ledger = Ledger(LedgerJournal(self.path), self.clock)
        self.run(self.ledger.load())

    @invariant()
    def it_says_what_the_model_says(self) -> None:
        """Each key has its state and its end, and every view agrees with them."""
        said = {
            (e.target, e.decision.table): (e.state, e.expires_at) for e in self.ledger.entries()
        }
        assert self.held == said
        now = self.clock.now()
        for table in Table:
            mine = {k[0]: v for k, v in self.held.items() if k[1] is table and v[0] in LIVE}
            live = {target for target, (_, ends) in mine.items() if ends > now}
            assert live == {e.target for e in self.ledger.live(table)}
            assert mine.keys() - live == {e.target for e in self.ledger.ended(table)}
        assert min((ends for _, ends in self.held.values()), default=None) == self.ledger.next_end()

    @invariant()
    def a_second_reader_sees_the_same(self) -> None:
        """Find on disk what a call has returned from."""
        stored = {
            (e.target, e.decision.table): (e.state, e.expires_at)
            for e in LedgerJournal(self.path).read()
        }
        assert self.held == stored

    def _move(self, table: Table, state: LedgerState) -> None:
        now = self.clock.now()
        for key, (before, ends) in list(self.held.items()):
            if key[1] is table and before in LIVE and ends > now:
                self.held[key] = (state, ends)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
