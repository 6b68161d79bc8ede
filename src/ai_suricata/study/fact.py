"""What Suricata itself wrote of each address, before anything of ours has judged it.

The populations of the figures ("sources with 5 flows", "sources that opened a flow") and the
baselines of alerts are counted here, out of the raw records and apart from `features`: a fault in
whom we blame must not move the goal posts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from ai_suricata.core.address import parse_address
from ai_suricata.core.event import Event, decode
from ai_suricata.replay import eve_batches

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MOST_PORTS = 8
_SEVERE = 2
_LINES = 4096


@dataclass(slots=True)
class Facts:
    """What the records say of one address."""

    flows: int = 0
    """Flow records that name it as the source: connections that it opened."""
    alerts: int = 0
    """Alerts in connections that it opened."""
    named: int = 0
    """Alerts that name it as the source of the packet that matched."""
    named_severe: int = 0
    """Those of severity 1 or 2."""
    answered: int = 0
    """Flow records that name it as the destination."""
    ports: dict[str, int] = field(default_factory=dict)
    """Flows by protocol and port, the first few that it asked for."""

    def is_strong(self) -> bool:
        """Whether there is enough to see it by: 5 flows or more, or 2 alerts."""
        return self.flows >= 5 or self.alerts >= 2  # noqa: PLR2004 - as the goal is worded

    def ask(self, port: str) -> None:
        """Count a port that it asked for."""
        if port in self.ports or len(self.ports) < _MOST_PORTS:
            self.ports[port] = self.ports.get(port, 0) + 1


def facts_of(path: Path) -> dict[str, Facts]:
    """Return the facts of an eve file by address. Raises OSError where it can't be read."""
    found: dict[str, Facts] = {}
    for lines in eve_batches(path, _LINES):
        count(found, lines)
    return found


def count(found: dict[str, Facts], lines: Iterable[bytes]) -> None:
    """Count lines of eve.json into `found`; those that are no events are passed over."""
    for line in lines:
        event = decode(line)
        if not isinstance(event, Event) or event.event_type not in {"flow", "alert"}:
            continue
        source, destination = _canonical(event.src_ip), _canonical(event.dest_ip)
        if source is None or destination is None:
            continue
        of_source = found.setdefault(source, Facts())
        if event.event_type == "flow":
            of_source.flows += 1
            of_source.ask(f"{event.proto or '?'}/{event.dest_port or 0}".lower())
            found.setdefault(destination, Facts()).answered += 1
        elif event.alert is not None:
            of_source.named += 1
            of_source.named_severe += 1 <= event.alert.severity <= _SEVERE
            opener = _canonical(event.flow.src_ip) if event.flow is not None else None
            found.setdefault(opener or source, Facts()).alerts += 1


@lru_cache(maxsize=1 << 16)
def _canonical(text: str | None) -> str | None:
    try:
        return str(parse_address(text)) if text is not None else None
    except ValueError:
        return None
