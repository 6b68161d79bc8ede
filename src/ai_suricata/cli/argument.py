"""Arguments that several commands take: targets, durations, ages."""

from __future__ import annotations

import re
from typing import Annotated

import typer

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d{1,9})([smhdw])")


def seconds(text: str) -> float:
    """Return the seconds of a duration such as 90s, 10m, 2h, 7d or 1w. Raises BadParameter."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration; write it like 90s, 10m, 2h or 7d")
    return float(int(found[1]) * _SECONDS[found[2]])


Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="An address, or a network such as 203.0.113.0/24.")
]
Network = Annotated[
    str, typer.Argument(metavar="NETWORK", help="An address, or a network such as 192.0.2.0/28.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit log.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def canonical(text: str) -> str:
    """Return the target as the ledger spells it, or end the program with what is wrong."""
    from ai_suricata.cli.outcome import Exit, fail
    from ai_suricata.respond.order import InvalidOrderError, target_of

    try:
        return str(target_of(text))
    except InvalidOrderError as error:
        fail(Exit.USAGE, str(error))
