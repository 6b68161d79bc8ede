"""What is known beyond single addresses: services, paces, the worth of signatures, the link, FTP.

It is used and changed in the order of the events, in `features.evidence` and nowhere else. It
belongs to one instance; what it made of an event is in the counters, which are joined.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ai_suricata.features.beat import Beats
from ai_suricata.features.link import Link
from ai_suricata.features.passive import Passive
from ai_suricata.features.reputation import Reputation
from ai_suricata.features.service import Services

if TYPE_CHECKING:
    from collections.abc import Mapping

_SERVICES, _BEATS, _LINK, _PASSIVE = "services", "paces", "link", "passive"
_SIGNATURES, _RAISERS, _SOURCES = "worth of signatures", "raisers", "alert sources"


@dataclass(frozen=True, slots=True)
class Memory:
    """All of it, bounded, in one place."""

    services: Services = field(default_factory=Services)
    beats: Beats = field(default_factory=Beats)
    reputation: Reputation = field(default_factory=Reputation)
    link: Link = field(default_factory=Link)
    passive: Passive = field(default_factory=Passive)

    def export(self) -> dict[str, tuple[str, ...]]:
        """Return the notes of a snapshot."""
        signatures, raisers, sources = self.reputation.export()
        return {
            _SERVICES: self.services.export(),
            _BEATS: self.beats.export(),
            _SIGNATURES: signatures,
            _RAISERS: raisers,
            _SOURCES: sources,
            _LINK: self.link.export(),
            _PASSIVE: self.passive.export(),
        }

    def restore(self, notes: Mapping[str, tuple[str, ...]]) -> None:
        """Take over the notes of a snapshot; those of an older version lack some."""
        self.services.restore(notes.get(_SERVICES, ()))
        self.beats.restore(notes.get(_BEATS, ()))
        told = (notes.get(name, ()) for name in (_SIGNATURES, _RAISERS, _SOURCES))
        self.reputation.restore(*told)
        self.link.restore(notes.get(_LINK, ()))
        self.passive.restore(notes.get(_PASSIVE, ()))
