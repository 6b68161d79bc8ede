"""Kills the daemon while it is fed, again and again, and compares what it knows with what was fed.

`make crash-test`, or `PYTHONPATH=.:tests python benchmarks/crash.py [--no-redis] [--events N]
[--kills N] [--rate N] [--seed N]`: needs sshd. Exit code 0 where each address's events and alerts
and every block are exactly as expected, else 1 with the first few differences. README.md in this
folder says how it is done.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.feeder import EVENTS_OF_ATTACKER, MOST_ATTACKERS, Feeder
from benchmarks.killing import (
    AT_RANDOM,
    NAMED,
    ON_REDIS,
    PATIENCE,
    MissedError,
    Scene,
    at_random,
    plan,
    reach,
)
from benchmarks.outcome import FOREIGN, PREFIX, Outcome, verify
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from fakes.process import DaemonProcess
from fakes.redis_proxy import Proxy
from fakes.redis_servers import valkey
from fakes.sshd import SSHD, PfStandIn, running_pf

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKGROUND, ROTATIONS = 40, 15
FED_LAST = 0.95
"""Part of the events after which the last kill comes: what follows a kill has to be counted too."""
SHOWN = 10


def main() -> int:
    """Run on memory, then on Redis; print the table and return the exit code."""
    arguments = parse()
    if not SSHD.exists():
        raise SystemExit(f"{SSHD} is missing: install openssh-server")
    outcomes = []
    for name in ("memory", "Redis") if arguments.redis else ("memory",):
        folder = Path(tempfile.mkdtemp(prefix="ai-suricata-crash-"))
        outcome = run(name, folder, arguments)
        outcomes.append(outcome)
        if not outcome.differences:
            shutil.rmtree(folder)
        else:
            outcome.differences.append(f"what it left is in {folder}")
    return report(outcomes)


def parse() -> argparse.Namespace:
    """Return the arguments; exits with 2 where they do not fit together."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    switch = argparse.BooleanOptionalAction
    parser.add_argument("--redis", action=switch, default=True, help="a second run, on Redis")
    parser.add_argument("--events", type=int, default=200_000, help="events of each run")
    parser.add_argument("--kills", type=int, default=50, help="SIGKILLs of each run")
    parser.add_argument("--rate", type=float, default=1000.0, help="events a second")
    parser.add_argument("--seed", type=int, default=1, help="of events, kills and moments")
    arguments = parser.parse_args()
    if arguments.kills + BACKGROUND > MOST_ATTACKERS:
        parser.error(f"--kills: at most {MOST_ATTACKERS - BACKGROUND}")
    if arguments.events < 2 * (BACKGROUND + arguments.kills) * EVENTS_OF_ATTACKER:
        parser.error("--events: too few for the attackers among them; take more, or fewer --kills")
    return arguments


def run(name: str, folder: Path, arguments: argparse.Namespace) -> Outcome:
    """Feed and kill in `folder`, then compare. What goes wrong on the way is a difference too."""
    outcome = Outcome(name)
    started = time.monotonic()
    with ExitStack() as stack:
        pf = stack.enter_context(running_pf(folder / "pf"))
        for table, addresses in FOREIGN.items():
            pf.put(table, *addresses)
        server = stack.enter_context(valkey()) if name == "Redis" else None
        proxy = stack.enter_context(proxied(server.port)) if server is not None else None
        daemon = DaemonProcess(folder, variables(pf, proxy))
        stack.callback(daemon.kill)
        feeder = Feeder(daemon.eve, arguments.events, arguments.rate, arguments.seed)
        scene = Scene(daemon, pf, feeder, proxy, random.Random(arguments.seed))
        try:
            ordeal(scene, arguments.kills, outcome)
            verify(scene, server, outcome)
        except (MissedError, AssertionError) as error:  # the daemon's end is an AssertionError
            outcome.differences.append("broken off: " + str(error)[-2000:])
    outcome.rotations = feeder.rotations
    outcome.seconds = time.monotonic() - started
    return outcome


def variables(pf: PfStandIn, proxy: Proxy | None) -> dict[str, str]:
    """Return the daemon's settings."""
    redis = {"REDIS_ENABLED": "true", "REDIS_HOST": "127.0.0.1", "REDIS_KEY_PREFIX": PREFIX}
    return {
        **pf.environment(),
        "PFSENSE_TIMEOUT": "3",
        "AUTO_BLOCK": "true",
        "BLOCK_DURATION": "86400",  # none ends on the way
        "RATE_LIMIT_DURATION": "86400",
        "PROMOTE_IPV4": "0",  # neighbours, each of whom is looked for by itself
        "RECONCILE_INTERVAL": "5",
        "FLUSH_INTERVAL": "0.1",  # often, and after few events: the more moments there are between
        "BATCH_SIZE": "100",
        "TRAINING_EVENTS": "10000000",  # nothing is learnt: whom it blocks is known beforehand
        **({**redis, "REDIS_PORT": str(proxy.port)} if proxy is not None else {}),
    }


@contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    """Yield a proxy in front of the server; it works in a thread of its own."""
    proxy = Proxy(target)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy.open(), loop).result(PATIENCE)
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy.refuse(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def ordeal(scene: Scene, kills: int, outcome: Outcome) -> None:
    """Kill so many times while the feeder writes; end with SIGTERM when all is read."""
    points = NAMED | (ON_REDIS if scene.proxy is not None else {})
    scene.daemon.start()
    reach(scene.daemon.is_ready, "ready")
    with ThreadPoolExecutor(1) as pool, watching(scene, kills, outcome):
        feeding = pool.submit(scene.feeder.run, BACKGROUND, ROTATIONS)
        try:
            reach(lambda: has_stored(scene), "a position stored")
            for number, point in enumerate(plan(kills, list(points), scene.random)):
                share = FED_LAST * (number + scene.random.random()) / kills
                wait_for_events(scene, int(share * scene.feeder.events))
                if point != AT_RANDOM:
                    reach(scene.daemon.is_ready, "ready")
                points.get(point, at_random)(scene)
                outcome.kills[point] += 1
                if not scene.is_running():
                    scene.daemon.start()
            scene.feeder.release()
            feeding.result()
        finally:
            scene.feeder.break_off()
        finish(scene, outcome)


def has_stored(scene: Scene) -> bool:
    """Whether the first life has stored how far it has read: that file is followed from then on.

    Before, the daemon has no earlier run: what was rotated by its next start is from before its
    time, and not read. One flush may be of the file while it was empty.
    """
    return scene.daemon.metric("suricata_ai_state_flush_seconds_count") > 1


def wait_for_events(scene: Scene, count: int) -> None:
    """Wait until the feeder has written so many."""
    reach(lambda: scene.feeder.written >= count, f"{count} events written", 10 * PATIENCE)


def finish(scene: Scene, outcome: Outcome) -> None:
    """Let the daemon read on to the end and block the last, then stop it."""
    reach(scene.daemon.is_ready, "ready")
    reach(lambda: scene.daemon.metric("suricata_ai_source_lag_bytes") == 0, "all is read")
    try:
        reach(scene.are_blocked, "all attackers are blocked", 30)
    except MissedError as error:
        outcome.differences.append(str(error))  # which ones, the comparison says
    code = scene.daemon.terminate()
    if code != 0:
        outcome.differences.append(f"exit code after SIGTERM: expected 0, found {code}")


@contextmanager
def watching(scene: Scene, kills: int, outcome: Outcome) -> Iterator[None]:
    """Show how far it is, in a thread of its own, while the work is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
    over = threading.Event()
    with Progress(*columns, TimeElapsedColumn()) as progress:
        task = progress.add_task(outcome.name, total=scene.feeder.events, said="")

        def follow() -> None:
            while not over.wait(0.25):
                fed = scene.feeder.written
                said = f"{fed:,} events fed, {outcome.kills.total()} of {kills} kills"
                progress.update(task, completed=fed, said=said)

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def report(outcomes: list[Outcome]) -> int:
    """Print one row a run, and the kills by point; return 0 where all is equal, else 1."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(title="Expected and found after SIGKILLs at every point")
    heads = ("events", "counted", "alerts", "counted", "blocks", "found", "kills", "rotations", "s")
    for column in ("", *heads, "equal"):
        table.add_column(column, justify="right" if column else "left")
    points = Table(title="Kills by point")
    for column in ("", *(outcome.name for outcome in outcomes)):
        points.add_column(column, justify="right" if column else "left")
    for one in outcomes:
        numbers = (*one.events, *one.alerts, *one.blocks, one.kills.total(), one.rotations)
        equal = "NO" if one.differences else "yes"
        table.add_row(one.name, *(f"{n:,}" for n in numbers), f"{one.seconds:.0f}", equal)
    for point in (AT_RANDOM, *NAMED, *ON_REDIS):
        points.add_row(point, *(str(one.kills[point]) for one in outcomes))
    console.print(table, points)
    for one in outcomes:
        for difference in one.differences[:SHOWN]:
            console.print(f"{one.name}: {difference}", markup=False)
        if len(one.differences) > SHOWN:
            console.print(f"{one.name}: and {len(one.differences) - SHOWN} more, the last being:")
            console.print(one.differences[-1], markup=False)
    return 1 if any(one.differences for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
