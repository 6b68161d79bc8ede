"""How networks go into a set of nftables, in which nothing may overlap.

Of networks inside one another only the widest is put in. An element of somebody else is never
swallowed. For a file that is loaded once, they are cut so that none is left out.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, summarize_address_range
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ai_suricata.core.address import Network, Target
    from ai_suricata.firewall.ruleset import Elements

    Span = tuple[int, int, Target]
    """First and last address of an element, and the element."""

NetworkT = TypeVar("NetworkT", IPv4Network, IPv6Network)


@dataclass(slots=True)
class Plan:
    """What is to be done so that networks are in force."""

    add: dict[Network, float] = field(default_factory=dict)
    """Those that are put in, or are in already, with their seconds."""
    replaced: list[Target] = field(default_factory=list)
    """Elements of ours that give way to a wider one."""
    covered: list[Network] = field(default_factory=list)
    """Not put in, since a wider element holds them."""
    barred: dict[Network, Target] = field(default_factory=dict)
    """Not put in, since they hold an element of somebody else, which is named."""


def plan(wanted: Mapping[Network, float], held: Elements) -> Plan:
    """Return how the networks, all of one IP version, go into a set with these elements."""
    made = Plan()
    spans = sorted((span(each) for each in held), key=itemgetter(0))
    # The last address of the latest one that goes in: what begins after it and ends by here is
    # inside.
    reached = -1
    for first, last, network in sorted(map(_network_span, wanted), key=_widest_first):
        if last <= reached:
            made.covered.append(network)
        elif _place(made, network, wanted[network], _met(spans, first, last), held):
            reached = last
    return made


def disjoint(wanted: Mapping[NetworkT, float]) -> dict[NetworkT, float]:
    """Return networks that don't overlap, under which each address keeps its longest time.

    One in a wider one that lasts as long is left out; one that outlives it is cut out of it.
    """
    inside: dict[NetworkT, list[NetworkT]] = {}
    around: list[NetworkT] = []  # each lies in the one before it, and lasts longer
    for network in sorted(wanted):  # by the first address, the wider one first
        while around and not network.subnet_of(around[-1]):
            around.pop()
        if around and wanted[around[-1]] >= wanted[network]:
            continue
        if around:
            inside[around[-1]].append(network)
        inside[network] = []
        around.append(network)
    return {piece: wanted[each] for each in inside for piece in _without(each, inside[each])}


def span(target: Target) -> Span:
    """Return the first and the last address of the target as numbers, and the target."""
    if isinstance(target, IPv4Network | IPv6Network):
        return _network_span(target)
    return int(target), int(target), target


def _network_span(network: Network) -> tuple[int, int, Network]:
    return int(network.network_address), int(network.broadcast_address), network


def _widest_first(found: tuple[int, int, Network]) -> tuple[int, int]:
    return found[0], -found[1]


def _met(spans: list[Span], first: int, last: int) -> list[Span]:
    """Return those of the spans, which are in order and don't overlap, that lie in the range."""
    start = bisect_right(spans, first, key=itemgetter(0))
    met = [spans[start - 1]] if start and spans[start - 1][1] >= first else []
    for each in islice(spans, start, None):
        if each[0] > last:
            break
        met.append(each)
    return met


def _place(made: Plan, network: Network, seconds: float, met: list[Span], held: Elements) -> bool:
    """Enter the network in the plan; return whether it is, or will be, an element itself."""
    first, last, _ = _network_span(network)
    elements = [each for _, _, each in met]
    if network in elements and held[network].whole:
        made.add[network] = seconds
        return True
    if any(begin <= first and last <= end for begin, end, _ in met):
        made.covered.append(network)
        return False
    foreign = next((each for each in elements if not held[each].ours), None)
    if foreign is not None:
        made.barred[network] = foreign
        return False
    made.replaced += elements
    made.add[network] = seconds
    return True


def _without(network: NetworkT, holes: Iterable[NetworkT]) -> Iterator[NetworkT]:
    """Yield what is left of the network without the holes, which are in order and apart."""
    first, start, size = network.network_address, 0, network.num_addresses
    for hole in holes:
        begin = int(hole.network_address) - int(first)
        if start < begin:
            yield from summarize_address_range(first + start, first + (begin - 1))
        start = begin + hole.num_addresses
    if start < size:
        yield from summarize_address_range(first + start, first + (size - 1))
