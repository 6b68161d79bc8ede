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
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_suricata.core.address import parse_target
from ai_suricata.respond.never_block import ALWAYS, NeverBlock

if TYPE_CHECKING:
    from ai_suricata.core.address import Network

OPERATOR = (ip_network("198.51.100.64/28"), ip_network("2001:db8:7::/48"))
LISTED = NeverBlock({"NEVER_BLOCK": OPERATOR})
CARRIERS = ("::ffff:0:0", "::", "64:ff9b::", "64:ff9b:1::", "64:ff9b:1:7::")
"""IPv6 addresses whose last 32 bits are an IPv4 address."""
TUNNELS = ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
"""Where IPv6 addresses hold an IPv4 one in any place."""


def six_to_four(text: str, subnet: int = 0x7_0000_0000_0000_0001) -> IPv6Address:
    """Return an address of the 6to4 site behind an IPv4 address (RFC 3056)."""
    return IPv6Address((0x2002 << 112) + (int(IPv4Address(text)) << 80) + subnet)


def teredo(client: str, server: str = "192.0.2.45") -> IPv6Address:
    """Return the Teredo address of a client behind a NAT (RFC 4380)."""
    hidden = int(IPv4Address(client)) ^ 0xFFFF_FFFF
    flags_and_port = 0x8000_63BF << 32
    return IPv6Address(
        (0x2001_0000 << 96) + (int(IPv4Address(server)) << 64) + flags_and_port + hidden
    )


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


def test_the_addresses_of_these_tests_are_those_of_the_documents() -> None:
    """As the standard library reads them, and the example of RFC 4380, 5.1."""
    assert IPv4Address("198.51.100.65") == six_to_four("198.51.100.65").sixtofour
    expected = IPv4Address("192.0.2.45"), IPv4Address("198.51.100.65")
    assert expected == teredo("198.51.100.65").teredo


@pytest.mark.parametrize("network", [text for text in ALWAYS if ":" not in text])
def test_tunnels_of_listed_ipv4_addresses_are_refused(network: str) -> None:
    """6to4 and Teredo: who is at the other end has the IPv4 address."""
    for text in edges(network):
        assert NeverBlock({}).reason(six_to_four(text)) is not None
        assert NeverBlock({}).reason(teredo(text)) is not None


def test_tunnels_of_the_operators_list_are_refused() -> None:
    """A site's router and a client behind a NAT."""
    expected = "NEVER_BLOCK: 198.51.100.64/28"

    assert expected == LISTED.reason(six_to_four("198.51.100.65"))
    assert expected == LISTED.reason(teredo("198.51.100.65"))
    assert LISTED.reason(six_to_four("198.51.100.80")) is None
    assert LISTED.reason(teredo("198.51.100.80")) is None


@pytest.mark.parametrize("server", ["198.51.100.65", "10.0.0.1", "127.0.0.1"])
def test_a_teredo_client_is_not_judged_by_its_server(server: str) -> None:
    """It stands in the address too, and a client may choose any."""
    assert LISTED.reason(teredo("203.0.113.7", server)) is None


def test_the_retired_relays_of_6to4_may_be_blocked() -> None:
    """Nobody's clients are behind 192.88.99.0/24 any more (RFC 7526)."""
    assert LISTED.reason_for_text("192.88.99.1") is None
    assert LISTED.reason(six_to_four("192.88.99.1")) is None


@pytest.mark.parametrize(
    "text",
    ["255.255.255.255", "0.0.0.0", "::", "::ffff:10.0.0.1", "fe80::1%em0", "FE80::1%25"],
)
def test_odd_addresses_are_refused(text: str) -> None:
    """Broadcast, unspecified, a mapped private one, zone ids: as text and as an object."""
    assert LISTED.reason_for_text(text) is not None
    assert LISTED.reason(ip_address(text)) is not None


@pytest.mark.parametrize("text", ["", "nobody", "192.0.2.1/33", "192.0.2.1; pfctl -F all"])
def test_what_is_no_address_is_no_question(text: str) -> None:
    """Whoever asks has to have an address; the answer is never a silent yes."""
    with pytest.raises(ValueError, match=r".*"):
        LISTED.reason_for_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "8.0.0.0/5",
        "2002::/15",
        "2002:a00::/24",
        "2002:c633:6440::/44",
        "2001::/23",
        "2001:0:c000:22d::/64",
        "2001:0:c000:22d:8000:63bf:39cc:9b00/120",
        "64:ff9b:1::/64",
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
        "16.0.0.0/5",
        "2002:cb00:7107:1::/64",
        "2001:0:c000:22d:8000:63bf:34ff:8ef8",
        "2001:200::/23",
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


def test_a_list_without_one_of_its_sources_is_another_list() -> None:
    """What a firewall said last can be exchanged; the list that others hold stays as it was."""
    whole = NeverBlock({"NEVER_BLOCK": OPERATOR, "the firewall": [ip_network("203.0.113.1")]})
    rest = whole.without("the firewall", "loopback")

    assert rest.reason_for_text("203.0.113.1") is None
    assert "NEVER_BLOCK: 198.51.100.64/28" == rest.reason_for_text("198.51.100.65")
    assert "loopback: 127.0.0.0/8" == rest.reason_for_text("127.0.0.1")
    assert "the firewall: 203.0.113.1/32" == whole.reason_for_text("203.0.113.1")


def test_the_builtin_list_can_be_another() -> None:
    """For what must not be blocked whatever an operator says: there private addresses are not."""
    vital = NeverBlock({"own address": [ip_network("10.0.0.1")]}, always={})

    assert "own address: 10.0.0.1/32" == vital.reason_for_text("10.0.0.1")
    assert vital.reason_for_text("10.0.0.2") is None
    assert vital.without("own address").reason_for_text("10.0.0.1") is None


def test_of_a_network_inside_another_the_wider_one_is_told() -> None:
    """And of one that is listed twice, what was said first."""
    nested = NeverBlock(
        {
            "home network": [ip_network("203.0.113.0/24")],
            "the firewall": [ip_network("203.0.113.1"), ip_network("203.0.113.0/24")],
        }
    )

    assert "home network: 203.0.113.0/24" == nested.reason_for_text("203.0.113.1")
    assert "home network: 203.0.113.0/24" == nested.reason_for_text("203.0.113.255")
    assert nested.reason_for_text("203.0.114.0") is None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_long_list_answers_as_looking_at_each_network_would(data: st.DataObject) -> None:
    """Nested, adjacent and repeated networks included."""
    small = st.builds(lambda number, size: _ipv4(number << 20, 12 + size), _NUMBERS, _SIZES)
    listed = data.draw(st.lists(small, max_size=30))
    question = data.draw(small)
    never_block = NeverBlock({"NEVER_BLOCK": listed}, always={})

    expected = any(question.overlaps(network) for network in listed)
    assert expected == (never_block.reason(question) is not None)


_NUMBERS = st.integers(0, 63)
_SIZES = st.integers(-6, 0)


def _ipv4(number: int, length: int) -> IPv4Network:
    return IPv4Network((number, length), strict=False)


def test_the_length_of_the_list_costs_next_to_nothing() -> None:
    """The comparisons of a question grow with its logarithm: counted, since time is the machine's.

    A hundred times as many networks, and a question may look at seven more of them.
    """
    looks = {size: _looks(size) for size in (20, 2_000)}

    assert 0 < looks[20] <= looks[2_000] <= looks[20] + 8


def _looks(size: int) -> int:
    """Return the most places of the list that one question looks at."""

    class Counted(list[int]):
        looks = 0

        def __getitem__(self, at: Any) -> Any:  # noqa: ANN401 - as a list's
            Counted.looks += 1
            return super().__getitem__(at)

    networks = [ip_network(f"198.18.{n >> 8}.{n & 255}") for n in range(0, 2 * size, 2)]
    never_block = NeverBlock({"NEVER_BLOCK": networks})
    index = never_block._ipv4
    index._firsts, index._lasts = Counted(index._firsts), Counted(index._lasts)
    most = 0
    for network in networks:
        Counted.looks = 0
        assert never_block.reason(network) is not None
        most = max(most, Counted.looks)
    return most


def networks() -> st.SearchStrategy[Network]:
    """Return networks of every size and both versions, and those that carry IPv4."""
    near = st.sampled_from([*ALWAYS, *map(str, OPERATOR), *TUNNELS]).map(ip_network)
    inside = st.builds(_address_in, near, st.integers(min_value=0))
    anywhere = st.ip_addresses()
    carrier = st.sampled_from(CARRIERS).map(IPv6Address)
    carried = st.builds(_carried, carrier, st.ip_addresses(v=4) | inside)
    ipv4 = (st.ip_addresses(v=4) | inside.filter(_is_ipv4)).map(str)
    address = inside | anywhere | carried | ipv4.map(six_to_four) | ipv4.map(teredo)
    return st.builds(_around, address, st.integers(0, 128))


def _is_ipv4(address: IPv4Address | IPv6Address) -> bool:
    return isinstance(address, IPv4Address)


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

    An independent reading of RFC 4291, 6052, 8215, 3056 and 4380, the last two by the standard
    library: from the first to the last address of a target in a tunnel.
    """
    found: set[Network] = {target}
    if isinstance(target, IPv4Network):
        return found
    for tunnel in map(IPv6Network, TUNNELS):
        low = max(int(target.network_address), int(tunnel.network_address))
        high = min(int(target.broadcast_address), int(tunnel.broadcast_address))
        if low > high:
            continue
        first, last = sorted((_ipv4_in(IPv6Address(low)), _ipv4_in(IPv6Address(high))))
        turns = tunnel.prefixlen != 16 and high - low >= 2**32  # the last 32 bits run through
        span = 32 if turns else (int(first) ^ int(last)).bit_length()
        found.add(IPv4Network((int(first), 32 - span), strict=False))
    return found


def _ipv4_in(address: IPv6Address) -> IPv4Address:
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    return IPv4Address(int(address) & 0xFFFF_FFFF)


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
