"""Says by plain numbers whom a firewall must never block; knows nothing of the code that it judges.

A prefix is (bits of the family, value of its leading bits, how many of them). Two prefixes have an
address in common where the shorter one is the beginning of the longer one. Texts are read by the
C library (inet_pton(3)), which takes one spelling of IPv4 and those of RFC 4291 of IPv6.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

IPV4, IPV6 = 32, 128

BUILT_IN = {
    "this network": "0.0.0.0/8",
    "private 10/8": "10.0.0.0/8",
    "shared by carriers": "100.64.0.0/10",
    "loopback": "127.0.0.0/8",
    "link-local": "169.254.0.0/16",
    "private 172.16/12": "172.16.0.0/12",
    "private 192.168/16": "192.168.0.0/16",
    "multicast": "224.0.0.0/4",
    "reserved and broadcast": "240.0.0.0/4",
    "unspecified": "::/128",
    "loopback of IPv6": "::1/128",
    "unique local": "fc00::/7",
    "link-local of IPv6": "fe80::/10",
    "multicast of IPv6": "ff00::/8",
}
"""RFC 1122, 1918, 6598, 3927, 5771, 1112, 4291, 4193: written down here once more, on purpose."""


class Prefix(NamedTuple):
    """An address or a network."""

    bits: int
    """Of the whole address: 32 or 128."""
    value: int
    """Of the leading bits."""
    length: int
    """How many bits lead."""

    def touches(self, other: Prefix) -> bool:
        """Whether the two have an address in common."""
        shorter = min(self.length, other.length)
        mine, theirs = (
            self.value >> (self.length - shorter),
            other.value >> (other.length - shorter),
        )
        return self.bits == other.bits and mine == theirs

    def holds(self, other: Prefix) -> bool:
        """Whether all of the other lies in this one."""
        return self.length <= other.length and self.touches(other)


def read(text: str) -> Prefix | None:
    """Read an address or a network as the kernel would; None where it is neither."""
    address, slash, length = text.partition("/")
    family, bits = (socket.AF_INET6, IPV6) if ":" in address else (socket.AF_INET, IPV4)
    try:
        number = int.from_bytes(socket.inet_pton(family, address), "big")
    except (OSError, ValueError):  # no address; a NUL in the text
        return None
    if not slash:
        return Prefix(bits, number, bits)
    if not (length.isascii() and length.isdigit()) or int(length[:4]) > bits:
        return None
    return Prefix(bits, number >> (bits - int(length)), int(length))


def meaning(text: str) -> Prefix | None:
    """Return what people mean by a text: a zone says nothing, a mapped address is its IPv4 one."""
    prefix = read(text.strip().partition("%")[0])
    if prefix is not None and _MAPPED.holds(prefix):
        return Prefix(IPV4, prefix.value & (1 << prefix.length - 96) - 1, prefix.length - 96)
    return prefix


def _known(text: str) -> Prefix:
    prefix = read(text)
    if prefix is None:
        raise ValueError(f"{text!r} is no prefix")
    return prefix


_MAPPED = _known("::ffff:0:0/96")
_CARRIERS = (
    (_MAPPED, 96, 0),  # IPv4-mapped (RFC 4291)
    (_known("::/96"), 96, 0),  # IPv4-compatible (RFC 4291)
    (_known("::ffff:0:0:0/96"), 96, 0),  # IPv4-translated (RFC 2765)
    (_known("64:ff9b::/96"), 96, 0),  # NAT64 (RFC 6052)
    (_known("64:ff9b:1::/48"), 96, 0),  # NAT64 of one's own (RFC 8215)
    (_known("2002::/16"), 16, 0),  # 6to4 (RFC 3056)
    (_known("2001::/32"), 96, 0xFFFF_FFFF),  # Teredo: the client, bits turned round (RFC 4380)
)
"""Networks whose addresses hold an IPv4 one: from which bit on, and what inverts it."""


def carried(prefix: Prefix) -> list[Prefix]:
    """Return what of IPv4 an IPv6 prefix stands for, in whole or in part."""
    found: list[Prefix] = []
    for carrier, start, turned in _CARRIERS:
        if not prefix.touches(carrier):
            continue
        known = max(0, min(prefix.length - start, IPV4))
        value = prefix.value >> max(0, prefix.length - start - IPV4) if known else 0
        mask = (1 << known) - 1
        found.append(Prefix(IPV4, (value & mask) ^ (turned >> (IPV4 - known)), known))
    return found


class Oracle:
    """The prefixes that must not be touched, by what they are."""

    def __init__(self) -> None:
        """Know what is built in."""
        self._protected = [(_known(text), name, 0.0) for name, text in BUILT_IN.items()]

    def protect(self, name: str, *texts: str, since: float = 0.0) -> None:
        """Take more in; ValueError where a text is no prefix. `since`: wall-clock seconds."""
        self._protected += [(_known(text), name, since) for text in texts]

    def judge(self, text: str, at: float) -> str | None:
        """Say why a word must not be in a table then, or None where it may be.

        `at`: wall-clock seconds.
        """
        prefix = read(text)
        if prefix is None:
            return "no address at all"
        for one in (prefix, *carried(prefix)):
            for protected, name, since in self._protected:
                if since <= at and one.touches(protected):
                    return name
        return None
