"""Addresses have one spelling each."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from ai_suricata.core.address import parse_address, parse_network, parse_target


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:201", "192.0.2.1"),
        ("0000:0000:0000:0000:0000:ffff:c000:0201", "192.0.2.1"),
        ("::FFFF:192.0.2.1%eth0", "192.0.2.1"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:0DB8:0000:0000:0000:0000:0000:000A", "2001:db8::a"),
        ("0000:0000:0000:0000:0000:0000:0000:0001", "::1"),
        ("fe80::1%em0", "fe80::1"),
        ("FE80:0000:0000:0000:0000:0000:0000:0001%igb1.20", "fe80::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80:0000:0000:0000:0000:0000:0000:0001%2", "fe80::1"),
    ],
)
def test_every_spelling_of_an_address_is_one(text: str, expected: str) -> None:
    """Mapped, written out, upper case and with a zone: all are the same address."""
    assert expected == str(parse_address(text))


@pytest.mark.parametrize(
    "text",
    [
        *("", "host", "192.0.2", "192.0.2.256", "192.0.2.01", "::g", "1%", "%em0", "3221225985"),
        *("\x00", "192.0.2.1\x00", "\u0661.0.0.1", "\ufffd", "1" * 5000, "null", "192.0.2.1:80"),
    ],
)
def test_what_is_no_address_raises_value_error(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=r".*"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.77/24", "192.0.2.0/24"),
        ("192.0.2.77", "192.0.2.77/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:192.0.2.9", "192.0.2.9/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ],
)
def test_a_network_has_one_spelling_too(text: str, expected: str) -> None:
    """Host bits are dropped, and mapped networks are IPv4 networks."""
    assert ip_network(expected) == parse_network(text)


def test_a_prefix_length_tells_a_network_from_an_address() -> None:
    """A firewall table holds both."""
    assert ip_address("192.0.2.1") == parse_target("192.0.2.1")
    assert ip_network("192.0.2.0/31") == parse_target("192.0.2.1/31")
    with pytest.raises(ValueError, match="nonsense"):
        parse_target("nonsense/8")
