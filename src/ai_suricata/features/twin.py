"""The same flow, told of by two files, counts once.

pfSense runs one Suricata an interface, each with its own eve.json, and what passes the firewall is
seen by two of them. Their flow ids differ (each process draws its own), so an event is known again
by what it says: protocol, both ends, event type, what was asked or matched, and its time. Of each
such thing that happens around a moment, as many count as the one file has that tells of most:
whoever comes later, and has told of no more than another, repeats it.

Address translation gives the home side another address on each interface. The far end, its port and
the port at home stay, so that is what a connection across the border is known by; two addresses at
home are taken for one host only as long as neither file has spoken of the other's. A rewritten port
(outbound connections of a home network) can't be seen through: those count for hosts at home.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from hashlib import blake2b
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ai_suricata.core.timestamp import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ai_suricata.core.event import Event
    from ai_suricata.features.home import HomeNetwork

SLOT = 2 * MICROSECONDS
"""Event time, in microseconds, that counts as one moment, with the slots before and after it: two
processes raise an alert on the same stream some packets apart."""
MOST_MOMENTS = 65_536
"""Moments that are remembered, some 600 bytes each; those of longest ago go first."""
MOST_HOMES = 4096
"""Addresses at home that are remembered for each file."""
MOST_STORED = 4096
"""Moments that go into a snapshot: those that the files are just at."""

_DATE = re.compile(r"[-_.]?\d{4}[-_.]?\d{2}[-_.]?\d{2}([-_.T]?\d{2,6})*|[-_.]?\d{10}")

Counts = dict[tuple[str, str], int]
"""How many events of one kind each (file, address at home) has told of, around one moment."""


class Moment(NamedTuple):
    """One kind of event of one connection, around one moment."""

    proto: str
    far: str
    far_port: int
    near: str
    """Empty where the connection crosses the border: the address at home may be translated."""
    near_port: int
    what: str
    """Event type, and what was matched or asked."""
    slot: int


class Twins:
    """Remembers what each file has told of lately."""

    def __init__(self, home: HomeNetwork) -> None:
        """`home`: which side of a connection may have been translated."""
        self._home = home
        self._moments: OrderedDict[Moment, Counts] = OrderedDict()
        self._homes: dict[str, OrderedDict[str, None]] = {}
        self._exported: tuple[str, ...] | None = ()  # None: something was counted since

    def is_repeated(self, event: Event, origin: str) -> bool:
        """Whether another file has told of this already; else take note that `origin` has now.

        `origin`: the name of the file (see `family`). An event without two addresses never is.
        """
        found = self._moment(event)
        if found is None:
            return False
        moment, near = found
        if not moment.near:
            self._meet(origin, near)
        around = [self._moments.get(moment._replace(slot=moment.slot + d), {}) for d in (-1, 0, 1)]
        own = sum(counts.get((origin, near), 0) for counts in around)
        others = self._others(around, origin, near)
        self._count(moment, origin, near)
        return own < max(others.values(), default=0)

    def export(self) -> tuple[str, ...]:
        """Return what a restart needs to go on in the middle of a moment, for a snapshot."""
        if self._exported is None:
            latest = islice(reversed(self._moments.items()), MOST_STORED)
            self._exported = tuple(
                msgspec.json.encode((moment, [(*who, n) for who, n in counts.items()])).decode()
                for moment, counts in reversed(list(latest))
            )
        return self._exported

    def restore(self, stored: Iterable[str]) -> None:
        """Take over what a snapshot holds."""
        for text in stored:
            moment, counts = _decoder.decode(text)
            self._moments[moment] = {(origin, near): n for origin, near, n in counts}
            self._exported = None
            for origin, near, _ in counts if not moment.near else ():
                self._meet(origin, near)

    def _moment(self, event: Event) -> tuple[Moment, str] | None:
        """Return what the event is known by, and the address at home where one side is."""
        if event.src_ip is None or event.dest_ip is None:
            return None
        source, destination = self._home.party(event.src_ip), self._home.party(event.dest_ip)
        if source is None or destination is None:
            return None
        sides = [
            (source.home, source.address, event.src_port or 0),
            (destination.home, destination.address, event.dest_port or 0),
        ]
        (far_home, far, far_port), (near_home, near, near_port) = sorted(sides)
        translated = far_home != near_home  # False sorts first: the far end is not at home
        moment = Moment(
            (event.proto or "").upper(),
            far,
            far_port,
            "" if translated else near,
            near_port,
            _what(event),
            event.time // SLOT,
        )
        return moment, near

    def _others(self, around: Iterable[Counts], origin: str, near: str) -> dict[str, int]:
        """Return how many each other file has told of, under this or a translated address."""
        found: dict[str, int] = {}
        for counts in around:
            for (other, address), number in counts.items():
                if other == origin:
                    continue
                if address == near or self._may_be_translated(origin, near, other, address):
                    found[other] = found.get(other, 0) + number
        return found

    def _may_be_translated(self, origin: str, near: str, other: str, address: str) -> bool:
        known, met = self._homes.get(origin, ()), self._homes.get(other, ())
        return address not in known and near not in met

    def _count(self, moment: Moment, origin: str, near: str) -> None:
        self._exported = None
        counts = self._moments.setdefault(moment, {})
        counts[origin, near] = counts.get((origin, near), 0) + 1
        self._moments.move_to_end(moment)
        if len(self._moments) > MOST_MOMENTS:
            self._moments.popitem(last=False)

    def _meet(self, origin: str, near: str) -> None:
        homes = self._homes.setdefault(origin, OrderedDict())
        homes[near] = None
        homes.move_to_end(near)
        if len(homes) > MOST_HOMES:
            homes.popitem(last=False)


def family(path: str) -> str:
    """Return what a file and those that take its place after a rotation have in common.

    A date in the name, and what a rotation puts behind `.json`, say nothing of who writes: the
    files of yesterday and today must not be taken for two interfaces.
    """
    pure = PurePath(path)
    name = pure.name
    end = name.find(".json")
    if end >= 0:
        name = name[: end + len(".json")]
    return str(pure.with_name(_DATE.sub("", name) or pure.name))


def spread(origins: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Yield for each line of a batch the name of whoever wrote it (see `Batch.origins`)."""
    for path, count in origins:
        name = family(path)
        for _ in range(count):
            yield name


def _what(event: Event) -> str:
    """Return what tells one event from another of the same type and connection.

    What others choose the length of is a digest: the same in each process, and short.
    """
    if event.alert is not None:
        return f"alert {event.alert.signature_id}"
    told = ""
    if event.http is not None:
        told = f"{event.http.http_method} {event.http.url}"
    elif event.dns is not None:
        told = event.dns.type
    if not told:
        return event.event_type
    return f"{event.event_type} {blake2b(told.encode(), digest_size=8).hexdigest()}"


_decoder = msgspec.json.Decoder(tuple[Moment, list[tuple[str, str, int]]])
