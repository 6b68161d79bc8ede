"""`ai-suricata alerts`: the newest alerts, each with the verdict on its source."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ai_suricata.cli.listing import Format, FormatOption, chosen, write_lines, write_table
from ai_suricata.cli.outcome import ConfigFile, Exit, fail, settings_of
from ai_suricata.cli.query import Query
from ai_suricata.core.address import Network, parse_network
from ai_suricata.core.timestamp import MICROSECONDS, format_timestamp, parse_timestamp
from ai_suricata.core.verdict import Action, Level

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ai_suricata.config.settings import Settings
    from ai_suricata.state.shared import AlertStore, StoredAlert

app = typer.Typer(
    no_args_is_help=True, help="Read the newest alerts, with what was thought of them."
)

T = TypeVar("T")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PAGE = 2000
"""Alerts that are fetched at a time: about a megabyte."""


@app.callback()
def alerts() -> None:
    """Read the newest alerts, with what was thought of them."""


def _network(text: str) -> Network:
    try:
        return parse_network(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither an address nor a network; write 192.0.2.1 or 192.0.2.0/24",
            param_hint="--ip",
        ) from None


def _moment(text: str) -> int:
    """Read an ISO time, or an age such as 15m: microseconds since the epoch."""
    from ai_suricata.core.clock import SystemClock

    age = re.fullmatch(r"(\d{1,9})([smhdw])", text)
    if age:
        past = SystemClock().now() - int(age[1]) * _SECONDS[age[2]]
        return max(0, int(past * MICROSECONDS))
    try:
        return parse_timestamp(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write it like 2025-06-12T21:58:25Z, 2025-06-12, 15m, 2h or 3d"
        ) from None


def _level(text: str) -> Level:
    try:
        return Level[text.upper()]
    except KeyError:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(Level.__members__)}") from None


def _action(text: str) -> Action:
    try:
        return Action(text.upper().replace("-", "_"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(Action)}") from None


@app.command("list")
def list_alerts(
    *,
    config: ConfigFile = None,
    ip: Annotated[
        str, typer.Option(metavar="ADDRESS|NETWORK", help="The source, or either side.")
    ] = "",
    severity: Annotated[
        int | None, typer.Option(min=1, max=255, help="Suricata's: 1 is the worst.")
    ] = None,
    level: Annotated[
        Level | None, typer.Option(parser=_level, metavar="LEVEL", help="CRITICAL, HIGH, ...")
    ] = None,
    action: Annotated[
        Action | None, typer.Option(parser=_action, metavar="ACTION", help="BLOCK, RATE_LIMIT, ...")
    ] = None,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Least score, 0 to 1.")] = 0.0,
    since: Annotated[
        int | None,
        typer.Option(parser=_moment, metavar="TIME|AGE", help="ISO time (UTC), or 15m, 2h, 3d."),
    ] = None,
    until: Annotated[
        int | None, typer.Option(parser=_moment, metavar="TIME|AGE", help="As --since.")
    ] = None,
    signature: Annotated[
        str, typer.Option(help="Number of the signature, or a part of its text.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Most alerts that are listed.")] = 50,
    output: FormatOption = None,
) -> None:
    """List the alerts that were kept last, the newest first; filters narrow one another.

    Reads STATE_DIR, or Redis where REDIS_ENABLED is true; the daemon need not run.

    Exit codes: 0 done, 1 the store can't be read, 2 an argument or a setting is wrong.

    Example: ai-suricata alerts list --since 2h --level CRITICAL

    Example: ai-suricata alerts list --ip 203.0.113.0/24 --signature "ET SCAN" --format jsonl
    """
    network = _network(ip) if ip else None  # not by `parser`: typer knows no union of types
    query = Query(network, severity, level, action, min_score, since, until, signature)
    settings = settings_of(config)
    found = _asked(settings, lambda store: _search(store, query, limit, settings.sink.max_alerts))
    if chosen(output) is Format.JSONL:
        write_lines(as_object(alert) for alert in found)
        return
    write_table(
        f"{len(found)} alerts, the newest first",
        ("id", "time", "source", "level", "score", "action", "sev", "from", "to", "signature"),
        (_row(alert) for alert in found),
        level="level",
        spared=("time", "score", "action", "sev", "from", "to"),
    )


@app.command("show")
def show_alert(
    alert_id: Annotated[str, typer.Argument(metavar="ID", help="As `alerts list` shows it.")],
    *,
    config: ConfigFile = None,
    output: FormatOption = None,
) -> None:
    """Show all that is known of one alert, and the reasons for the verdict on its source.

    Exit codes: 0 shown, 1 it is not (or no longer) kept, 2 a setting is wrong.

    Example: ai-suricata alerts show sensor-1-000042
    """
    settings = settings_of(config)
    found = _asked(settings, lambda store: store.find(alert_id))
    if found is None:
        fail(Exit.FAILED, f"no alert {alert_id!r} is kept (MAX_ALERTS, {settings.sink.max_alerts})")
    shown = as_object(found)
    if chosen(output) is Format.JSONL:
        write_lines([shown])
        return
    rows = ((name, _text(value)) for name, value in shown.items())
    write_table(f"Alert {found.id}", ("field", "value"), rows)


def as_object(alert: StoredAlert) -> dict[str, Any]:
    """Return the alert as the JSON object that `--format jsonl` writes: its time in ISO 8601."""
    from msgspec import structs

    return {**structs.asdict(alert), "time": format_timestamp(alert.time)}


def _asked(settings: Settings, question: Callable[[AlertStore], Awaitable[T]]) -> T:
    """Ask the store, or end the program with what is wrong with it."""
    from ai_suricata.backend import alert_store
    from ai_suricata.core.errors import ConfigError, StateError

    async def ask() -> T:
        async with alert_store(settings) as store:
            return await question(store)

    try:
        return asyncio.run(ask())
    except ConfigError as error:
        fail(Exit.USAGE, *error.problems)
    except StateError as error:
        fail(Exit.FAILED, str(error))


async def _search(store: AlertStore, query: Query, limit: int, most: int) -> list[StoredAlert]:
    """Read page by page until there are enough; what came in meanwhile shows none twice."""
    found: dict[str, StoredAlert] = {}
    for start in range(0, most, _PAGE):
        page = await store.newest(_PAGE, start)
        for alert in page:
            if query.matches(alert):
                found.setdefault(alert.id, alert)
        if not page or len(found) >= limit:
            break
    return list(found.values())[:limit]


def _row(alert: StoredAlert) -> tuple[str, ...]:
    return (
        format_timestamp(alert.time)[:19] + "Z",
        alert.source_ip,
        alert.level,
        f"{alert.score:.3f}",
        alert.action,
        str(alert.severity),
        alert.signature,
        _place(alert.src_ip, alert.src_port),
        _place(alert.dest_ip, alert.dest_port),
        alert.id,
    )


def _place(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "\n".join(str(each) for each in value)
    return "" if value is None else str(value)
