"""How networks go into a set in which nothing may overlap."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from ai_suricata.firewall.overlap import Plan, disjoint, plan
from ai_suricata.firewall.ruleset import Element

if TYPE_CHECKING:
    from ai_suricata.core.address import Network, Target

NARROW, MIDDLE, WIDE = (IPv4Network(f"203.0.113.0/{bits}") for bits in (26, 25, 24))
BESIDE = IPv4Network("203.0.112.0/24")
OURS, THEIRS = Element(left=60, ours=True), Element()


def test_of_wanted_ones_the_widest_goes_in() -> None:
    """In whichever order they are named; neighbours are no overlap."""
    expected = Plan(add={BESIDE: 4, WIDE: 3}, covered=[MIDDLE, NARROW])

    assert expected == plan({NARROW: 1, MIDDLE: 2, WIDE: 3, BESIDE: 4}, {})


def test_one_inside_a_wider_element_is_covered() -> None:
    """Whoever put that in."""
    assert Plan(covered=[NARROW]) == plan({NARROW: 1}, {MIDDLE: THEIRS, BESIDE: OURS})


def test_ours_inside_give_way() -> None:
    """The wider one stands for them."""
    held: dict[Target, Element] = {NARROW: OURS, ip_network("203.0.113.128/25"): OURS, BESIDE: OURS}

    expected = Plan(add={WIDE: 1}, replaced=[NARROW, ip_network("203.0.113.128/25")])
    assert expected == plan({WIDE: 1}, held)


def test_those_of_others_do_not() -> None:
    """The wider one stays out, what was wanted inside it does not; single addresses count, too."""
    last = ip_address("203.0.113.255")

    expected = Plan(add={NARROW: 2}, barred={WIDE: last})
    assert expected == plan({WIDE: 1, NARROW: 2}, {last: THEIRS})


def test_what_is_there_is_named_again_for_its_time() -> None:
    """Whoever put it in; a part of a range can't be, and covers what it is."""
    assert Plan(add={NARROW: 9}) == plan({NARROW: 9}, {NARROW: THEIRS})
    assert Plan(covered=[NARROW]) == plan({NARROW: 9}, {NARROW: Element(whole=False)})


def test_those_that_overlap_are_cut_so_that_each_address_keeps_its_longest_time() -> None:
    """What ends with a wider one is left out; what outlives it is cut out of it; none is longer."""
    assert {WIDE: 9, BESIDE: 4} == disjoint({NARROW: 9, WIDE: 9, MIDDLE: 1, BESIDE: 4})
    rest = IPv4Network("203.0.113.128/25")
    assert {MIDDLE: 9, rest: 5} == disjoint({NARROW: 7, WIDE: 5, MIDDLE: 9})
    everything, half = IPv6Network("::/0"), IPv6Network("8000::/1")
    assert {IPv6Network("::/1"): 1, half: 2} == disjoint({everything: 1, half: 2})


ADDRESSES = st.integers(0, 63).map(lambda number: IPv4Address("192.0.2.0") + number)
NETWORKS = st.builds(
    lambda address, bits: IPv4Network((address, bits), strict=False), ADDRESSES, st.integers(26, 31)
)
PIECES = st.lists(st.tuples(ADDRESSES, ADDRESSES, st.sampled_from([OURS, THEIRS])), max_size=6)


def apart(pieces: list[tuple[IPv4Address, IPv4Address, Element]]) -> dict[Target, Element]:
    """Return elements that don't overlap, as a set holds them."""
    held: dict[Target, Element] = {}
    for one, other, element in pieces:
        for network in summarize_address_range(min(one, other), max(one, other)):
            if not any(network.overlaps(ip_network(each)) for each in held):
                held[network if network.prefixlen < 32 else network[0]] = element
    return held


@given(st.dictionaries(NETWORKS, st.just(1.0), max_size=8), PIECES)
def test_whatever_is_wanted_is_in_force_or_barred(
    wanted: dict[Network, float], pieces: list[tuple[IPv4Address, IPv4Address, Element]]
) -> None:
    """And nothing overlaps in the end, and every entry of somebody else is still there."""
    held = apart(pieces)
    made = plan(wanted, held)
    after = {*(set(held) - set(made.replaced)), *made.add}
    networks = [ip_network(each) for each in after]

    assert wanted.keys() == {*made.add, *made.covered, *made.barred}
    assert {each for each, element in held.items() if not element.ours} <= after
    in_force = {one for one in wanted if any(one.subnet_of(each) for each in networks)}  # type: ignore[arg-type]
    assert wanted.keys() - made.barred.keys() <= in_force
    assert not [
        (one, other)
        for number, one in enumerate(networks)
        for other in networks[:number]
        if one.overlaps(other)
    ]


@given(st.dictionaries(NETWORKS, st.sampled_from([1.0, 2.0, 3.0]), max_size=12))
def test_cut_networks_don_t_overlap_and_nobody_s_time_changes(
    wanted: dict[IPv4Network, float],
) -> None:
    """Held against each address by itself."""
    made = disjoint(wanted)

    for number in range(64):
        address = IPv4Address("192.0.2.0") + number
        asked = [seconds for network, seconds in wanted.items() if address in network]
        assert sorted(asked)[-1:] == [made[each] for each in made if address in each]
