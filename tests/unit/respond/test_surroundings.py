"""The addresses that this machine lives by, out of Linux's own files."""

from __future__ import annotations

import socket
import struct
import sys
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from ai_suricata.respond.surroundings import addresses_of, gateways, name_servers, own_addresses

if TYPE_CHECKING:
    from pathlib import Path

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     |-- 203.0.113.20
        /32 host LOCAL
     |-- 203.0.113.255
        /32 link BROADCAST
"""
IF_INET6 = """\
20010db8000000000000000000000020 02 40 00 80     eth0
fe80000000000000021122fffe334455 02 40 20 80     eth0
"""
IPV6_ROUTE = (
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "20010db8000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"
    "20010db8000000000000000000000000 40 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root folder with the files of a machine."""
    proc = tmp_path / "proc/net"
    proc.mkdir(parents=True)
    (proc / "fib_trie").write_text(FIB_TRIE)
    (proc / "if_inet6").write_text(IF_INET6)
    gateway = int.from_bytes(ip_address("203.0.113.1").packed, sys.byteorder)
    (proc / "route").write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        f"eth0\t00000000\t{gateway:08X}\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t007100CB\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    (proc / "ipv6_route").write_text(IPV6_ROUTE)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text(
        "# nameserver 192.0.2.99\n"
        "search example.net\n"
        "nameserver 192.0.2.53\n"
        "nameserver fe80::53%eth0\n"
        "nameserver\n"
    )
    return tmp_path


def test_own_addresses_are_those_of_the_interfaces(root: Path) -> None:
    """Both versions; a broadcast address is nobody's own."""
    expected = ("127.0.0.1", "203.0.113.20", "2001:db8::20", "fe80::211:22ff:fe33:4455")

    assert tuple(map(ip_network, expected)) == own_addresses(root)


def test_gateways_are_the_routers_of_the_routing_tables(root: Path) -> None:
    """Routes to the own link have none."""
    assert (ip_network("203.0.113.1"), ip_network("2001:db8::1")) == gateways(root)


def test_name_servers_are_those_of_resolv_conf(root: Path) -> None:
    """Comments are none, a zone is dropped, and a line without an address is passed over."""
    assert (ip_network("192.0.2.53"), ip_network("fe80::53")) == name_servers(root)


def test_a_name_server_that_is_no_address_is_passed_over(root: Path) -> None:
    """One odd line does not keep the daemon from starting."""
    (root / "etc/resolv.conf").write_text("nameserver dns.example\nnameserver 192.0.2.53\n")

    assert (ip_network("192.0.2.53"),) == name_servers(root)


def test_a_machine_without_these_files_has_no_addresses_here(tmp_path: Path) -> None:
    """Elsewhere than on Linux, the operator's list protects."""
    assert () == own_addresses(tmp_path)
    assert () == gateways(tmp_path)
    assert () == name_servers(tmp_path)


def test_this_machines_own_loopback_is_found() -> None:
    """The real /proc, as this kernel writes it."""
    assert ip_network("127.0.0.1") in own_addresses()


def test_this_machines_gateway_is_that_of_its_default_route() -> None:
    """Against the kernel's own table, read another way."""
    with open("/proc/net/route", encoding="ascii") as table:  # noqa: PTH123 (as the kernel's file)
        rows = [line.split() for line in table.readlines()[1:]]
    words = {row[2] for row in rows if row[2] != "00000000"}
    expected = {socket.inet_ntoa(struct.pack("=I", int(word, 16))) for word in words}

    assert expected == {str(n.network_address) for n in gateways() if n.version == 4}


def test_a_host_has_the_addresses_of_its_name() -> None:
    """An address is its own; a name that nobody knows has none."""
    assert (ip_network("192.0.2.1"),) == addresses_of("192.0.2.1")
    assert ip_network("127.0.0.1") in addresses_of("localhost")
    assert () == addresses_of("no-such-host.invalid")
