"""What the enforcement benchmark has shown, and whether that is good enough."""

from __future__ import annotations

import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.enforce_proof import Figures
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import argparse

    from benchmarks.enforce_baseline import Baseline

RATE = 100.0
"""Attackers a second."""
GOAL_P99, GOAL_BURST = 0.25, 5.0
"""Seconds."""
CONNECTED = 20
"""In the burst one in so many has connections through the firewall, both ways."""
SHOWN = 10


@dataclass
class Outcome:
    """What one run has shown."""

    proved: Figures = field(default_factory=Figures)
    """Deciding line written → daemon has the proof, at a steady pace."""
    held: Figures = field(default_factory=Figures)
    """Deciding line written → the command that blocks the address arrived at pfctl."""
    commands: Counter[str] = field(default_factory=Counter)
    """Commands of the steady pace, by kind."""
    burst: float = 0.0
    """First deciding line of the burst written → all proved."""
    written: float = 0.0
    """First deciding line of the burst written → the last one."""
    burst_held: float = 0.0
    """First deciding line of the burst written → the last address arrived at pfctl."""
    burst_median: float = 0.0
    burst_commands: Counter[str] = field(default_factory=Counter)
    killed: float = 0.0
    """All of the burst proved → all of its connections seen to be gone; below 0: gone before."""
    killing: float = 0.0
    """First command that ended a connection → the last one."""
    connections: int = 0
    differences: list[str] = field(default_factory=list)


def report(outcomes: list[Outcome], baseline: Baseline, arguments: argparse.Namespace) -> int:
    """Print the tables; return 0 where both goals hold and nothing differs, else 1."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    p99 = Figures([one.proved.at(0.99) for one in outcomes if one.proved.seconds])
    burst = Figures([one.burst for one in outcomes if one.burst])
    for number, one in enumerate(outcomes, start=1):
        console.print(table_of(number, one, arguments))
        for name, commands in (("steady", one.commands), ("at once", one.burst_commands)):
            console.print(f"commands, {name}: {counted(commands)}", highlight=False)
        for difference in one.differences[:SHOWN]:
            console.print(f"run {number}: {difference}", markup=False)
    console.print(compared(baseline, burst, arguments))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    console.print(f"{os.cpu_count()} cores; load of the last 1, 5 and 15 minutes: {load}")
    if not len(p99.seconds) == len(burst.seconds) == len(outcomes) > 0:
        return 1
    held = p99.median <= GOAL_P99 and burst.median <= GOAL_BURST
    console.print(
        f"median of p99 {milliseconds(p99.median)} (goal: at most {milliseconds(GOAL_P99)}), "
        f"of the burst {burst.median:.2f} s (goal: at most {GOAL_BURST:.0f} s): "
        + ("held" if held else "MISSED")
    )
    return 0 if held and not any(one.differences for one in outcomes) else 1


def table_of(number: int, one: Outcome, arguments: argparse.Namespace) -> Table:
    """Return what one run has shown."""
    table = Table(title=f"Run {number}, from the deciding line on")
    for column in ("", "p50", "p99", "max"):
        table.add_column(column, justify="right" if column else "left")
    steady = f"{arguments.attackers:,} attackers, {RATE:.0f} a second"
    for name, figures in (("at pfctl", one.held), ("proved", one.proved)):
        if figures.seconds:
            cells = (milliseconds(figures.at(share)) for share in (0.5, 0.99, 1.0))
            table.add_row(f"{steady}: {name}", *cells)
    together = f"{arguments.burst:,} at once"
    table.add_row(f"{together}: lines written", "", "", f"{one.written:.2f} s")
    table.add_row(f"{together}: at pfctl", "", "", f"{one.burst_held:.2f} s")
    table.add_row(f"{together}: proved", f"{one.burst_median:.2f} s", "", f"{one.burst:.2f} s")
    killed = f"{one.connections:,} connections of {arguments.burst // CONNECTED:,} of them"
    table.add_row(f"{killed}: ended, after the last proof", "", "", f"{one.killed:.2f} s")
    table.add_row("  from the first of these commands to the last", "", "", f"{one.killing:.2f} s")
    return table


def counted(commands: Counter[str]) -> str:
    """Return how many commands of each kind there were."""
    return ", ".join(f"{kind} {number}" for kind, number in commands.most_common())


def compared(baseline: Baseline, burst: Figures, arguments: argparse.Namespace) -> Table:
    """Return the table of one command an address, and what that would mean for the burst."""
    table = Table(title="One command after the other on one connection, as others block")
    for column in ("", "median", "p99", "a second"):
        table.add_column(column, justify="right" if column else "left")
    parts = (
        ("a session of sshd (`true`)", baseline.bare),
        ("the same, with the stand-in's start (`pfctl -sr`)", baseline.rules),
        ("`pfctl -T add` of one address, unproved", baseline.adds),
    )
    for name, seconds in parts:
        figures = Figures(seconds)
        cells = milliseconds(figures.median), milliseconds(figures.at(0.99))
        table.add_row(name, *cells, f"{len(seconds) / sum(seconds):.0f}")
    each = sum(baseline.adds) / len(baseline.adds)
    table.add_row(f"{arguments.burst:,} so: {each * arguments.burst:.0f} s, by extrapolation")
    if burst.seconds:
        rate = arguments.burst / burst.median
        ratio = rate * each
        table.add_row("this daemon, proved", "", "", f"{rate:,.0f} ({ratio:.0f} times)")
    return table


def milliseconds(seconds: float) -> str:
    """Return seconds as text in milliseconds."""
    return f"{1000 * seconds:,.0f} ms"
