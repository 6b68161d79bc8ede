"""Looks whether what is blocked still gets answers: a block that does not hold is none.

Suricata taps before pf, so the packets of a blocked address go on showing. What tells is an
answer: a flow that a blocked address opened after the proof of its block, and that was answered,
has gone past the table. The rule stands too low, another firewall is on the way, or a state lives.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ai_suricata.core.address import parse_address, parse_network
from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.core.timestamp import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_suricata.core.address import Network
    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.core.event import Event, Flow

MARGIN = 1.0
"""Seconds after the proof in which a flow says nothing: sensor and daemon have their own clocks."""
TELL_EVERY = 60.0
"""Seconds between two sightings of one address that are to be logged."""
MOST_TOLD = 20
"""Addresses to be logged within that time: where a rule is gone, all that is blocked is seen."""
_MOST_PARSED = 1 << 16

_SYN, _ACK = 0x02, 0x10
_SYN_ACK = frozenset(
    form.format(flags)
    for flags in range(256)
    if flags & _SYN and flags & _ACK
    for form in ("{:02x}", "{:02X}")
)
"""Suricata's two hex digits of flags in which both are set."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Flows of one blocked address in one batch that began after the proof and were answered."""

    address: str
    """Canonical text of the one who opened them."""
    target: str
    """What is blocked: the address, or a network that it is in."""
    flows: int
    """How many."""
    began: int
    """When the first of them began, microseconds since the epoch."""
    since: int
    """From when on none should have been answered (proof and `MARGIN`), in the same unit."""
    peer: str
    """Who answered the first of them, as the event writes it."""
    port: int | None
    """The port that answered it, where it has one."""
    proto: str | None
    """Its protocol: TCP, UDP and so on."""
    due: bool
    """Whether it is to be logged: one in `TELL_EVERY` an address, `MOST_TOLD` of all."""


class _Spot(NamedTuple):
    """An address as it is looked up."""

    text: str
    """Canonical."""
    version: int
    number: int


class _Proof(NamedTuple):
    """From when on a target should not be answered: microseconds since the epoch."""

    since: int
    target: str


class Sentry:
    """Holds flows against the blocks that are proved. For real firewalls: a dry run stops nobody.

    As many entries as the ledger has blocks; a flow costs one lookup, and one more for each length
    of network that is blocked.
    """

    def __init__(self) -> None:
        self._addresses: dict[str, int] = {}
        self._networks = _Networks()
        self._told: dict[str, float] = {}
        self._parsed = lru_cache(maxsize=_MOST_PARSED)(_parse)

    def recall(self, entries: Iterable[LedgerEntry]) -> None:
        """Begin anew with the entries of a ledger, of any table and state."""
        self._addresses.clear()
        self._networks = _Networks()
        self.changed(entries)

    def changed(self, entries: Iterable[LedgerEntry]) -> None:
        """Follow the ledger: a proof begins a watch, any other state of the entry ends it."""
        for entry in entries:
            if entry.decision.table is not Table.BLOCK:
                continue
            self._forget(entry.target)
            if entry.state is LedgerState.ENFORCED:
                self._remember(entry.target, int((entry.changed_at + MARGIN) * MICROSECONDS))

    def watch(self, events: Sequence[Event], now: float) -> list[Sighting]:
        """Return what was answered though it is blocked; `now`: wall-clock seconds.

        One sighting an address, with the number of its flows.
        """
        if not self._addresses and not self._networks:
            return []
        seen: dict[tuple[str, _Proof], list[Event]] = {}
        for event in events:
            flow = event.flow
            if event.event_type != "flow" or flow is None or flow.start is None:
                continue  # the time of a record without a start is not when it began
            opener = self._opener(event, flow)
            if opener is not None and self._covers(opener, event.time) and answered(event):
                found = self._proof(opener)
                if found is not None:
                    seen.setdefault(found, []).append(event)
        return [self._sighting(*found, flows, now) for found, flows in seen.items()]

    def _covers(self, text: str, began: int) -> bool:
        """Whether an address should not have been answered then; the one step of most flows."""
        since = self._addresses.get(text)
        if since is not None and began > since:
            return True
        if not self._networks and ":" not in text:
            return False  # an IPv4 address has one spelling
        found = self._proof(text)
        return found is not None and began > found[1].since

    def _proof(self, text: str) -> tuple[str, _Proof] | None:
        """Return an address's canonical text and the earliest proof that covers it, or None."""
        spot = self._parsed(text)
        if spot is None:
            return None
        proofs = self._networks.around(spot)
        since = self._addresses.get(spot.text)
        if since is not None:
            proofs.append(_Proof(since, spot.text))
        return (spot.text, min(proofs)) if proofs else None

    def _opener(self, event: Event, flow: Flow) -> str | None:
        """Return who opened the flow: a record can be turned round, and `flow.src_ip` says so."""
        told, peer = flow.src_ip, event.dest_ip
        if told is None or told == event.src_ip or peer is None:
            return event.src_ip
        spot = self._parsed(told)  # an address has more than one spelling
        turned = told == peer or (spot is not None and spot == self._parsed(peer))
        return peer if turned else event.src_ip

    def _sighting(
        self, address: str, proof: _Proof, flows: Sequence[Event], now: float
    ) -> Sighting:
        first = min(flows, key=lambda event: event.time)
        turned = self._parsed(first.src_ip or "") != self._parsed(address)
        source, destination = (first.src_ip, first.src_port), (first.dest_ip, first.dest_port)
        peer, port = source if turned else destination
        return Sighting(
            address=address,
            target=proof.target,
            flows=len(flows),
            began=first.time,
            since=proof.since,
            peer=peer or "",
            port=port,
            proto=first.proto,
            due=self._is_due(address, now),
        )

    def _is_due(self, address: str, now: float) -> bool:
        """Whether an address is to be logged now; remembers that it was."""
        # A clock that was set back must not silence anybody until it has caught up.
        self._told = {k: at for k, at in self._told.items() if 0 <= now - at < TELL_EVERY}
        if address in self._told or len(self._told) >= MOST_TOLD:
            return False
        self._told[address] = now
        return True

    def _remember(self, target: str, since: int) -> None:
        if "/" in target:
            self._networks.put(parse_network(target), _Proof(since, target))
        else:
            self._addresses[target] = since

    def _forget(self, target: str) -> None:
        if "/" in target:
            self._networks.drop(parse_network(target))
        else:
            self._addresses.pop(target, None)


class _Networks:
    """Proofs by network, in one dictionary for each length: a lookup for each that is present."""

    def __init__(self) -> None:
        self._by_length: dict[tuple[int, int], dict[int, _Proof]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_length)

    def put(self, network: Network, proof: _Proof) -> None:
        """Take a network in, or take a new proof of it."""
        length, prefix = _place(network)
        self._by_length.setdefault(length, {})[prefix] = proof

    def drop(self, network: Network) -> None:
        """Leave a network out; a length of which there is none left costs nothing any more."""
        length, prefix = _place(network)
        of_length = self._by_length.get(length, {})
        of_length.pop(prefix, None)
        if not of_length:
            self._by_length.pop(length, None)

    def around(self, spot: _Spot) -> list[_Proof]:
        """Return the proofs of the networks that an address is in."""
        found: list[_Proof] = []
        for (version, bits), proofs in self._by_length.items():
            proof = proofs.get(spot.number >> bits) if version == spot.version else None
            if proof is not None:
                found.append(proof)
        return found


def answered(event: Event) -> bool:
    """Whether a flow was answered by the one it was meant for, rather than turned away on the way.

    TCP: a SYN,ACK came back (RFC 9293, 3.5); the RST of a `block return` rule is no answer. Others:
    a packet came back, and was no ICMP error: Suricata counts an error with the flow that it is
    about, yet leaves that flow `new`.
    """
    flow = event.flow
    if flow is None or flow.pkts_toserver == 0 or flow.pkts_toclient == 0:
        return False
    if event.proto != "TCP":
        return flow.state != "new"
    if event.tcp is not None:
        return event.tcp.tcp_flags_tc in _SYN_ACK
    # Without flags only a protocol that was recognised speaks for data in both directions.
    return event.app_proto not in {None, "failed"} and flow.state in {"established", "closed"}


def _place(network: Network) -> tuple[tuple[int, int], int]:
    """Return ((version, bits of the host), number of the network)."""
    bits = network.max_prefixlen - network.prefixlen
    return (network.version, bits), int(network.network_address) >> bits


def _parse(text: str) -> _Spot | None:
    """Return an address as an event writes it, or None where it is none."""
    try:
        address = parse_address(text)
    except ValueError:
        return None
    return _Spot(str(address), address.version, int(address))
