"""Datagram services answer what has their shape, and nothing else."""

from __future__ import annotations

import pytest
from lab import datagram

HANDSHAKE = b"\x01\0\0\0" + bytes(range(144))


def test_wireguard_handshake_is_answered() -> None:
    """An initiation of 148 bytes gets a response of 92."""
    reply = datagram.answer(datagram.WIREGUARD, HANDSHAKE)

    assert (92, b"\x02\0\0\0") == (len(reply), reply[:4])


def test_time_is_told() -> None:
    """A client's NTP packet gets one of a server, with the client's time as its origin."""
    request = b"\x23" + bytes(39) + b"sent now"
    reply = datagram.answer(datagram.NTP, request)

    assert (48, 4, b"sent now") == (len(reply), reply[0] & 7, reply[40:])


@pytest.mark.parametrize("port", datagram.PORTS)
@pytest.mark.parametrize("probe", [b"", b"\xff", b"M-SEARCH * HTTP/1.1\r\n"])
def test_probe_finds_nobody(port: int, probe: bytes) -> None:
    """Whoever asks in another protocol gets no answer."""
    assert b"" == datagram.answer(port, probe)
