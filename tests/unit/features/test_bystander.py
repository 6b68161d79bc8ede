"""Innocent neighbours speak against the block of a whole network."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from ai_suricata.features.bystander import Bystanders
from ai_suricata.features.extract import Extractor
from fakes import eve


def seen(*addresses: str, **of_flow: object) -> Bystanders:
    """Return the neighbours after a flow of each address."""
    extractor = Extractor(eve.settings().features)
    for address in addresses:
        extractor.observe([eve.event(eve.flow(address, **of_flow))])  # type: ignore[arg-type]
    return Bystanders(extractor.table, 0.5)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:0:1::9", "2001:db8:0:1::/64"),
        ("2001:db8::2:0:0:9", "2001:db8::/64"),
        ("2a00::9", "2a00::/64"),
    ],
)
def test_who_completed_a_handshake_and_does_no_harm_is_named(address: str, network: str) -> None:
    """However the address is written; and in its own network alone."""
    bystanders = seen(address, "198.51.100.7", "2001:db8:0:ffff::1")

    assert address == bystanders(ip_network(network))
    assert bystanders(ip_network("192.0.2.0/24")) is None
    assert bystanders(ip_network("2001:db8:7::/64")) is None


def test_who_scores_high_is_no_bystander() -> None:
    """An offender that is not blocked yet."""
    bystanders = seen("203.0.113.9")
    bystanders._table.columns.score[:] = 0.5

    assert bystanders(ip_network("203.0.113.0/24")) is None


def test_who_completed_no_handshake_may_be_forged() -> None:
    """Somebody writes addresses of a network into packets to keep it from being blocked."""
    bystanders = seen("203.0.113.9", tcp=("02", "00", "syn_sent"), received=(0, 0))

    assert bystanders(ip_network("203.0.113.0/24")) is None
