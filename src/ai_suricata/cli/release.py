"""`ai-suricata blocks release`: all that is ours goes off the firewall, daemon or not."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ai_suricata.cli.argument import Yes  # noqa: TC001 - typer reads annotations when it runs
from ai_suricata.cli.listing import FormatOption  # noqa: TC001 - typer reads annotations when it runs
from ai_suricata.cli.order import tell, write_outcome
from ai_suricata.cli.outcome import ConfigFile, Exit, fail, settings_of, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_suricata.config.settings import Settings
    from ai_suricata.respond.order import Outcome


def release(
    *,
    config: ConfigFile = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All of it; there is no other way.")
    ] = False,
    yes: Yes = False,
    output: FormatOption = None,
) -> None:
    """Take all that is ours off the firewall, and prove that it is off.

    For the day on which the daemon is removed, or is not to be trusted. A daemon that runs does it
    itself, and stays paused until `ai-suricata resume`. Without one, this takes STATE_DIR, reads
    the ledger, connects to the firewall and does it. Entries of others stay.

    Exit codes: 0 all of it is off, 1 not all of it (a daemon goes on trying; without one, run it
    again), or blocks are left on another firewall, 2 an argument or a setting is wrong.

    Example: ai-suricata blocks release --all
    """
    if not everything:
        fail(Exit.USAGE, "this takes everything off the firewall; say --all to mean it")
    settings = settings_of(config)
    if not yes and _is_terminal():
        typer.confirm("Take everything of ours off the firewall?", abort=True, err=True)
    outcome, by_daemon = _released(settings)
    left = list(_left_elsewhere(settings))
    warn(*left)
    then = "the daemon goes on trying" if by_daemon else "run it again"
    write_outcome(settings, outcome, "Released", output, yet="not off the firewall yet", then=then)
    if left:
        raise typer.Exit(Exit.FAILED)


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _released(settings: Settings) -> tuple[Outcome, bool]:
    """Have it done by the daemon, or do it; end the program with what is wrong.

    Returns (what it came to, whether a daemon did it).
    """
    from ai_suricata.control.order import ReleaseAll
    from ai_suricata.core.errors import ConfigError, StateError
    from ai_suricata.respond.order import Outcome
    from ai_suricata.telemetry.logs import configure

    if _daemon_listens(settings):
        return tell(settings, ReleaseAll(), Outcome), True
    # What the daemon would log meanwhile, the outcome says.
    configure(settings.telemetry.model_copy(update={"log_level": "ERROR"}))
    try:
        return asyncio.run(_release(settings)), False
    except ConfigError as error:
        fail(Exit.USAGE, *error.problems)
    except StateError as error:
        fail(Exit.FAILED, str(error))


def _daemon_listens(settings: Settings) -> bool:
    from ai_suricata.control.address import socket_path
    from ai_suricata.control.client import listens
    from ai_suricata.core.errors import ConfigError

    try:
        return listens(socket_path(settings.state))
    except ConfigError:  # no daemon starts with such a path
        return False


async def _release(settings: Settings) -> Outcome:
    """Do what a daemon would; STATE_DIR is locked, so that none can start meanwhile."""
    from ai_suricata.assembly import Assembly
    from ai_suricata.core.clock import SystemClock
    from ai_suricata.core.decision import LIVE
    from ai_suricata.respond.order import MOST_TOLD, Outcome, sentences, staying
    from ai_suricata.telemetry.health import Health
    from ai_suricata.telemetry.metrics import Metrics

    clock = SystemClock()
    assembly = Assembly(settings, clock, Metrics(clock), Health(clock))
    ledger = assembly.ledger
    async with contextlib.AsyncExitStack() as stack:
        await assembly.state.open()
        stack.push_async_callback(assembly.state.close)
        await ledger.load()
        fleet = assembly.fleet()
        stack.push_async_callback(fleet.close)
        await assembly.recall(fleet)
        responder = await asyncio.to_thread(assembly.responder, fleet)  # asks DNS
        ours = [entry for entry in ledger.entries() if entry.state in LIVE]
        confirmed = await responder.release_all()
        await _pause(settings, clock.now())
        now = [ledger.latest(e.target, e.decision.table) or e for e in ours]
        why = sentences(responder.problem, ledger.problem, staying(now))
        return Outcome(tuple(now[:MOST_TOLD]), len(ours), confirmed, why)


async def _pause(settings: Settings, now: float) -> None:
    """Let the next start decide nothing new, as a daemon that releases all would."""
    from ai_suricata.core.errors import StateError
    from ai_suricata.respond.standing import Records
    from ai_suricata.state.hold import Hold

    try:
        hold = Hold("all blocks were released by hand", now)
        await Records.of(settings.state.directory).hold.set(hold)
    except StateError as error:  # what counts is that the blocks are off
        typer.echo(f"ai-suricata: the next start is not paused: {error}", err=True)


def _left_elsewhere(settings: Settings) -> Iterator[str]:
    """Say what other ledgers of STATE_DIR count as ours, and how to get at it."""
    from ai_suricata.backend import blocks_elsewhere
    from ai_suricata.cli.entry import counted
    from ai_suricata.core.errors import StateError

    try:
        left = blocks_elsewhere(settings)
    except StateError as error:
        yield f"nobody can tell what is left on other firewalls: {error}"
        return
    firewall, dry_run = settings.firewall.firewall, settings.respond.dry_run
    for name, count in left.items():
        needed = [] if name == firewall else [f"FIREWALL={name}"]
        needed += ["DRY_RUN=false"] if dry_run else []
        place = name if name == firewall else f"another firewall ({name})"
        yield f"{counted(count)} left on {place}: set {' and '.join(needed)}, and run this again"
