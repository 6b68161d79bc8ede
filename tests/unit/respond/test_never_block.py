"""Who is never blocked, however its address is written."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_suricata.core.address import parse_target
from ai_suricata.respond.never_block import ALWAYS, NeverBlock

if TYPE_CHECKING:
    from ai_suricata.core.address import Network

OPERATOR = (ip_network("198.51.100.64/28"), ip_network("2001:db8:7::/48"))
LISTED = NeverBlock({"NEVER_BLOCK": OPERATOR})
CARRIERS = ("::ffff:0:0", "::", "64:ff9b::")
"""IPv6 addresses whose last 32 bits are an IPv4 address."""


def edges(network: str) -> list[str]:
    """Return the first and the last address of a network."""
    whole = ip_network(network)
    return [str(whole.network_address), str(whole.broadcast_address)]


@pytest.mark.parametrize("network", ALWAYS)
def test_every_builtin_network_is_refused_with_its_reason(network: str) -> None:
    """The whole, its first and its last address."""
    for text in (network, *edges(network)):
        assert f"{ALWAYS[network]}: {network}" == NeverBlock({}).reason_for_text(text)


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("network", [text for text in ALWAYS if ":" not in text])
def test_ipv6_addresses_that_carry_a_listed_ipv4_one_are_refused(
    carrier: str, network: str
) -> None:
    """Mapped, compatible and NAT64: packets to these reach the IPv4 host."""
    for text in edges(network):
        carried = IPv6Address(int(IPv6Address(carrier)) + int(IPv4Address(text)))
        assert NeverBlock({}).reason(carried) is not None


@pytest.mark.parametrize("carrier", CARRIERS)
def test_carried_addresses_of_the_operators_list_are_refused(carrier: str) -> None:
    """What the operator wrote as IPv4 holds for its other spellings."""
    address = IPv6Address(int(IPv6Address(carrier)) + int(IPv4Address("198.51.100.65")))

    assert "NEVER_BLOCK: 198.51.100.64/28" == LISTED.reason(address)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0/0",
        "::/0",
        "198.51.100.0/24",
        "198.51.100.72/30",
        "2001:db8::/32",
        "::ffff:0:0/90",
        "64:ff9b::/64",
        "::ffff:192.168.0.0/112",
        "64:ff9b::c0a8:0/112",
        "fe80::1%em0",
    ],
)
def test_networks_that_hold_or_lie_in_a_listed_one_are_refused(text: str) -> None:
    """Blocking any part of the list would block somebody on it."""
    assert LISTED.reason_for_text(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.1",
        "198.51.100.9",
        "203.0.113.7",
        "198.18.0.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.32.0.1",
        "223.255.255.255",
        "2001:db8::1",
        "2606:4700::1111",
        "64:ff9b::808:808",
        "::ffff:8.8.8.8",
        "203.0.113.0/24",
    ],
)
def test_documentation_ranges_and_public_addresses_may_be_blocked(text: str) -> None:
    """The list is explicit: neighbours of a listed network are not on it."""
    assert LISTED.reason_for_text(text) is None


def test_what_is_added_later_is_refused_from_then_on() -> None:
    """Such as the firewall's address, which is known once it is connected."""
    never_block = NeverBlock({})
    assert never_block.reason_for_text("203.0.113.1") is None

    never_block.add("the firewall", [ip_network("203.0.113.1")])

    assert "the firewall: 203.0.113.1/32" == never_block.reason_for_text("203.0.113.1")


def test_adding_what_is_known_leaves_the_list_as_it_is() -> None:
    """Whoever judged by the list sees whether it has grown."""
    never_block = NeverBlock({"NEVER_BLOCK": OPERATOR})
    before = never_block.networks

    never_block.add("NEVER_BLOCK", OPERATOR)
    assert before is never_block.networks

    never_block.add("NEVER_BLOCK", [ip_network("203.0.113.1")])
    assert len(before) + 1 == len(never_block.networks)


def networks() -> st.SearchStrategy[Network]:
    """Return networks of every size and both versions, and those that carry IPv4."""
    near = st.sampled_from([*ALWAYS, *map(str, OPERATOR)]).map(ip_network)
    inside = st.builds(_address_in, near, st.integers(min_value=0))
    anywhere = st.ip_addresses()
    carrier = st.sampled_from(CARRIERS).map(IPv6Address)
    carried = st.builds(_carried, carrier, st.ip_addresses(v=4) | inside)
    address = inside | anywhere | carried
    return st.builds(_around, address, st.integers(0, 128))


def _address_in(network: Network, offset: int) -> IPv4Address | IPv6Address:
    return network.network_address + offset % min(network.num_addresses, 2**64)


def _carried(carrier: IPv6Address, address: IPv4Address | IPv6Address) -> IPv6Address:
    return IPv6Address(int(carrier) + (int(address) & 0xFFFF_FFFF))


def _around(address: IPv4Address | IPv6Address, length: int) -> Network:
    return (
        ip_network((int(address), length % (address.max_prefixlen + 1)), strict=False)
        if (isinstance(address, IPv4Address))
        else IPv6Network((int(address), length), strict=False)
    )


def reaches(target: Network) -> set[Network]:
    """Return what a target stands for, worked out address by address at its edges.

    An independent reading of RFC 4291 and RFC 6052: bits 0..95 say whether IPv4 is carried.
    """
    found: set[Network] = {target}
    if isinstance(target, IPv4Network):
        return found
    for carrier in CARRIERS:
        base = int(IPv6Address(carrier))
        low = max(int(target.network_address), base)
        high = min(int(target.broadcast_address), base + 2**32 - 1)
        if low <= high:
            first, last = IPv4Address(low - base), IPv4Address(high - base)
            span = (int(first) ^ int(last)).bit_length()
            found.add(IPv4Network((int(first), 32 - span), strict=False))
    return found


@settings(max_examples=3000, deadline=None)
@given(networks())
def test_no_hostile_target_gets_onto_a_listed_network(target: Network) -> None:
    """Whatever an attacker makes us decide on, a target that touches the list is refused."""
    listed = [*map(ip_network, ALWAYS), *OPERATOR]
    touched = [
        network
        for stands_for in reaches(target)
        for network in listed
        if stands_for.version == network.version and stands_for.overlaps(network)
    ]

    assert bool(touched) == (LISTED.reason(parse_target(str(target))) is not None)


@given(st.sampled_from([*ALWAYS, *map(str, OPERATOR)]), st.integers(min_value=0))
def test_no_address_of_a_listed_network_may_be_blocked(network: str, offset: int) -> None:
    """Wherever in the network it lies, and as text in either case."""
    address = _address_in(ip_network(network), offset)

    assert LISTED.reason(ip_address(address)) is not None
    assert LISTED.reason_for_text(str(address).upper()) is not None
