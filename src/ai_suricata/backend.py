"""Which concrete backends the settings name: the one place, with `exchange`, that knows them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ai_suricata.core.decision import LIVE
from ai_suricata.features.table import LAYOUT
from ai_suricata.firewall.dry_run import DryRun
from ai_suricata.firewall.fleet import Fleet
from ai_suricata.sink.dead_letter import DeadLetter
from ai_suricata.sink.record import Recorder
from ai_suricata.source.file.tail import Tail
from ai_suricata.source.socket.receiver import Socket
from ai_suricata.state.alerts import FileAlerts
from ai_suricata.state.local import LocalTopSources
from ai_suricata.state.memory import MemoryState, ledger_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ai_suricata.config.settings import Settings
    from ai_suricata.core.clock import Clock
    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.core.position import Position
    from ai_suricata.exchange import Exchange
    from ai_suricata.firewall.base import CommandObserver
    from ai_suricata.source.base import Source
    from ai_suricata.state.shared import AlertStore


def local_state(settings: Settings) -> tuple[str, MemoryState]:
    """Return the name of the ledger, and the state in the state directory."""
    name = ledger_name(settings.firewall.firewall, dry_run=settings.respond.dry_run)
    return name, MemoryState(settings.state.directory, name, LAYOUT)


def stored_ledger(settings: Settings) -> tuple[str, list[LedgerEntry]]:
    """Return (firewall, entries) of the ledger as it is stored, for those who only look.

    Raises `StateError` where it can't be read.
    """
    name, state = local_state(settings)
    return name, state.ledger.read()


def blocks_elsewhere(settings: Settings) -> dict[str, int]:
    """Return how many blocks other ledgers of the state directory still count as ours.

    They stay on their firewall, and only a daemon that is set to it takes them out.
    """
    name, _ = local_state(settings)
    counts: dict[str, int] = {}
    for path in sorted(settings.state.directory.glob("ledger-*.jsonl")):
        other = path.stem.removeprefix("ledger-")
        if other not in {name, DryRun.name}:
            entries = MemoryState(settings.state.directory, other, LAYOUT).ledger.read()
            counts[other] = sum(entry.state in LIVE for entry in entries)
    return {other: count for other, count in counts.items() if count}


@contextlib.asynccontextmanager
async def alert_store(settings: Settings) -> AsyncIterator[AlertStore]:
    """Yield the alert store that the settings name, for those who only look.

    Raises `ConfigError`; the store's calls raise `StateError`.
    """
    most = settings.sink.max_alerts
    if not settings.state.redis_enabled:
        yield FileAlerts(settings.state.directory / "alerts.jsonl", most)
        return
    # redis-py, only where it is used
    from ai_suricata.state.clients import connect  # noqa: PLC0415 - as above
    from ai_suricata.state.redis.alerts import RedisAlertStore  # noqa: PLC0415 - as above
    from ai_suricata.state.redis.keys import Keys  # noqa: PLC0415 - as above

    client = connect(settings.redis)
    try:
        yield RedisAlertStore(client, Keys(settings.redis.key_prefix), most)
    finally:
        await client.aclose()


def fleet_of(
    settings: Settings,
    observe: CommandObserver = lambda _sent: None,
    *,
    dry: bool = False,
) -> Fleet:
    """Return the firewalls that FIREWALL names, not yet connected; `dry`: their dry run.

    `observe` is told of each command and what came of it.
    """
    firewall = settings.firewall
    if firewall.firewall == DryRun.name or (dry and firewall.firewall != "pfsense"):
        return Fleet([DryRun(firewall)])
    if firewall.firewall == "nftables":
        from ai_suricata.firewall.nftables import Nftables  # noqa: PLC0415 - as below

        return Fleet([Nftables(firewall, observe)])
    # asyncssh, only where it is used
    from ai_suricata.firewall.pfsense import PfSense  # noqa: PLC0415 - as above

    members = [PfSense(one, observe) for one in firewall.each()]
    return Fleet([DryRun(firewall, member) for member in members] if dry else members)


def source_of(settings: Settings, position: Position | None) -> Source:
    """Return the source that EVE_SOURCE names, going on at `position`. Raises `ConfigError`."""
    match settings.source.eve_source:
        case "ssh":  # asyncssh, only where it is used
            from ai_suricata.source.ssh.tail import SshTail  # noqa: PLC0415 - as above

            return SshTail(settings.source, settings.firewall.each()[0], position)
        case "socket":
            return Socket(settings.source)
        case "redis":  # redis-py, only where it is used
            from ai_suricata.source.redis.input import RedisInput  # noqa: PLC0415 - as above

            return RedisInput(settings.source, settings.redis, position, settings.state.instance)
        case _:
            return Tail(settings.source, position)


def describe_source(settings: Settings) -> str:
    """Return in a few words where events come from, for the log."""
    source, firewall = settings.source, settings.firewall
    match source.eve_source:
        case "ssh":
            return f"ssh {firewall.user}@{firewall.host}: {', '.join(source.paths)}"
        case "socket":
            return f"{source.socket_type} socket {source.socket_path}"
        case "redis":
            return f"redis {source.redis_mode} {source.redis_key}"
        case _:
            return f"file {', '.join(source.paths)}"


def dead_letter_of(settings: Settings, clock: Clock) -> DeadLetter:
    """Return what keeps samples of rejected lines."""
    path = settings.state.directory / "rejected.jsonl"
    return DeadLetter(path, settings.sink.dead_letter_bytes, clock)


def recorder_of(settings: Settings, exchange: Exchange | None) -> Recorder:
    """Return what keeps alerts: in Redis where it is shared, else in a file."""
    most = settings.sink.max_alerts
    if exchange is not None:
        return Recorder(exchange.alerts, exchange.top, exchange.instance, most)
    path = settings.state.directory / "alerts.jsonl"
    return Recorder(FileAlerts(path, most), LocalTopSources(), "local", most)
