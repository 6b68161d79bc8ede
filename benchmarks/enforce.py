"""How soon an attacker is blocked: from the line that decides to the proof that pf has him.

`make bench-enforce`, or `PYTHONPATH=.:tests python benchmarks/enforce.py [--attackers N]
[--burst N] [--runs N] [--seed N]`: needs sshd. Exit code 0 where both goals hold and nobody was
blocked before his deciding line, else 1. README.md in this folder says how it is done.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.enforce_baseline import Baseline, measure
from benchmarks.enforce_outcome import CONNECTED, RATE, SHOWN, Outcome, report
from benchmarks.enforce_proof import (
    Audit,
    MissedError,
    added,
    by_kind,
    connected,
    kill_times,
    wait,
)
from benchmarks.enforce_traffic import Feed, attackers

from fakes import eve
from fakes.process import DaemonProcess
from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE, SSHD, PfStandIn, running_pf

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fakes.sshd import Received

TRAFFIC = 500.0
"""Lines of clients a second."""
BASELINE = 200
"""Addresses that are blocked one at a time."""
_STRANGERS = 100


def main() -> int:
    """Run, print the table and return the exit code."""
    arguments = parse()
    if not SSHD.exists():
        raise SystemExit(f"{SSHD} is missing: install openssh-server")
    outcomes: list[Outcome] = []
    for number in range(arguments.runs):
        with tempfile.TemporaryDirectory(prefix="enforce-") as folder:
            outcomes.append(run(Path(folder), arguments, arguments.seed + number))
    with tempfile.TemporaryDirectory(prefix="enforce-") as folder:
        baseline = one_at_a_time(Path(folder))
    return report(outcomes, baseline, arguments)


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--attackers", type=int, default=1000, help=f"at {RATE:.0f} a second")
    parser.add_argument("--burst", type=int, default=10_000, help="attackers at once")
    parser.add_argument("--runs", type=int, default=3, help="of which the median counts")
    parser.add_argument("--seed", type=int, default=1, help="of moments and traffic")
    return parser.parse_args()


def run(folder: Path, arguments: argparse.Namespace, seed: int) -> Outcome:
    """Let one daemon meet both; what goes wrong on the way is a difference."""
    outcome = Outcome()
    with running_pf(folder / "pf") as pf:
        daemon = DaemonProcess(folder, variables(pf))
        try:
            bench = Bench(daemon, pf, outcome)
            daemon.start_ready()
            bench.steady(attackers(0, arguments.attackers), seed)
            bench.burst(attackers(arguments.attackers, arguments.burst))
            if daemon.terminate() != 0:
                outcome.differences.append("the daemon did not end well")
        except (MissedError, AssertionError) as error:  # the daemon's end is an AssertionError
            outcome.differences.append("broken off: " + str(error)[-2000:])
        finally:
            daemon.kill()
    return outcome


def variables(pf: PfStandIn) -> dict[str, str]:
    """Return the daemon's settings: as an operator's, but for a budget that would stop it."""
    return {
        **pf.environment(),
        "AUTO_BLOCK": "true",
        "BLOCKS_PER_MINUTE": "1000000",
        "BLOCKS_TOTAL": "1000000",
        "BLOCK_DURATION": "86400",  # none ends on the way
        "AUDIT_BYTES": "0",  # it is read from one file
        "TRAINING_EVENTS": "10000000",  # nothing is learnt here: which line decides is known
    }


class Bench:
    """A daemon that follows a file, the firewall that it commands, and what is seen of both."""

    def __init__(self, daemon: DaemonProcess, pf: PfStandIn, outcome: Outcome) -> None:
        """`daemon`: not started yet."""
        self.daemon = daemon
        self.feed = Feed(daemon.eve)
        self.pf = pf
        self.outcome = outcome
        self.audit = Audit(daemon.state / "audit.jsonl")
        self.others = [(f"198.18.0.{number}", eve.SERVER) for number in range(_STRANGERS)]
        """Connections of clients, which must stay."""

    def steady(self, addresses: Sequence[str], seed: int) -> None:
        """Write one deciding line after the other among those of clients."""
        self._prepare(addresses)
        before = len(self.pf.commands())
        written = self.feed.steadily(addresses, RATE, TRAFFIC, seed)
        self._all_proved(addresses)
        commands = self.pf.commands()[before:]
        self.outcome.commands = by_kind(commands)
        enforced, arrived = self.audit.look(), self._arrived(commands, addresses)
        self.outcome.proved.seconds = [enforced[one] - written[one] for one in addresses]
        self.outcome.held.seconds = [arrived[one] - written[one] for one in addresses]
        self._compare(addresses, written, arrived)

    def burst(self, addresses: Sequence[str]) -> None:
        """Write all deciding lines at once; some of these attackers have connections."""
        victims = addresses[::CONNECTED]
        self._connect(victims)
        self._prepare(addresses)
        before = len(self.pf.commands())
        started, ended = self.feed.at_once(addresses)
        self._all_proved(addresses)
        wait(lambda: not connected(self.pf, victims), "connections of the blocked ended")
        gone = time.time()
        if not self.pf.states() >= set(self.others):
            self.outcome.differences.append("connections of clients were ended")
        commands = self.pf.commands()[before:]
        self.outcome.written = ended - started
        self._note_burst(addresses, commands, started)
        kills = kill_times(commands, set(victims))
        proved = started + self.outcome.burst
        self.outcome.killed = min(gone, max(kills, default=gone)) - proved
        self.outcome.killing = max(kills, default=0.0) - min(kills, default=0.0)

    def _note_burst(
        self, addresses: Sequence[str], commands: Sequence[Received], started: float
    ) -> None:
        outcome, enforced = self.outcome, self.audit.look()
        arrived = self._arrived(commands, addresses)
        outcome.burst = max(enforced[one] for one in addresses) - started
        outcome.burst_median = statistics.median(enforced[one] for one in addresses) - started
        outcome.burst_held = max(arrived[one] for one in addresses) - started
        outcome.burst_commands = by_kind(commands)
        self._compare(addresses, dict.fromkeys(addresses, started), arrived)

    def _prepare(self, addresses: Collection[str]) -> None:
        """Wait until all but the deciding lines are read; nobody may be decided upon by then."""
        self.feed.prepare([*addresses])
        wait(lambda: self.daemon.events() >= self.feed.lines, f"{self.feed.lines} lines read")
        self._nobody_yet(addresses)

    def _nobody_yet(self, addresses: Collection[str]) -> None:
        self.audit.look()
        early = self.audit.decided.keys() & set(addresses)
        held = self.pf.table(BLOCK_TABLE) | self.pf.table(LIMIT_TABLE)
        early |= held & set(addresses)
        self.outcome.differences += [f"{one}: met before its deciding line" for one in early]

    def _all_proved(self, addresses: Collection[str]) -> None:
        """Wait until the audit log has them all."""
        wanted = set(addresses)

        def lacking() -> int:
            return len(wanted - self.audit.look().keys())

        try:
            wait(lambda: not lacking(), "all are proved")
        except MissedError as error:
            raise MissedError(f"{error}; {lacking()} of {len(wanted)} are not") from error

    def _arrived(self, commands: Sequence[Received], addresses: Sequence[str]) -> dict[str, float]:
        """Return when each address arrived at pfctl; MissedError where one never did."""
        arrived = added(commands)
        lacking = [one for one in addresses if one not in arrived]
        if lacking:
            raise MissedError(f"said to be proved, and never sent: {', '.join(lacking[:SHOWN])}")
        return arrived

    def _compare(
        self, addresses: Sequence[str], written: dict[str, float], arrived: dict[str, float]
    ) -> None:
        """Hold the daemon's word against pf's: line, command, proof, in this order."""
        held = self.pf.table(BLOCK_TABLE)
        for one in addresses:
            if one not in held:
                self.outcome.differences.append(f"{one}: said to be proved, and not in pf's table")
            if not written[one] <= arrived[one] <= self.audit.enforced[one]:
                self.outcome.differences.append(f"{one}: not in the order line, command, proof")

    def _connect(self, victims: Sequence[str]) -> None:
        """Give these attackers connections that they began, and some that we began with them."""
        servers = [eve.SERVER if "." in one else "2001:db8::5" for one in victims]
        pairs = list(zip(victims, servers, strict=True))
        self.pf.add_states(pairs)
        self.pf.add_states([(server, one) for one, server in pairs[::2]], inbound=False)
        self.pf.add_states(self.others)
        self.outcome.connections = len(connected(self.pf, victims))


def one_at_a_time(folder: Path) -> Baseline:
    """Block as others do, on a firewall of the same kind."""
    with running_pf(folder / "pf") as pf:
        return measure(folder / "plain", pf, attackers(0, BASELINE))


if __name__ == "__main__":
    sys.exit(main())
