"""Every role of the cast knows what to do, and when."""

from __future__ import annotations

import pytest
from lab import scenario, swarm
from lab.client import ONCE, act_of
from lab.label import Role

ROLES = (*scenario.CLIENT_ROLES, *scenario.HOME_ROLES, *scenario.SWARM_ROLES)


def test_every_actor_without_a_tool_has_an_act() -> None:
    """No role of clients, home hosts or swarms is left without something to do."""
    for actor in scenario.cast(1).actors:
        if actor.role in ROLES:
            act, rounds = act_of(actor.role, actor.campaign)
            assert callable(act)
            assert rounds if isinstance(rounds, float) else rounds[0] >= 1


@pytest.mark.parametrize(
    ("campaign", "act"),
    [
        ("form-a-7", swarm.stuff_form),
        ("imap-7", swarm.stuff_imap),
        ("ssh-7", swarm.stuff_ssh),
    ],
)
def test_campaign_decides_what_is_stuffed(campaign: str, act: object) -> None:
    """The sources of one campaign try their passwords on the same service, once each."""
    assert (act, ONCE) == act_of(Role.CREDENTIAL_STUFFING, campaign)
