"""What each event adds to the counters and sketches of its owner.

Rows of a batch side by side: `added[i, counter]` is what event i adds, and `marks` lists which
bit of which sketch it sets. What an event adds depends on the event and on the memory that the
events before it have left (`features.memory`), so a batch can be cut anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.behaviour import Counter, Sketch
from ai_suricata.features.attribute import INFORMATION
from ai_suricata.features.handshake import alert_proven
from ai_suricata.features.sketch import bits_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ai_suricata.core.event import Alert, Event
    from ai_suricata.features.home import Party
    from ai_suricata.features.memory import Memory

_POSITIVE = (1 << 63) - 1
_CRAWLERS = "Not Suspicious Traffic"


class Evidence:
    """The contributions of one batch of events."""

    def __init__(self, size: int) -> None:
        """`size`: how many events."""
        self.added: NDArray[np.int64] = np.zeros((size, len(Counter)), dtype=np.int64)
        self.marks: list[tuple[int, int, int]] = []
        """(event, sketch, value)."""

    def mark(self, event: int, sketch: Sketch, value: int) -> None:
        """Set the bit of `value` in a sketch of event `event`."""
        self.marks.append((event, sketch, value & _POSITIVE))

    def marks_of(self, waves: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        """Return the marks of each wave of events as an array (marks, 2) of (event, bit).

        Bits are numbered over all sketches of a row.
        """
        marks = np.array(self.marks, dtype=np.int64).reshape(-1, 3)
        bits = bits_of(marks[:, 2], marks[:, 1]).astype(np.int64)
        wave_of = np.zeros(len(self.added), dtype=np.int64)
        for number, events in enumerate(waves):
            wave_of[events] = number
        wave = wave_of[marks[:, 0]]
        order = np.argsort(wave, kind="stable")
        pairs = np.stack((marks[:, 0], bits), axis=1)[order]
        borders = np.searchsorted(wave[order], np.arange(1, len(waves)))
        return np.split(pairs, borders)


def add_alert(
    evidence: Evidence, index: int, event: Event, parties: tuple[Party, Party], memory: Memory
) -> None:
    """Count an alert; only one of a class that tells of an attack is weighed any further."""
    alert = event.alert
    if alert is None:
        return
    row = evidence.added[index]
    row[Counter.ALERTS] = row[Counter.TOTAL_ALERTS] = 1
    row[Counter.SEVERITY_1] = alert.severity == 1
    row[Counter.SEVERITY_2] = alert.severity == 2  # noqa: PLR2004 - Suricata's own scale
    if not tells_of_attack(alert):
        return
    proven = alert_proven(event)
    worth = memory.reputation.raised(parties[0].address, alert.signature_id, proven=proven)
    row[Counter.ATTACK_ALERTS] = 1
    row[Counter.TRUSTED_ALERTS] = worth.weight
    row[Counter.RARE_ALERTS] = worth.rare
    evidence.mark(index, Sketch.ATTACK_SIGNATURES, alert.signature_id)
    evidence.mark(index, Sketch.DAY_ATTACK_SIGNATURES, alert.signature_id)
    if proven:
        row[Counter.PROVEN_ATTACK_ALERTS] = row[Counter.DAY_PROVEN_ATTACK_ALERTS] = 1
        row[Counter.PROVEN_TRUSTED_ALERTS] = worth.proven_weight
        evidence.mark(index, Sketch.PROVEN_ATTACK_SIGNATURES, alert.signature_id)


def tells_of_attack(alert: Alert) -> bool:
    """Whether a signature is about an attack, by its class or because it is a scan signature.

    Checksum alerts (SID 2200073 to 2200079) and other decoder events fall out with their class, and
    scan signatures that only name a search engine's crawler with theirs.
    """
    scan = alert.signature.startswith("ET SCAN ") and alert.category != _CRAWLERS
    return alert.category not in INFORMATION or scan
