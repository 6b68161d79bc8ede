"""What is thought of a source address, and why."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec


class Level(IntEnum):
    """Threat level; a greater number is a greater threat."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


class Action(StrEnum):
    """What a verdict calls for."""

    IGNORE = "IGNORE"
    LOG = "LOG"
    MONITOR = "MONITOR"
    RATE_LIMIT = "RATE_LIMIT"
    BLOCK = "BLOCK"


ACTION_OF_LEVEL = {
    Level.INFO: Action.IGNORE,
    Level.LOW: Action.LOG,
    Level.MEDIUM: Action.MONITOR,
    Level.HIGH: Action.RATE_LIMIT,
    Level.CRITICAL: Action.BLOCK,
}


PATTERN_NAMES = (
    "port_scan",
    "network_scan",
    "brute_force",
    "denial_of_service",
    "web_scan",
    "attack_signature",
    "beaconing",
    "dns_tunnel",
)
"""What `classify.patterns` recognises, in its order. New ones go to the end: rows store numbers."""


class Verdict(msgspec.Struct, frozen=True):
    """A scored source address at one moment of event time."""

    address: str
    """Canonical text of the address."""
    time: int
    """Event time of the scored event, in microseconds since the epoch."""
    score: float
    """0..1 over all evidence."""
    proven_score: float
    """0..1 over the evidence that no forged packet could have made."""
    level: Level
    action: Action
    """What the level calls for, lowered where the spoof guard or the home network says so."""
    home: bool
    """Whether the address belongs to HOME_NET: such a host is reported, never blocked."""
    reasons: tuple[str, ...]
    """In words, each with the feature value that moved the score, the strongest first."""
    patterns: tuple[str, ...]
    """Names of the patterns that were recognised, the strongest first."""
    model_version: str
    """Version of the model that took part, or `none` before the learning period has ended."""
    written: int = -1
    """When the record of that event was written, in microseconds since the epoch: a flow's own time
    is its start, and its record comes when it has ended. -1 where nobody knows."""
    features: dict[str, float] = msgspec.field(default_factory=dict)
    """The feature values behind the reasons, by name; empty below RATE_LIMIT."""


class Opinion(msgspec.Struct, frozen=True):
    """What is thought of an address now, without a new look at it."""

    address: str
    score: float
    level: Level
    action: Action
    reasons: tuple[str, ...] = ()
    """Of the verdict, where one came with the same batch."""
