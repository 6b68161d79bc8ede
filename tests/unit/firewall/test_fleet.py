"""Several firewalls are asked side by side, and none holds up the others."""

from __future__ import annotations

from ai_suricata.firewall.fleet import Fleet
from fakes.response import FakeFirewall


def pair() -> tuple[Fleet, FakeFirewall, FakeFirewall]:
    """Return two firewalls as one."""
    first, second = FakeFirewall("first"), FakeFirewall("second")
    return Fleet([first, second]), first, second


async def test_all_are_asked_and_answers_stand_by_place() -> None:
    """And then the answers are complete."""
    fleet, first, _ = pair()
    first.surroundings = {"gateway": []}

    answers = await fleet.each(lambda member: member.survey())

    assert {"first": {"gateway": []}, "second": {}} == answers.given
    assert answers.complete
    assert fleet.problem is None


async def test_one_that_is_away_is_not_asked_again_in_the_same_round() -> None:
    """Each wait is long; the other one goes on being asked."""
    fleet, first, second = pair()
    first.faults["survey"] = "unreachable"

    for _ in range(3):
        answers = await fleet.each(lambda member: member.survey())
    assert ["second"] == list(answers.given)
    assert not answers.complete
    assert fleet.problem == "no answer"
    assert (1, 3) == (len(first.calls), len(second.calls))

    first.faults.clear()
    await fleet.begin()
    assert (await fleet.each(lambda member: member.survey())).complete
    assert fleet.problem is None


async def test_a_refusal_is_told_and_the_refuser_is_asked_the_next_question() -> None:
    """It answers, after all."""
    fleet, first, _ = pair()
    first.faults["survey"] = "refused"

    answers = await fleet.each(lambda member: member.survey())
    assert answers.refusal == "pf says no; make the rule"
    assert not answers.complete

    first.faults.clear()
    assert (await fleet.each(lambda member: member.survey())).complete


async def test_who_is_not_among_the_asked_leaves_the_answers_incomplete() -> None:
    """So that nothing counts as proved that only some were asked for."""
    fleet, _, second = pair()

    answers = await fleet.each(lambda m: m.survey(), among=lambda m: m.place == "first")

    assert not answers.complete
    assert [] == second.calls
