"""Tools of training and of testing are apart, and a take is bounded."""

from __future__ import annotations

import pytest
from lab.label import Role
from lab.take import ADDRESS, TEST_TOOLS, Take, tools_for


@pytest.mark.parametrize("seed", range(0, 40, 2))
def test_even_seeds_have_no_tool_of_testing(seed: int) -> None:
    """What detection is judged on was never seen in training."""
    assert set() == tools_for(seed) & TEST_TOOLS


@pytest.mark.parametrize("seed", range(1, 41, 2))
def test_odd_seeds_have_all_tools(seed: int) -> None:
    """Tests see the tools of training and the two others."""
    assert tools_for(2) | {"medusa", "wapiti"} == tools_for(seed)


def test_command_has_address_and_end() -> None:
    """The address takes its place, and timeout(1) ends what goes on for too long."""
    take = Take(Role.WEB_SCANNER, "tool", ("tool", "-S", ADDRESS))

    assert ("timeout", "-k", "3", "12.5", "tool", "-S", "198.51.100.7") == take.words(
        "198.51.100.7", 12.5
    )
