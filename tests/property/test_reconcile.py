"""Whatever befalls daemon, firewall and table, in any order: the table is right again in the end.

Right means: what the ledger wants in it, and what others have put into it, and nothing else. A
real daemon process, pf's stand-in behind a real sshd; one firewall, or a pair.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_suricata.core.decision import LIVE, LedgerState
from fakes.process import DaemonProcess, guesses, wait_for
from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE, running_pair, running_pf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.sshd import PfStandIn

pytestmark = pytest.mark.system

ATTACKERS = tuple(f"203.0.113.{number}" for number in range(1, 5))
FOREIGN = ("192.0.2.1", "192.0.2.128/25", "203.0.113.1", "2001:db8::1")
TABLES = {"block": BLOCK_TABLE, "limit": LIMIT_TABLE}
INTERVAL = 1.0
SLACK = 12.0
"""Seconds beside the interval: an sshd that was away is asked again after 10 at most."""
EXAMPLES = int(os.environ.get("RECONCILE_EXAMPLES", "8"))

misfortunes = st.one_of(
    st.tuples(st.sampled_from(["kill", "start", "stop sshd", "start sshd", "restart sshd"])),
    st.tuples(st.sampled_from(["empty", "take out"]), st.sampled_from(list(TABLES))),
    st.tuples(st.just("put"), st.sampled_from(FOREIGN)),
    st.tuples(st.just("attack"), st.sampled_from(ATTACKERS)),
    st.tuples(st.just("wait"), st.sampled_from(["0.1", "1.2"])),
)


operations = st.tuples(misfortunes, st.integers(0, 1))
"""What happens, and to which firewall of a pair."""


class Host:
    """A firewall, and what others have in its block table."""

    def __init__(self, pf: PfStandIn) -> None:
        self.pf = pf
        self.foreign: set[str] = set()
        self.up = True

    def holds(self, live: set[tuple[str, str]]) -> bool:
        """Whether both tables hold what is live in the ledger, and what others have put in."""
        expected = {name: {t for t, table in live if table == name} for name in TABLES}
        expected["block"] |= self.foreign
        return expected == {name: self.pf.table(table) for name, table in TABLES.items()}


class World:
    """A daemon and its firewalls."""

    def __init__(self, folder: Path, *firewalls: PfStandIn) -> None:
        self.hosts = [Host(pf) for pf in firewalls]
        self.attacked: set[str] = set()
        variables = {
            **firewalls[0].environment(*firewalls[1:]),
            "AUTO_BLOCK": "true",
            "RECONCILE_INTERVAL": f"{INTERVAL:g}",
            "FLUSH_INTERVAL": "0.2",
            "PFSENSE_TIMEOUT": "5",
        }
        self.daemon = DaemonProcess(folder, variables)

    def do(self, operation: tuple[str, ...], member: int) -> None:
        """Carry out one operation; `member`: on which firewall, where it is about one."""
        name, *which = operation
        getattr(self, "_" + name.replace(" ", "_"))(self.hosts[member % len(self.hosts)], *which)

    def _kill(self, _: Host) -> None:
        self.daemon.kill()
        self.daemon.process = None

    def _start(self, _: Host) -> None:
        if self.daemon.process is None:
            self.daemon.start_ready()

    def _stop_sshd(self, host: Host) -> None:
        host.pf.stop()
        host.up = False

    def _start_sshd(self, host: Host) -> None:
        if not host.up:
            host.pf.start()
            host.up = True

    def _restart_sshd(self, host: Host) -> None:
        host.pf.restart()
        host.up = True

    def _empty(self, host: Host, which: str) -> None:
        host.pf.empty(TABLES[which])
        if which == "block":
            host.foreign.clear()

    def _take_out(self, host: Host, which: str) -> None:
        """Take out one entry by hand, whosever it is."""
        held = sorted(host.pf.table(TABLES[which]))
        if held:
            host.pf.take_out(TABLES[which], held[0])
            host.foreign.discard(held[0])

    def _put(self, host: Host, which: str) -> None:
        host.pf.put(BLOCK_TABLE, which)
        host.foreign.add(which)

    def _attack(self, _: Host, which: str) -> None:
        self.daemon.write(guesses(which))
        self.attacked.add(which)

    def _wait(self, _: Host, which: str) -> None:
        time.sleep(float(which))

    def endure(self, done: list[tuple[tuple[str, ...], int]]) -> None:
        """Let all of it happen, then all of it run again, and see that it gets right."""
        try:
            self._start(self.hosts[0])
            for operation, member in done:
                self.do(operation, member)
            self.settle()
            wait_for(self.is_right, "the tables are right", INTERVAL + SLACK)
        finally:
            self.daemon.kill()

    def settle(self) -> None:
        """Let all of it run again, and all that was written be worked through."""
        for host in self.hosts:
            self._start_sshd(host)
        self._start(self.hosts[0])
        wait_for(lambda: self.attacked <= self.decided(), "all attackers are decided on")

    def decided(self) -> set[str]:
        """Return whose block the ledger holds."""
        return {target for target, table in self.daemon.ledger("pfsense") if table == "block"}

    def is_right(self) -> bool:
        """Whether all tables hold what they should, and the ledger calls all of it proved."""
        ledger = self.daemon.ledger("pfsense")
        live = {key for key, state in ledger.items() if LedgerState(state) in LIVE}
        if any(ledger[key] != LedgerState.ENFORCED for key in live):
            return False
        return all(host.holds(live) for host in self.hosts)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder for one example."""
    # A pfctl whose session was killed may write a last line while the folder is deleted.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


seldom = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
misfortune_after_misfortune = st.lists(operations, min_size=3, max_size=10)


@seldom
@given(misfortune_after_misfortune)
def test_after_any_order_of_misfortunes_the_table_is_right_again(
    done: list[tuple[tuple[str, ...], int]],
) -> None:
    """Killed, emptied, restarted, edited by hand: after one interval it is ledger plus foreign."""
    with temporary_folder() as folder, running_pf(folder / "pf") as pf:
        World(folder, pf).endure(done)


@seldom
@given(misfortune_after_misfortune)
def test_after_any_order_of_misfortunes_both_of_a_pair_are_right_again(
    done: list[tuple[tuple[str, ...], int]],
) -> None:
    """Each by itself, with what others have put into that one alone."""
    with temporary_folder() as folder, running_pair(folder / "pf") as pair:
        World(folder, *pair).endure(done)
