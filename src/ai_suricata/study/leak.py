"""Three things that could give a label away without any attack: address, direction, date.

In many public data sets the attackers are always the same addresses, always the ones outside, and
always active on the same day. Here the first and the last are changed and nothing may follow from
it; the second is made a detector of its own, to show how little it is worth among clients.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ai_suricata.core.event import Event, decode
from ai_suricata.core.timestamp import MICROSECONDS, format_timestamp, parse_timestamp
from ai_suricata.features.extract import Extractor
from ai_suricata.features.home import HomeNetwork
from ai_suricata.replay import eve_batches
from ai_suricata.study.opinion import Detector, Opinion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ai_suricata.classify.model import Model
    from ai_suricata.config.settings import ClassifySettings, Settings
    from ai_suricata.study.dataset import DataSet
    from ai_suricata.study.measure import Outcome

DAYS = 475
"""How far the date is moved: 1.3 years, in whole days, so that no window is cut elsewhere."""
_SHIFT = DAYS * 86_400 * MICROSECONDS
_SEED = 6
_BYTES = 4


class Change(NamedTuple):
    """What another address or date did to the scores of a recording."""

    what: str
    points: int
    """Moments at which a source was scored."""
    moved: int
    """Those at which its level was another."""
    largest: float
    """Greatest difference of a score."""


def direction_alone() -> Detector:
    """Return the rule that is nearly perfect on a honeypot: every stranger who comes attacks."""

    def opinion(source: Outcome) -> Opinion:
        said = not source.home and source.facts.flows > 0
        return Opinion(said, said, said)

    return Detector("every stranger", opinion)


def changes(data: DataSet, settings: Settings, model: Model) -> list[Change]:
    """Return what follows from other addresses, and from another date. Raises OSError."""
    plain = _scores(data, settings, model, lambda _event: None)
    ways: dict[str, Callable[[Event], None]] = {
        "other addresses outside": _Renaming(data),
        f"{DAYS} days later": _later,
    }
    return [
        _compared(what, plain, settings.classify, _scores(data, settings, model, way))
        for what, way in ways.items()
    ]


class _Renaming:
    """Gives each IPv4 address outside another one, drawn by a seed; at home they stay."""

    def __init__(self, data: DataSet) -> None:
        self._home = HomeNetwork(data.home)
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()
        self._random = random.Random(_SEED)  # noqa: S311 - an experiment that can be repeated

    def __call__(self, event: Event) -> None:
        """Change the addresses of an event in place."""
        event.src_ip, event.dest_ip = self._name(event.src_ip), self._name(event.dest_ip)
        if event.flow is not None:
            event.flow.src_ip = self._name(event.flow.src_ip)
            event.flow.dest_ip = self._name(event.flow.dest_ip)

    def _name(self, text: str | None) -> str | None:
        party = self._home.party(text) if text is not None else None
        if party is None or party.home or party.group or ":" in party.address:
            return text
        if party.address not in self._names:
            self._names[party.address] = self._drawn()
        return self._names[party.address]

    def _drawn(self) -> str:
        """Return an address outside that nobody has yet."""
        while True:
            drawn = str(IPv4Address(self._random.randbytes(_BYTES)))
            party = self._home.party(drawn)
            if party is not None and not (party.home or party.group) and drawn not in self._taken:
                self._taken.add(drawn)
                return drawn


def _later(event: Event) -> None:
    """Move an event, and the flow that it tells of, in place."""
    event.time += _SHIFT
    event.timestamp = _moved(event.timestamp)
    flow = event.flow
    if flow is not None:
        flow.start = _moved(flow.start) if flow.start is not None else None
        flow.end = _moved(flow.end) if flow.end is not None else None


def _moved(text: str) -> str:
    try:
        return format_timestamp(parse_timestamp(text) + _SHIFT)
    except ValueError:  # no time at all, which it stays
        return text


def _scores(
    data: DataSet, settings: Settings, model: Model, change: Callable[[Event], None]
) -> NDArray[np.float64]:
    """Return the score at each point of a recording, its events changed before they count."""
    extractor = Extractor(data.settings(settings).features)
    found: list[NDArray[np.float64]] = []
    for lines in eve_batches(data.path, settings.source.batch_size):
        events = [event for event in map(decode, lines) if isinstance(event, Event)]
        for event in events:
            change(event)
        found.append(model.score(extractor.observe(events).matrix))
    return np.concatenate(found) if found else np.zeros(0)


def _compared(
    what: str,
    plain: NDArray[np.float64],
    told: ClassifySettings,
    changed: NDArray[np.float64],
) -> Change:
    bounds: Sequence[float] = (told.low, told.medium, told.high, told.critical)
    levels = [np.searchsorted(bounds, scores, side="right") for scores in (plain, changed)]
    if len(plain) != len(changed):
        return Change(what, len(plain), abs(len(plain) - len(changed)), 1.0)
    moved = int((levels[0] != levels[1]).sum())
    largest = float(np.abs(plain - changed).max()) if len(plain) else 0.0
    return Change(what, len(plain), moved, largest)
