"""Addresses: one spelling for each, and what is never a stranger.

An IPv4-mapped IPv6 address is its IPv4 address (otherwise `::ffff:192.0.2.1` slips past the
block of 192.0.2.1), a zone id is dropped, and Suricata's written-out IPv6 is compressed.
"""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Target = Address | Network
"""What a firewall table can hold."""


def parse_address(text: str) -> Address:
    """Return the address in its canonical form; raises ValueError where `text` is none."""
    address = ip_address(text.partition("%")[0].strip())
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> Network:
    """Return the network; an address is one of a single host. ValueError where `text` is none."""
    if "/" not in text:
        return ip_network(parse_address(text))
    network = ip_network(text.strip(), strict=False)
    mapped = network.network_address
    if isinstance(mapped, IPv6Address) and mapped.ipv4_mapped is not None:
        bits = network.prefixlen - 96
        if bits >= 0:
            return IPv4Network((mapped.ipv4_mapped, bits))
    return network


def parse_target(text: str) -> Target:
    """Return an address, or a network where `text` has a prefix length; else ValueError."""
    return parse_network(text) if "/" in text else parse_address(text)
