"""FreeBSD's ifconfig, read line by line."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from ai_suricata.firewall import ifconfig
from ai_suricata.firewall.ifconfig import Held

HEAD = "em0.20: flags=1008943<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500\n"
V4 = ip_address("192.0.2.1")
V6 = ip_address("2001:db8::1")
V4_NETWORK = ip_network("192.0.2.0/24")


@pytest.mark.parametrize(
    ("line", "held"),
    [
        (
            "inet 192.0.2.1 netmask 0xffffff00 broadcast 192.0.2.255",
            Held(V4, V4_NETWORK, ip_address("192.0.2.255")),
        ),
        (
            "inet 192.0.2.1 netmask 0xffffff00 broadcast 192.0.2.255 vhid 12",
            Held(V4, V4_NETWORK, ip_address("192.0.2.255")),
        ),
        ("inet 192.0.2.1/24", Held(V4, V4_NETWORK)),
        ("inet 192.0.2.1 netmask 255.255.255.0", Held(V4, V4_NETWORK)),
        (
            "inet 192.0.2.1 --> 192.0.2.9 netmask 0xffffffff",
            Held(V4, ip_network("192.0.2.1/32"), peer=ip_address("192.0.2.9")),
        ),
        ("inet6 2001:db8::1 prefixlen 64 vhid 2", Held(V6, ip_network("2001:db8::/64"))),
        (
            "inet6 2001:db8::1 prefixlen 64 deprecated autoconf",
            Held(V6, ip_network("2001:db8::/64")),
        ),
        (
            "inet6 fe80::1%em0.20 prefixlen 64 scopeid 0x4",
            Held(ip_address("fe80::1"), ip_network("fe80::/64")),
        ),
        (
            "inet6 fe80::1%gif0 --> fe80::2%gif0 prefixlen 128 scopeid 0x9",
            Held(ip_address("fe80::1"), ip_network("fe80::1/128"), peer=ip_address("fe80::2")),
        ),
        ("tunnel inet 192.0.2.1 --> 192.0.2.9", Held(V4, peer=ip_address("192.0.2.9"))),
    ],
)
def test_an_address_is_read_with_what_stands_beside_it(line: str, held: Held) -> None:
    """Aliases, CARP, VLAN, point-to-point, tunnels; zones are dropped."""
    read = ifconfig.read(f"{HEAD}\t{line}\n")

    assert [("em0.20", [held])] == [(one.name, one.held) for one in read.found]
    assert 0 == read.unread


@pytest.mark.parametrize(
    ("line", "held"),
    [
        ("inet 192.0.2.1 netmask 0xff00ff00", [Held(V4)]),
        ("inet6 2001:db8::1 prefixlen 129", [Held(V6)]),
        ("inet 192.0.2.1 --> x netmask 0xffffff00", [Held(V4, V4_NETWORK)]),
        ("inet 192.0.2.999 netmask 0xffffff00", []),
        ("inet", []),
    ],
)
def test_what_cannot_be_read_is_counted_and_the_rest_is_kept(line: str, held: list[Held]) -> None:
    """An address whose mask is odd is protected all the same."""
    read = ifconfig.read(f"{HEAD}\t{line}\n")

    assert (held, 1) == (read.found[0].held, read.unread)


def test_other_lines_are_passed_over() -> None:
    """Options, media, groups, CARP's own lines, and addresses of no interface."""
    text = (
        "\tinet 192.0.2.1 netmask 0xffffff00\n"
        f"{HEAD}"
        "\toptions=4e104bb<RXCSUM,TXCSUM>\n"
        "\tether 00:00:5e:00:53:01\n"
        "\tcarp: MASTER vhid 1 advbase 1 advskew 0\n"
        "\t      peer 224.0.0.18 peer6 ff02::12\n"
        "\tvlan: 20 vlanproto: 802.1q vlanpcp: 0 parent interface: em0\n"
        "\tnd6 options=21<PERFORMNUD,AUTO_LINKLOCAL>\n"
    )
    read = ifconfig.read(text)

    assert [("em0.20", [])] == [(one.name, one.held) for one in read.found]
    assert 0 == read.unread
