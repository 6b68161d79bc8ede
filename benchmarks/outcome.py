"""What a run of the crash test has shown: expected and found, and where they differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.killing import Scene

    from fakes.redis_servers import Standalone

PREFIX = "ai_suricata"
"""Of the keys in Redis."""
FOREIGN = {BLOCK_TABLE: {"9.9.9.9", "198.18.0.7"}, LIMIT_TABLE: {"1.1.1.1"}}
"""Entries of somebody else's: one of them is a client of ours, which changes nothing."""


@dataclass
class Outcome:
    """What one run has shown."""

    name: str
    events: tuple[int, int] = (0, 0)
    """Expected and counted; so are the next two."""
    alerts: tuple[int, int] = (0, 0)
    blocks: tuple[int, int] = (0, 0)
    kills: Counter[str] = field(default_factory=Counter)
    rotations: int = 0
    seconds: float = 0.0
    differences: list[str] = field(default_factory=list)

    def compare(
        self, what: str, expected: Mapping[str, object], found: Mapping[str, object]
    ) -> None:
        """Note each address of which something else is found than expected."""
        for address in sorted(expected.keys() | found.keys()):
            one, other = expected.get(address), found.get(address)
            if one != other:
                self.differences.append(f"{what} of {address}: expected {one}, found {other}")


def verify(scene: Scene, server: Standalone | None, outcome: Outcome) -> None:
    """Compare what the daemon has stored, and what pf holds, with what was fed."""
    expected, counted = scene.feeder.expected, scene.daemon.counted()
    events = {address: count for address, (count, _) in counted.items()}
    alerts = {address: count for address, (_, count) in counted.items() if count}
    outcome.compare("events", expected.events, events)
    outcome.compare("alerts", +expected.alerts, alerts)
    if server is not None:
        alerts = shared_alerts(server, [*expected.events])
        outcome.compare("alerts in Redis", +expected.alerts, alerts)
    outcome.events = expected.events.total(), sum(events.values())
    outcome.alerts = expected.alerts.total(), sum(alerts.values())
    verify_blocks(scene, outcome)


def shared_alerts(server: Standalone, addresses: list[str]) -> dict[str, int]:
    """Return `alert_count` of each address of which Redis has counted alerts."""
    pipe = server.client().pipeline()
    for address in addresses:
        pipe.hget(f"{PREFIX}:ip_behavior:{address}", "alert_count")
    counts = (int(value or 0) for value in pipe.execute())
    return {address: count for address, count in zip(addresses, counts, strict=True) if count}


def verify_blocks(scene: Scene, outcome: Outcome) -> None:
    """Attackers, ledger and table must agree, and the entries of others be where they were."""
    attackers = scene.feeder.expected.attackers
    ledger = scene.daemon.ledger("pfsense")
    for table, name in ((BLOCK_TABLE, "block"), (LIMIT_TABLE, "limit")):
        held = scene.pf.table(table)
        ours = dict.fromkeys(held - FOREIGN[table], "enforced")
        known = {target: state for (target, of), state in ledger.items() if of == name}
        outcome.compare(f"{name}: entry in the ledger and in pf", known, ours)
        if name == "block":
            outcome.compare("block", dict.fromkeys(attackers, "enforced"), ours)
            outcome.blocks = len(attackers), len(ours)
        strangers = ours.keys() - set(attackers)
        outcome.differences += [f"{name}: {address} is no attacker" for address in strangers]
        lost = FOREIGN[table] - held
        outcome.differences += [f"{name}: {address} of others is gone" for address in lost]
