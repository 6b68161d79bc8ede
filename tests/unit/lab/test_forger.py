"""Forged SYN packets: right in every byte that a receiver checks."""

from __future__ import annotations

import random
import socket
import struct
from collections import Counter

from lab import forger

RNG = random.Random(1)  # noqa: S311 - varies a test, hides nothing
SOURCE, TARGET = "198.19.4.5", "192.0.2.10"


def test_checksum_of_the_rfc() -> None:
    """The example of RFC 1071, section 3: the sum is ddf2, and the checksum its complement."""
    assert 0xFFFF ^ 0xDDF2 == forger.checksum(bytes.fromhex("0001f203f4f5f6f7"))


def test_packet_is_a_bare_syn_of_the_forged_source() -> None:
    """Addresses, port and flags are those asked for; the length is that of the packet."""
    packet = forger.syn(RNG, SOURCE, TARGET, 80)
    source, target = packet[12:16], packet[16:20]
    _, port, _, acknowledged, _, flags = struct.unpack_from("!HHIIBB", packet, 20)

    assert (SOURCE, TARGET) == (socket.inet_ntoa(source), socket.inet_ntoa(target))
    assert (80, 0, 0x02) == (port, acknowledged, flags)
    assert len(packet) == struct.unpack_from("!H", packet, 2)[0]


def test_both_checksums_hold() -> None:
    """A receiver sums header, and pseudo-header and segment, to zero (RFC 791, RFC 9293)."""
    packet = forger.syn(RNG, SOURCE, TARGET, 80)
    header, segment = packet[:20], packet[20:]
    pseudo = header[12:20] + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(segment))

    assert 0 == forger.checksum(header)
    assert 0 == forger.checksum(pseudo + segment)


def test_each_source_sends_a_few_packets() -> None:
    """One to three packets bear each forged source, all of them shuffled together."""
    sources = [f"198.19.9.{n}" for n in range(50)]
    sent = forger.packets(forger.FloodPlan(sources, TARGET, 80, 1.0, 3))
    counts = Counter(socket.inet_ntoa(packet[12:16]) for packet in sent)

    assert set(sources) == set(counts)
    assert {1, 2, 3} == set(counts.values())


def test_datagram_is_whole() -> None:
    """A forged datagram has the right lengths in both headers, and a header that sums to zero."""
    packet = forger.datagram(RNG, SOURCE, TARGET, 53)
    _, port, length, _ = struct.unpack_from("!HHHH", packet, 20)

    assert (53, len(packet) - 20) == (port, length)
    assert len(packet) == struct.unpack_from("!H", packet, 2)[0]
    assert (socket.IPPROTO_UDP, 0) == (packet[9], forger.checksum(packet[:20]))


def test_flood_of_datagrams_has_no_syn() -> None:
    """A plan for UDP makes nothing else."""
    sent = forger.packets(forger.FloodPlan([SOURCE], TARGET, 53, 1.0, 3, udp=True))

    assert {socket.IPPROTO_UDP} == {packet[9] for packet in sent}
