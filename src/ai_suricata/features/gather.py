"""The evidence of a batch: each event goes to the function of its type, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.core.behaviour import Counter
from ai_suricata.features.application import (
    add_anomaly,
    add_dns,
    add_ftp,
    add_http,
    add_pop3,
    add_ssh,
    add_tls,
)
from ai_suricata.features.connection import add_flow
from ai_suricata.features.evidence import Evidence, add_alert

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ai_suricata.core.event import Event
    from ai_suricata.features.home import Party
    from ai_suricata.features.memory import Memory


def gather(
    events: Sequence[Event], parties: Sequence[tuple[Party, Party]], memory: Memory
) -> Evidence:
    """Return what `events` add, each to its own owner; `parties` are (owner, other side).

    `memory`: what the events before them have left; these change it.
    """
    evidence = Evidence(len(events))
    evidence.added[:, Counter.TOTAL_EVENTS] = 1
    for index, (event, pair) in enumerate(zip(events, parties, strict=True)):
        _KINDS[event.event_type](evidence, index, event, pair, memory)
    return evidence


_KINDS: dict[str, Callable[[Evidence, int, Event, tuple[Party, Party], Memory], None]] = {
    "alert": add_alert,
    "flow": add_flow,
    "http": add_http,
    "dns": add_dns,
    "tls": add_tls,
    "ssh": add_ssh,
    "ftp": add_ftp,
    "pop3": add_pop3,
    "anomaly": add_anomaly,
}
