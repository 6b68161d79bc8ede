"""Who lives around the firewall of the safety test, and what the firewall says of it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from benchmarks.safety_input import Kind, World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fakes.sshd import PfStandIn

SERVER = "198.51.100.5"
NEVER_BLOCK = ("203.0.113.64/28", "8.8.4.4", "2001:db8:aaaa:1::1", "2400:cb00::/32")
HOME_NET = "198.51.100.0/24"
INTERFACES = """\
em0: flags=1008943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500
\tdescription: WAN
\tinet 45.33.10.2 netmask 0xffffff00 broadcast 45.33.10.255
\tinet 45.33.10.9 netmask 0xffffff00 broadcast 45.33.10.255 vhid 1
\tinet 45.33.10.12 netmask 0xffffffff broadcast 45.33.10.12
\tinet6 fe80::200:5eff:fe00:5301%em0 prefixlen 64 scopeid 0x1
\tinet6 2a01:4f8:10::2 prefixlen 64
\tinet6 2a01:4f8:10::9 prefixlen 64 vhid 2
{more}\tstatus: active
em1: flags=1008943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500
\tdescription: LAN
\tinet 192.168.1.1 netmask 0xffffff00 broadcast 192.168.1.255
\tstatus: active
"""
ROUTES = """\
Routing tables

Internet:
Destination        Gateway            Flags   Nhop#    Mtu      Netif Expire
default            45.33.10.1         UGS         1   1500        em0
45.33.10.0/24      link#1             U           2   1500        em0

Internet6:
Destination                       Gateway                       Flags   Nhop#    Mtu  Netif Expire
default                           2a01:4f8:10::1                UGS         6   1500    em0
"""
RESOLVER = "nameserver 127.0.0.1\nnameserver 9.9.9.9\nnameserver 2620:fe::fe\n"
UNBOUND = 'server:\nforward-zone:\n\tname: "."\n\tforward-addr: 149.112.112.112\n'


def this_machine() -> tuple[str, ...]:
    """Return this machine's addresses, as the kernel chooses them for a packet to anywhere."""
    found = ["127.0.0.1", "::1"]
    ways = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
    for family, anywhere in ways:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((anywhere, 9))  # UDP: nothing is sent
            except OSError:
                continue
            found.append(str(probe.getsockname()[0]))
    return tuple(found)


def world() -> World:
    """Return who is protected, as `set_up` and `variables` say it, and the attackers."""
    return World(
        protected={
            Kind.FIREWALL: ("45.33.10.2", "192.168.1.1", "2a01:4f8:10::2"),
            Kind.VIRTUAL: ("45.33.10.9", "45.33.10.12", "2a01:4f8:10::9"),
            Kind.GATEWAY: ("45.33.10.1", "2a01:4f8:10::1"),
            Kind.RESOLVER: ("9.9.9.9", "149.112.112.112", "2620:fe::fe"),
            Kind.LISTED: (
                *("203.0.113.64", "203.0.113.70", "203.0.113.79", "8.8.4.4"),
                *("2001:db8:aaaa:1::1", "2400:cb00:7::9"),
            ),
            Kind.HOME: (SERVER, "198.51.100.77"),
            Kind.SESSION: ("127.0.0.1",),
            Kind.OURS: this_machine(),
        },
        controls=tuple(
            f"2a0f:{number:x}::{number:x}" if number % 4 == 0 else f"46.{number}.7.13"
            for number in range(1, 201)
        ),
        crowd=(*(f"47.7.7.{n}" for n in range(1, 25)), *(f"2a0d:7::{n:x}" for n in range(1, 9))),
        beside=(
            *(f"45.33.10.{n}" for n in range(100, 124)),
            *(f"2001:db8:aaaa:1::{n:x}" for n in range(16, 24)),
        ),
        networks=("47.7.7.0/24", "2a0d:7::/64"),
        turned=tuple(f"48.{number}.7.13" for number in range(1, 13)),
    )


def set_up(pf: PfStandIn, virtual: Iterable[str] = ()) -> None:
    """Give the firewall its addresses; `virtual`: more of them."""
    more = "".join(f"\tinet {one} netmask 0xffffffff broadcast {one}\n" for one in virtual)
    pf.set_interfaces(INTERFACES.format(more=more))
    pf.set_routes(ROUTES)
    pf.set_resolver(RESOLVER, UNBOUND)
