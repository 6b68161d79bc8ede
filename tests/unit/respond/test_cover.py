"""Which network holds an address."""

from __future__ import annotations

import pytest

from ai_suricata.respond.cover import Cover


@pytest.fixture
def cover() -> Cover:
    """Return networks of three lengths."""
    cover = Cover()
    for text in ("203.0.113.0/24", "203.0.0.0/16", "2001:db8:1::/64"):
        cover.add(text)
    return cover


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7", {"203.0.113.0/24", "203.0.0.0/16"}),
        ("203.0.1.7", {"203.0.0.0/16"}),
        ("203.0.113.0/24", {"203.0.113.0/24", "203.0.0.0/16"}),
        ("203.0.112.0/23", {"203.0.0.0/16"}),
        ("203.0.0.0/8", set()),
        ("2001:db8:1::5", {"2001:db8:1::/64"}),
        ("2001:db8:2::5", set()),
        ("198.51.100.1", set()),
    ],
)
def test_what_lies_in_a_network_is_held_by_it(cover: Cover, text: str, expected: set[str]) -> None:
    """Addresses and networks; a network is held by itself."""
    assert expected == set(cover.holding(text))


def test_what_was_let_go_of_holds_nothing(cover: Cover) -> None:
    """Also where it was taken in twice, or let go of twice."""
    cover.add("203.0.113.0/24")
    for _ in range(2):
        cover.discard("203.0.113.0/24")

    assert {"203.0.0.0/16"} == set(cover.holding("203.0.113.7"))
