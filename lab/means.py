"""What an actor has at hand: its address, its chance, and what it needs to reach the servers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import estate

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True)
class Means:
    """What an actor has at hand."""

    source: str
    """Its address."""
    rng: random.Random
    tls: ssl.SSLContext
    """Trusts the lab's certificate."""
    known_hosts: str
    work: str
    """Folder for small files."""
    seconds: float
    """How long the traffic lasts, all told."""
    campaign: str = ""
    """Of a distributed attack: the sources of one campaign share it."""

    @property
    def is_v6(self) -> bool:
        """Whether the actor speaks IPv6."""
        return ":" in self.source

    @property
    def habits(self) -> random.Random:
        """Chance that falls the same way each time: what the actor always does."""
        return random.Random(self.source)

    @property
    def web(self) -> str:
        """The protected web server's address, as far as the actor can reach it."""
        return estate.WEB_V6 if self.is_v6 else estate.WEB
