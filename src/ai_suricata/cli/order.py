"""Orders to the running daemon, and what comes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ai_suricata.cli.argument import Reason, Target, seconds
from ai_suricata.cli.listing import FormatOption, chosen
from ai_suricata.cli.outcome import ConfigFile, Exit, fail, settings_of

if TYPE_CHECKING:
    from ai_suricata.cli.listing import Format
    from ai_suricata.config.settings import Settings
    from ai_suricata.control.order import Order
    from ai_suricata.respond.order import Outcome

T = TypeVar("T")


def tell(settings: Settings, order: Order, kind: type[T]) -> T:
    """Put an order to the daemon and return its answer, or end the program with what is wrong.

    `kind`: what the order is answered by.
    """
    from ai_suricata.control.address import socket_path
    from ai_suricata.control.client import ControlError, NoDaemonError, ask
    from ai_suricata.control.protocol import Failure
    from ai_suricata.core.errors import ConfigError

    try:
        return ask(socket_path(settings.state), order, kind)
    except ConfigError as error:
        fail(Exit.USAGE, *error.problems)
    except NoDaemonError as error:
        fail(
            Exit.NO_DAEMON,
            f"{error}; start it with `ai-suricata run` (or `systemctl start ai-suricata`), with "
            "the same settings",
        )
    except ControlError as error:
        fail(Exit.USAGE if error.failure is Failure.INVALID else Exit.FAILED, str(error))


def add(
    target: Target,
    *,
    config: ConfigFile = None,
    duration: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="How long: 90s, 10m, 2h, 7d.")
    ] = "1h",
    limit: Annotated[
        bool, typer.Option("--limit", help="Into the rate-limit table, not the block table.")
    ] = False,
    reason: Reason = "",
    force: Annotated[
        bool,
        typer.Option("--force", help="Override NEVER_BLOCK, `allow`, and private networks."),
    ] = False,
    output: FormatOption = None,
) -> None:
    """Block an address or a network by hand, also while the daemon is paused.

    What is in the table already gets the new duration. Who is never blocked (NEVER_BLOCK, `allow
    add`, the home network, private networks) needs --force. The addresses of the firewall, of this
    machine, of the SSH session between them, and loopback are refused even with --force: nobody
    could take that back from here. The address is labelled "attack" for training.

    Exit codes: 0 the firewall has confirmed it, 1 refused, or not confirmed yet (the daemon goes on
    trying), 2 an argument or a setting is wrong, 3 no daemon runs.

    Example: ai-suricata blocks add 203.0.113.7 --for 2h --reason "scans the mail server"
    """
    lasting = seconds(duration)
    settings = settings_of(config)
    from ai_suricata.control.order import Block
    from ai_suricata.core.decision import Table
    from ai_suricata.respond.order import Outcome

    table = Table.LIMIT if limit else Table.BLOCK
    order = Block(target, table, lasting, reason, force)
    write_outcome(settings, tell(settings, order, Outcome), "Blocked by hand", output)


def remove(
    target: Target,
    *,
    config: ConfigFile = None,
    reason: Reason = "",
    output: FormatOption = None,
) -> None:
    """Take an address or a network out of both tables now.

    Of a network, all that is blocked in it goes. An address inside a network that was blocked for
    its many offenders goes alone: the others are blocked one by one instead. Nothing is
    decided on it for an hour; `ai-suricata allow add` is for good. The target is
    labelled "normal" for training.

    Exit codes: 0 it is off the firewall, 1 it was not in a table, is not confirmed yet (the daemon
    goes on trying), or stays, since somebody else had put it there, 2 an argument or a setting is
    wrong, 3 no daemon runs.

    Example: ai-suricata blocks remove 203.0.113.7 --reason "our monitoring"
    """
    settings = settings_of(config)
    from ai_suricata.control.order import Lift
    from ai_suricata.respond.order import Outcome

    write_outcome(settings, tell(settings, Lift(target, reason), Outcome), "Lifted", output)


def undo(
    *,
    config: ConfigFile = None,
    since: Annotated[
        str, typer.Option("--since", metavar="AGE", help="How far back: 90s, 10m, 2h, 7d.")
    ],
    output: FormatOption = None,
) -> None:
    """Lift all that the daemon has decided by itself in the last minutes, hours or days.

    What was blocked by hand stays. The addresses are labelled "normal" for training. To keep the
    daemon from deciding the same again, pause it first: ai-suricata pause.

    Exit codes: 0 the firewall has confirmed it, 1 not confirmed yet (the daemon goes on trying),
    2 an argument or a setting is wrong, 3 no daemon runs.

    Example: ai-suricata blocks undo --since 10m
    """
    age = seconds(since)
    settings = settings_of(config)
    from ai_suricata.control.order import Undo
    from ai_suricata.core.clock import SystemClock
    from ai_suricata.respond.order import Outcome

    order = Undo(SystemClock().now() - age)
    write_outcome(settings, tell(settings, order, Outcome), "Undone", output)


def write_outcome(
    settings: Settings,
    outcome: Outcome,
    title: str,
    output: Format | None = None,
    *,
    yet: str = "not confirmed by the firewall yet",
    then: str = "the daemon goes on trying",
) -> None:
    """Write what an order touched; end the program with 1 where it is not wholly done.

    `yet` and `then`: what is said where it is not confirmed, and what comes of that.
    """
    from ai_suricata.backend import local_state
    from ai_suricata.cli.entry import counted, write_entries

    name, _ = local_state(settings)
    more = outcome.count - len(outcome.entries)
    title += f": {counted(outcome.count)}" + (f", of which {more} are not shown" if more else "")
    write_entries(title, outcome.entries, name, chosen(output))
    if not outcome.confirmed:
        why = f": {outcome.problem}" if outcome.problem else ""
        fail(Exit.FAILED, f"recorded; {yet}; {then}{why}")
    if outcome.problem:
        fail(Exit.FAILED, outcome.problem)
