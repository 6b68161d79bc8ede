"""The name server answers what it is asked, and is silent to what it can't read."""

from __future__ import annotations

import asyncio
import random
import struct

import pytest
from lab import dns

RNG = random.Random(1)  # noqa: S311 - varies a test, hides nothing
RCODE = 0x000F


def counts(reply: bytes) -> tuple[int, int]:
    """Return the reply code and the number of answers."""
    _, flags, _, answers, *_ = struct.unpack_from("!HHHHHH", reply)
    return flags & RCODE, answers


@pytest.mark.parametrize("kind", [dns.A, dns.AAAA, dns.MX, dns.TXT])
def test_known_name_has_an_answer(kind: int) -> None:
    """Each record type gets one record, under the question's own identity."""
    query = dns.question(RNG, "www.example.org", kind)
    reply = dns.answer(query)

    assert (0, 1) == counts(reply)
    assert query[:2] == reply[:2]


@pytest.mark.parametrize("name", ["missing.example.org", "www.example.invalid"])
def test_unknown_name_is_denied(name: str) -> None:
    """The reply code is 3 (no such name), with no answer."""
    assert (3, 0) == counts(dns.answer(dns.question(RNG, name, dns.A)))


async def test_broken_packet_is_ignored() -> None:
    """The server stays silent to rubbish, and answers the next question all the same."""
    errors: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        dns.Responder, local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    rubbish, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port)
    )
    try:
        rubbish.sendto(b"\xff" * 20)
        query = dns.question(RNG, "www.example.org", dns.A)
        reply = await dns.ask("127.0.0.1", "127.0.0.1", query, port=port)
    finally:
        rubbish.close()
        transport.close()

    assert (0, 1) == counts(reply)
    assert [] == errors
