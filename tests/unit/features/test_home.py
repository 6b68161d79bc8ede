"""Who is at home."""

from __future__ import annotations

import pytest

from ai_suricata.features.extract import Extractor
from fakes import eve


@pytest.mark.parametrize(
    ("address", "home"),
    [
        ("10.255.0.1", True),
        ("172.31.255.255", True),
        ("172.32.0.0", False),
        ("192.168.0.1", True),
        ("::ffff:192.168.0.1", True),
        ("fd00::1", True),
        ("fe80::1", False),
        ("2001:db8::1", False),
        ("203.0.113.9", False),
    ],
)
def test_home_is_private_by_default(address: str, *, home: bool) -> None:
    """RFC 1918 and RFC 4193, in any spelling."""
    party = Extractor(eve.settings().features).home.party(address)

    assert party is not None
    assert home == party.home


def test_the_addresses_of_this_machine_are_at_home_too() -> None:
    """They may be public."""
    own = eve.settings(HOME_NET="203.0.113.9").features.home_net
    found = Extractor(eve.settings().features, own).home

    assert [True, False] == [
        party.home for party in (found.party("203.0.113.9"), found.party("203.0.113.8")) if party
    ]


@pytest.mark.parametrize("address", ["224.0.0.1", "ff02::1", "255.255.255.255", "0.0.0.0", "::"])
def test_groups_are_nobody_who_could_answer(address: str) -> None:
    """Multicast, broadcast and unspecified."""
    party = Extractor(eve.settings().features).home.party(address)

    assert party is not None
    assert party.group
