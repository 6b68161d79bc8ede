"""Packets under other addresses: right checksums, the same contents."""

from __future__ import annotations

import dpkt
import pytest
from lab.compose import noise
from lab.compose.packet import (
    ICMP,
    MalformedError,
    checksum,
    pseudo_header,
    read,
    readdress,
    trim,
)

from fakes.take import browsing, dice

HERE, THERE = bytes((10, 0, 0, 1)), bytes((203, 0, 113, 9))
HERE_V6, THERE_V6 = bytes(15) + b"\1", bytes(15) + b"\2"


def assert_right(packet: bytes) -> None:
    """Check both checksums as a receiver does: over everything they come to nothing."""
    length = (packet[0] & 15) * 4
    assert 0 == checksum(packet[:length])
    segment = packet[length:]
    pseudo = b"" if packet[9] == ICMP else pseudo_header(packet, packet[9], len(segment))
    assert 0 == checksum(pseudo + segment)


def test_checksum_is_that_of_the_standard() -> None:
    """The example of RFC 1071, and an odd number of bytes, which is filled up."""
    assert 0xFFFF - 0xDDF2 == checksum(bytes.fromhex("0001f203f4f5f6f7"))
    assert checksum(b"\1\2\3\0") == checksum(b"\1\2\3")
    assert 0xFFFF == checksum(bytes(4))


def test_every_packet_keeps_its_contents_and_has_right_checksums() -> None:
    """Of whole connections: addresses, ports and checksums change, and nothing else."""
    for conversation in browsing().conversations:
        for segment in conversation.segments:
            packet = readdress(segment.data, (HERE, THERE), (5000, 8080))
            assert_right(packet)
            before, after = dpkt.ip.IP(segment.data), dpkt.ip.IP(packet)
            assert (HERE, THERE, 5000, 8080) == (
                after.src,
                after.dst,
                after.data.sport,
                after.data.dport,
            )
            assert before.data.data == after.data.data
            assert (before.data.seq, before.data.ack, before.data.flags, before.ttl) == (
                after.data.seq,
                after.data.ack,
                after.data.flags,
                after.ttl,
            )


def test_datagram_and_echo_have_right_checksums() -> None:
    """UDP with an odd payload, and ICMP, which has no pseudo header."""
    rng = dice()
    datagram = noise.datagram(rng, 5060, b"odd").segments[0].data
    echo = noise.echo(rng).segments[0].data

    assert_right(readdress(datagram, (HERE, THERE), (1, 2)))
    assert_right(readdress(echo, (HERE, THERE), (1, 2)))
    assert datagram[-3:] == readdress(datagram, (HERE, THERE), (1, 2))[-3:]


def test_udp_over_v6_has_a_right_checksum() -> None:
    """The pseudo header of IPv6 covers 16-byte addresses."""
    head = bytes.fromhex("6000000000091140") + THERE_V6 + HERE_V6
    bare = head + bytes.fromhex("0035003500090000") + b"x"
    packet = readdress(bare, (HERE_V6, THERE_V6), (53, 53))

    assert 0 == checksum(pseudo_header(packet, 17, 9) + packet[40:])
    assert (HERE_V6, THERE_V6) == (packet[8:24], packet[24:40])


def test_error_is_about_the_packet_under_its_new_addresses() -> None:
    """What an ICMP error quotes gets the ends the other way round."""
    asked = noise.datagram(dice(), 161, b"question").segments[0].data
    quoted = dpkt.icmp.ICMP(type=3, code=3, data=b"\0\0\0\0" + asked[:28])
    error = bytes(dpkt.ip.IP(src=THERE, dst=HERE, p=1, data=bytes(quoted)))
    error = error[:2] + len(error).to_bytes(2, "big") + error[4:]
    packet = readdress(error, (THERE_V4, HERE), (161, 4000))

    assert_right(packet)
    about = read(packet).about
    assert about is not None
    assert (HERE, THERE_V4, 4000, 161) == (
        about.source,
        about.target,
        about.source_port,
        about.target_port,
    )


THERE_V4 = bytes((198, 51, 100, 77))


def test_hops_shorten_the_life_of_a_packet() -> None:
    """A packet from far away has passed routers, but it has arrived."""
    packet = noise.echo(dice()).segments[0].data

    assert 64 - 9 == readdress(packet, (HERE, THERE), (0, 0), hops=9)[8]
    assert 1 == readdress(packet, (HERE, THERE), (0, 0), hops=99)[8]


def test_padding_of_the_link_goes() -> None:
    """Ethernet fills short frames up; that is no part of the packet."""
    packet = noise.echo(dice()).segments[0].data

    assert packet == trim(packet + bytes(6))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not-ip"),
        (b"\x00" * 40, "not-ip"),
        (bytes.fromhex("45000100") + bytes(30), "cut-off"),
        (bytes.fromhex("4500001c00002000ff06") + bytes(18), "fragment"),
        (bytes.fromhex("4500001c00000000ff84") + bytes(18), "other-protocol"),
        (bytes.fromhex("4500001c00000000ff01") + bytes(10) + b"\x05" + bytes(7), "cut-off"),
        (bytes.fromhex("4500001c00000000ff01") + bytes(10) + b"\x0d" + bytes(7), "other-icmp"),
    ],
)
def test_what_is_no_packet_to_place_is_refused(data: bytes, reason: str) -> None:
    """Each kind of malformed bytes has its reason, and none raises anything else."""
    with pytest.raises(MalformedError, match=reason):
        read(trim(data))
