"""Which of the stored alerts are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_suricata.core.address import Network
    from ai_suricata.core.verdict import Action, Level
    from ai_suricata.state.shared import StoredAlert


@dataclass(frozen=True, slots=True)
class Query:
    """Filters of an alert, each narrowing the others; None, 0 and an empty text let all pass."""

    ip: Network | None = None
    """Holds the source that it counted for, or either side of the connection."""
    severity: int | None = None
    level: Level | None = None
    action: Action | None = None
    min_score: float = 0.0
    since: int | None = None
    """Event time in microseconds since the epoch, itself included; as `until`."""
    until: int | None = None
    signature: str = ""
    """The number of a signature, or a part of its text in any case."""

    def matches(self, alert: StoredAlert) -> bool:
        """Say whether all filters let the alert pass."""
        return (
            (self.severity is None or self.severity == alert.severity)
            and (self.level is None or self.level.name == alert.level)
            and (self.action is None or self.action.value == alert.action)
            and self.min_score <= alert.score
            and (self.since is None or self.since <= alert.time)
            and (self.until is None or alert.time <= self.until)
            and self._named(alert)
            and self._placed(alert)
        )

    def _named(self, alert: StoredAlert) -> bool:
        return (
            self.signature == str(alert.signature_id)
            or self.signature.casefold() in alert.signature.casefold()
        )

    def _placed(self, alert: StoredAlert) -> bool:
        if self.ip is None:
            return True
        sides = {alert.source_ip, alert.src_ip, alert.dest_ip}
        return any(_holds(self.ip, side) for side in sides)


def _holds(network: Network, text: str) -> bool:
    """Say whether the network holds the address; a text that is none is in no network."""
    try:
        return ip_address(text) in network
    except ValueError:
        return False
