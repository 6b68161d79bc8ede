"""Tries to have somebody blocked who must never be, in thousands of ways, and counts.

`make safety-test`, or `PYTHONPATH=.:tests python benchmarks/safety.py [--inputs N] [--seed N]`:
needs sshd. Exit code 0 where nobody was blocked who must not be and all attackers among the inputs
were, else 1 with the first few. README.md in this folder says how it is done.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.safety_input import Kind, World, again, hostile
from benchmarks.safety_oracle import Oracle
from benchmarks.safety_outcome import FATES, Judgement, Outcome, Reach, words_of
from benchmarks.safety_scene import Scene, running
from benchmarks.safety_world import HOME_NET, NEVER_BLOCK, set_up, world
from rich.console import Console
from rich.table import Table

from fakes.redis_servers import valkey
from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE, SSHD, running_pf

SHOWN = 20
OUT = "those are out of the table that are protected by now"
SMUGGLED = "45.255.255.1"
"""Stands before a line end in some inputs; nobody sends it by itself."""


def main() -> int:
    """Run, print the tables and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=10_000, help="hostile inputs, about")
    parser.add_argument("--seed", type=int, default=1, help="of the inputs and their order")
    arguments = parser.parse_args()
    if not SSHD.exists():
        raise SystemExit(f"{SSHD} is missing: install openssh-server")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="safety-") as folder:
        outcome = asyncio.run(run(Path(folder), arguments.inputs, arguments.seed))
    return report(outcome, time.monotonic() - started)


async def run(folder: Path, count: int, seed: int) -> Outcome:
    """Let about `count` inputs in, then protect some attackers while they are blocked."""
    outcome = Outcome()
    who = world()
    oracle = oracle_of(who)
    judgement = Judgement(oracle, outcome)
    with running_pf(folder / "pf") as pf, valkey() as redis:
        set_up(pf)
        async with running(folder, pf, redis) as scene:
            try:
                await storm(scene, who, judgement, count, seed)
                await turn(scene, who, oracle, judgement, seed)
            except TimeoutError as error:
                outcome.differences.append(f"broken off: {error}")
        words = words_of(pf.commands())
        judgement.words(words)
        for table in (BLOCK_TABLE, LIMIT_TABLE):
            judgement.held(table, pf.table(table), time.time())
    judgement.reached()
    return outcome


def oracle_of(who: World) -> Oracle:
    """Return the oracle with all that is protected from the start."""
    oracle = Oracle()
    for kind, texts in who.protected.items():
        oracle.protect(kind, *texts)
    oracle.protect(Kind.LISTED, *NEVER_BLOCK)
    oracle.protect(Kind.HOME, HOME_NET)
    oracle.protect("smuggled in", SMUGGLED)
    return oracle


async def storm(scene: Scene, who: World, judgement: Judgement, count: int, seed: int) -> None:
    """Let all inputs in, and tell what became of them."""
    inputs = hostile(who, count, seed)
    said = await scene.put(inputs)
    await scene.settle()
    words = words_of(scene.pf.commands())
    judgement.inputs(inputs, said, words, scene.entries())
    judgement.controls(who, scene.pf.table(BLOCK_TABLE))


async def turn(scene: Scene, who: World, oracle: Oracle, judgement: Judgement, seed: int) -> None:
    """Protect some who are blocked: they must come out, and stay out whatever comes."""
    third = len(who.turned) // 3
    neighbour = who.crowd[0]
    set_up(scene.pf, (*who.turned[:third], neighbour))
    scene.allowed.extend(who.turned[third : 2 * third])
    await scene.daemon.reload()
    await scene.allow(*who.turned[2 * third :])
    protected = (*who.turned, neighbour)
    await scene.until(
        lambda: not Reach(scene.pf.table(BLOCK_TABLE)).touches(protected),
        OUT,
    )
    oracle.protect("protected meanwhile", *protected, since=time.time())
    inputs = again(who, seed)
    before = len(scene.pf.commands())
    said = await scene.put(inputs)
    await scene.settle()
    words = words_of(scene.pf.commands()[before:])
    judgement.inputs(inputs, said, words, scene.entries())


def report(outcome: Outcome, seconds: float) -> int:
    """Print what was tried, what became of it, and what is wrong; return the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    table = Table(title=f"{outcome.tried:,} hostile inputs, in {seconds:.0f} s")
    for column in ("", "tried", *FATES):
        table.add_column(column, justify="right" if column else "left")
    for kind in Kind:
        numbers = [outcome.fates[kind, fate] for fate in FATES]
        table.add_row(kind, f"{sum(numbers):,}", *(f"{number:,}" for number in numbers))
    console.print(table, counted("Ways in", outcome.ways), counted("Refused by", outcome.reasons))
    for text in (*outcome.violations[:SHOWN], *outcome.differences[:SHOWN]):
        console.print(text[:300], markup=False)
    wanted, found = outcome.controls
    console.print(
        f"{outcome.words:,} words sent to pf were judged: {len(outcome.violations)} violations; "
        f"{found} of {wanted} attackers blocked"
    )
    return 0 if outcome.is_good else 1


def counted(title: str, numbers: dict[str, int]) -> Table:
    """Return a table of two columns, the greatest number first."""
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, number in sorted(numbers.items(), key=lambda pair: -pair[1]):
        table.add_row(name, f"{number:,}")
    return table


if __name__ == "__main__":
    sys.exit(main())
