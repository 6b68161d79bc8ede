"""Takes: what each client of a live run did, cut out of the run's capture.

A conversation is what one opening led to: packets of both directions between two ends, until
another opening between the same ends, or (UDP, ICMP) a minute of silence. It belongs to whoever
opened it. What is no such thing is skipped and counted.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

import dpkt

from lab.compose.packet import ACK, RST, SYN, TCP, Header, MalformedError, read, trim
from lab.label import Actor, Label, Role, read_labels
from lab.process import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from ipaddress import IPv4Network, IPv6Network
    from pathlib import Path

SECOND = 1_000_000
"""Times are in microseconds."""
_SILENCE = 60 * SECOND
_LONGEST = 6_000
"""Packets of a conversation: a longer one is left out whole."""
_MOST_BYTES = 400_000_000
"""Of all packets of a run that are kept in memory."""
_ETHERNET, _RAW = 14, 0
_ANSWERING = frozenset({Role.SERVER, Role.OUTSIDE_SERVER, Role.CONTROL_SERVER, Role.NOBODY})
"""These open nothing: a conversation that seems to be theirs began before the capture did."""


class Segment(NamedTuple):
    """One packet of a conversation."""

    offset: int
    """Microseconds after the conversation's first."""
    outward: bool
    """Whether the client sent it."""
    data: bytes
    """From the IP header on."""


@dataclass(slots=True)
class Conversation:
    """Packets between two ends, begun by the client."""

    protocol: int
    client: bytes
    """Address, 4 or 16 bytes."""
    server: bytes
    client_port: int
    """Of ICMP: the identifier, as the server's."""
    server_port: int
    start: int
    """Microseconds since the take began."""
    segments: list[Segment] = field(default_factory=list)
    sequence: int = 0
    """Of the first TCP segment."""
    answered: bool = False
    """Whether anything but an ICMP error came back."""
    completed: bool = False
    """Whether a TCP handshake completed: SYN, SYN and ACK, and an ACK that is no reset."""
    accepted: bool = False
    """Whether the server sent SYN and ACK."""

    @property
    def is_v6(self) -> bool:
        """Whether the ends are IPv6 addresses."""
        return len(self.client) == 16

    @property
    def end(self) -> int:
        """Microseconds since the take began, of the last packet."""
        return self.start + self.segments[-1].offset


@dataclass(frozen=True, slots=True)
class Take:
    """What one client did in one live run."""

    actor: Actor
    """Who it was; its address is that of the live run."""
    conversations: tuple[Conversation, ...]
    """In the order of their starts, the first at 0."""
    seed: int
    """Of the live run."""

    @property
    def is_v6(self) -> bool:
        """Whether the client has an IPv6 address."""
        return ":" in self.actor.address


@dataclass(frozen=True, slots=True)
class Recording:
    """A live run, cut up."""

    seed: int
    home_net: tuple[IPv4Network | IPv6Network, ...]
    actors: dict[str, Actor]
    """By canonical text of the address."""
    takes: tuple[Take, ...]
    """In the order of the labels."""
    skipped: Counter[str]
    """Packets that are in no take, by reason."""

    def is_home(self, address: str) -> bool:
        """Whether an address lies in the protected network."""
        parsed = ip_address(address)
        return any(parsed in network for network in self.home_net)


def record(run: Path) -> Recording:
    """Read what `python -m lab` has written into `run`; raises LabError where it is not there."""
    try:
        told = json.loads((run / "run.json").read_text(encoding="ascii"))
        actors = read_labels(run / "labels.csv")
        with (run / "capture.pcap").open("rb") as file:
            cutter = Cutter(actors)
            for moment, data in frames(dpkt.pcap.Reader(file)):
                cutter.add(moment, data)
    except (OSError, ValueError, KeyError) as error:
        raise LabError(f"{run} has no run that can be read: {error}") from error
    networks = tuple(ip_network(text) for text in told["home_net"])
    return Recording(told["seed"], networks, actors, cutter.takes(told["seed"]), cutter.skipped)


def frames(reader: dpkt.pcap.Reader) -> Iterator[tuple[int, bytes]]:
    """Yield the moment (microseconds since the epoch) and the IP packet of each frame.

    A frame that holds no IP comes as it is: reading it fails, and it is counted.
    """
    link = _ETHERNET if reader.datalink() == dpkt.pcap.DLT_EN10MB else _RAW
    for seconds, frame in reader:
        yield round(seconds * SECOND), bytes(frame[link:])


_Key = tuple[int, bytes, int, bytes, int]


class Cutter:
    """Sorts packets into conversations, and these by who opened them."""

    def __init__(self, actors: dict[str, Actor]) -> None:
        """`actors`: who has which address in the run."""
        self.skipped: Counter[str] = Counter()
        self._actors = {ip_address(text).packed: actor for text, actor in actors.items()}
        self._open: dict[_Key, Conversation] = {}
        self._by_client: dict[bytes, list[Conversation]] = {}
        self._bytes = 0

    def add(self, moment: int, data: bytes) -> None:
        """Put one packet where it belongs; packets come in the order of their times."""
        try:
            packet = trim(data)
            header = read(packet)
        except MalformedError as error:
            self.skipped[str(error)] += 1
            return
        if self._bytes + len(packet) > _MOST_BYTES:
            self.skipped["out-of-memory"] += 1
            return
        ends = header.about or header
        forward, backward = _keys(ends)
        outward = (forward in self._open) != (header.about is not None)
        key = forward if forward in self._open else backward
        conversation = self._open.get(key)
        if conversation is None or self._begins_anew(conversation, header, moment):
            conversation = self._begin(header, forward, moment)
            outward = True
        if conversation is None:
            return
        self._bytes += len(packet)
        conversation.segments.append(Segment(moment - conversation.start, outward, packet))
        _note(conversation, header, outward=outward)

    def _begins_anew(self, known: Conversation, header: Header, moment: int) -> bool:
        if header.about is not None:
            return False
        if header.protocol != TCP:
            return moment - known.start - known.segments[-1].offset > _SILENCE
        opens = header.flags & (SYN | ACK) == SYN
        return opens and header.sequence != known.sequence

    def _begin(self, header: Header, key: _Key, moment: int) -> Conversation | None:
        actor = self._actors.get(header.source)
        if header.about is not None or actor is None or actor.role in _ANSWERING:
            self.skipped["no-beginning" if actor else "unknown-client"] += 1
            return None
        if header.target not in self._actors:
            self.skipped["unknown-server"] += 1
            return None
        made = Conversation(
            header.protocol,
            header.source,
            header.target,
            header.source_port,
            header.target_port,
            moment,
            sequence=header.sequence,
        )
        self._open[key] = made
        self._by_client.setdefault(header.source, []).append(made)
        return made

    def takes(self, seed: int) -> tuple[Take, ...]:
        """Return what was found, once all packets are in."""
        found = []
        for packed, actor in self._actors.items():
            kept = [c for c in self._by_client.get(packed, ()) if len(c.segments) <= _LONGEST]
            self.skipped["long-conversation"] += len(self._by_client.get(packed, ())) - len(kept)
            if not kept:
                continue
            first = min(c.start for c in kept)
            for conversation in kept:
                conversation.start -= first
            found.append(Take(actor, tuple(sorted(kept, key=lambda c: c.start)), seed))
        return tuple(found)


def _keys(header: Header) -> tuple[_Key, _Key]:
    near = (header.source, header.source_port)
    far = (header.target, header.target_port)
    return (header.protocol, *near, *far), (header.protocol, *far, *near)


def _note(conversation: Conversation, header: Header, *, outward: bool) -> None:
    """Keep what has become of the conversation."""
    if header.about is not None:
        return
    if not outward:
        conversation.answered = True
        accepts = header.flags & (SYN | ACK) == SYN | ACK
        conversation.accepted = conversation.accepted or accepts
    elif conversation.accepted and header.flags & (ACK | RST | SYN) == ACK:
        conversation.completed = True


def of_label(takes: Iterable[Take], *labels: Label) -> list[Take]:
    """Return the takes of clients with one of these labels, in order."""
    return [take for take in takes if take.actor.label in labels]
