"""What a person may block by hand, and how it is written."""

from __future__ import annotations

import pytest

from ai_suricata.respond.order import InvalidOrderError, objection, target_of
from ai_suricata.respond.protection import Protection


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.0/24 ", "203.0.113.0/24"),
        ("203.0.113.7/32", "203.0.113.7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8::/64", "2001:db8::/64"),
    ],
)
def test_a_target_has_one_form(text: str, expected: str) -> None:
    """The ledger's."""
    assert expected == str(target_of(text))


@pytest.mark.parametrize("text", ["8.8.0.0/8", "203.0.113.77/24", "2001:db8::7/64"])
def test_an_address_inside_its_network_is_asked_back(text: str) -> None:
    """Sixteen million addresses by a typo; both readings are named."""
    with pytest.raises(InvalidOrderError, match="has an address inside its network"):
        target_of(text)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("9.9.0.0/16", True), ("9.8.0.0/15", False), ("2001:4860::/32", True), ("2a00::/31", False)],
)
def test_a_wide_network_needs_force(text: str, *, allowed: bool) -> None:
    """Whoever means it can say so."""
    lists = Protection({})
    refused = objection(target_of(text), lists, force=False)

    assert allowed == (refused is None)
    assert objection(target_of(text), lists, force=True) is None
