"""A pair of firewalls and the daemon, each a process: what counts is what both of them have."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from fakes.process import guesses, running, wait_for
from fakes.sshd import BLOCK_TABLE, running_pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fakes.process import DaemonProcess
    from fakes.sshd import PfStandIn

pytestmark = pytest.mark.system

ATTACKER, FOREIGN = "203.0.113.7", "192.0.2.66"
VARIABLES = {
    "AUTO_BLOCK": "true",
    "FLUSH_INTERVAL": "0.2",
    "PFSENSE_TIMEOUT": "5",
    "RECONCILE_INTERVAL": "1",
}
AT_ONCE = 5.0
"""Seconds for what waits for nobody: far less than a firewall that is away may take."""
RETRY = 15.0
"""Seconds in which a firewall that is back has to be asked again: 10, and 5 of the connection."""


class Pair:
    """Two firewalls, and the daemon that uses both."""

    def __init__(self, first: PfStandIn, second: PfStandIn, daemon: DaemonProcess) -> None:
        self.first, self.second, self.daemon = first, second, daemon

    def state(self) -> str:
        """Return how far the block of the attacker has come, as the ledger has it on disk."""
        return self.daemon.ledger("pfsense").get((ATTACKER, "block"), "")

    def tables(self) -> tuple[set[str], set[str]]:
        """Return what each of the two blocks."""
        return self.first.table(BLOCK_TABLE), self.second.table(BLOCK_TABLE)

    def is_up(self, member: PfStandIn) -> float:
        """Return what the metric of one of the two says."""
        label = re.escape(f'{{firewall="{place(member)}"}}')
        return self.daemon.metric(f"suricata_ai_firewall_member_up{label}")


def place(member: PfStandIn) -> str:
    """Return what the daemon calls a firewall."""
    return f"{member.user}@{member.host}:{member.port}"


@contextmanager
def running_both(folder: Path, **variables: str) -> Iterator[Pair]:
    """Yield a daemon that reaches both."""
    chosen = {**VARIABLES, **variables}
    with (
        running_pair(folder / "pf") as (first, second),
        running(folder, variables={**chosen, **first.environment(second)}) as daemon,
    ):
        pair = Pair(first, second, daemon)
        wait_for(lambda: daemon.health("firewall") == ("ok", "answers"), "both answer")
        yield pair


def test_a_block_counts_when_both_have_it(tmp_path: Path) -> None:
    """While one refuses it, the other has it, and nothing is counted."""
    with running_both(tmp_path) as pair:
        pair.second.fault("permission_denied", verb="add", times=-1)
        pair.daemon.write(guesses(ATTACKER))
        wait_for(lambda: pair.state() == "failed")
        assert ({ATTACKER}, set()) == pair.tables()
        assert 0 == pair.daemon.metric("suricata_ai_blocks_total")

        pair.second.clear_faults()
        wait_for(lambda: pair.state() == "enforced", limit=RETRY)
        assert ({ATTACKER}, {ATTACKER}) == pair.tables()
        wait_for(lambda: pair.daemon.metric("suricata_ai_blocks_total") == 1)


def test_one_that_is_away_holds_up_neither_the_other_nor_the_truth(tmp_path: Path) -> None:
    """The other blocks at once; until both have it, it is a wish, and /health says who is away."""
    with running_both(tmp_path) as pair:
        assert (1, 1) == (pair.is_up(pair.first), pair.is_up(pair.second))
        pair.second.stop()
        pair.daemon.write(guesses(ATTACKER))
        wait_for(lambda: pair.tables() == ({ATTACKER}, set()), "the one blocks", AT_ONCE)
        wait_for(lambda: pair.daemon.health("firewall")[0] == "degraded")
        detail = pair.daemon.health("firewall")[1]
        assert (True, False) == (place(pair.second) in detail, place(pair.first) in detail)
        assert (1, 0) == (pair.is_up(pair.first), pair.is_up(pair.second))
        assert 0 == pair.daemon.metric("suricata_ai_firewall_up")
        assert ("requested", 0) == (pair.state(), pair.daemon.metric("suricata_ai_active_blocks"))

        pair.second.start()
        wait_for(lambda: pair.state() == "enforced", "both have it", RETRY)
        assert ({ATTACKER}, {ATTACKER}) == pair.tables()
        wait_for(lambda: pair.daemon.health("firewall") == ("ok", "answers"))
        assert (1, 1) == (pair.is_up(pair.first), pair.is_up(pair.second))


def test_a_wish_does_not_wait_for_one_that_is_away_for_long(tmp_path: Path) -> None:
    """However rarely that one is asked by now."""
    with running_both(tmp_path) as pair:
        pair.second.stop()
        wait_for(lambda: rounds_apart(pair.first) > 3, "it is asked less and less")
        pair.daemon.write(guesses(ATTACKER))
        wait_for(lambda: pair.tables()[0] == {ATTACKER}, "the other blocks", AT_ONCE)


def rounds_apart(member: PfStandIn) -> float:
    """Return the seconds between the two latest times that a firewall was asked what it holds."""
    times = [one.time for one in member.commands() if f"{BLOCK_TABLE} -T show" in one.command]
    return times[-1] - times[-2] if len(times) > 1 else 0.0


def test_the_end_of_a_block_reaches_both(tmp_path: Path) -> None:
    """Also the one that is away when it comes: released is what the last one has let go of."""
    with running_both(tmp_path, BLOCK_DURATION="10") as pair:
        pair.daemon.write(guesses(ATTACKER))
        wait_for(lambda: pair.state() == "enforced")
        end = time.time() + 10
        wait_for(lambda: time.time() > end - 1, "it ends soon")
        pair.second.stop()
        wait_for(lambda: pair.tables() == (set(), {ATTACKER}), "the one lets go", RETRY)
        wait_for(lambda: pair.daemon.health("firewall")[0] == "degraded")
        assert "enforced" == pair.state()

        pair.second.start()
        wait_for(lambda: pair.state() == "watched", "both let go", RETRY)
        assert (set(), set()) == pair.tables()
        wait_for(lambda: pair.daemon.metric("suricata_ai_active_blocks") == 0)


def test_a_reload_is_mended_while_the_other_is_away(tmp_path: Path) -> None:
    """And so is the one that comes back from a reboot with an empty table."""
    with running_both(tmp_path) as pair:
        pair.daemon.write(guesses(ATTACKER))
        wait_for(lambda: pair.state() == "enforced")
        pair.second.stop()
        wait_for(lambda: pair.daemon.health("firewall")[0] == "degraded")
        pair.first.empty(BLOCK_TABLE)
        pair.second.empty(BLOCK_TABLE)
        pair.second.put(BLOCK_TABLE, FOREIGN)
        wait_for(lambda: pair.tables() == ({ATTACKER}, {FOREIGN}), "one is mended", RETRY)

        pair.second.start()
        wait_for(lambda: pair.state() == "enforced", "both are mended", RETRY)
        assert ({ATTACKER}, {ATTACKER, FOREIGN}) == pair.tables()
        wait_for(lambda: pair.daemon.metric("suricata_ai_put_back_total") == 1)
        assert 1 == pair.daemon.metric("suricata_ai_blocks_total")
