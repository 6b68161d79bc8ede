"""Connections of the blocked are ended after the proof, and hold up nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from ai_suricata.core.address import parse_target
from ai_suricata.core.decision import LedgerEntry, LedgerState
from ai_suricata.respond import sweep as module
from ai_suricata.respond.sweep import Sweep
from fakes.response import ATTACKER, NOW, OTHER, FakeFirewall, decision, until

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def entries(*targets: str) -> list[LedgerEntry]:
    """Return proved blocks."""
    return [
        LedgerEntry(decision(target), LedgerState.ENFORCED, NOW, NOW + 600) for target in targets
    ]


Told = list[tuple[int, int]]


def into(told: Told) -> Callable[[int, int, float], None]:
    """Return who keeps what is told, but for the time."""
    return lambda targets, states, _seconds: told.append((targets, states))


async def test_one_pass_ends_those_of_all_who_wait_on_each_firewall() -> None:
    """And is told once for each."""
    first, second = FakeFirewall("first"), FakeFirewall("second")
    told: Told = []
    sweep = Sweep([first, second], into(told))
    sweep.add(entries(ATTACKER))
    sweep.add(entries(OTHER, ATTACKER))

    assert await sweep.work()

    assert [["kill_states"], ["kill_states"]] == [first.calls, second.calls]
    assert (2, 2) == (first.counts["kill"], second.counts["kill"])
    assert [(2, 0), (2, 0)] == told
    assert await sweep.work()
    assert 2 == len(told)


async def test_a_firewall_that_is_lost_is_asked_again_and_the_other_is_not() -> None:
    """What waits for one is done with for the other."""
    first, second = FakeFirewall("first"), FakeFirewall("second")
    sweep = Sweep([first, second], into([]))
    sweep.add(entries(ATTACKER))
    first.faults["kill_states"] = "unreachable"

    assert not await sweep.work()
    first.faults.clear()
    assert await sweep.work()

    assert (2, 1) == (len(first.calls), len(second.calls))
    assert 1 == first.counts["kill"]


async def test_it_works_when_there_is_something_to_do_and_once_more_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A firewall that was lost meanwhile gets another try."""
    monkeypatch.setattr(module, "RETRY", 0.01)
    monkeypatch.setattr(module, "EVERY", 0.01)
    firewall = FakeFirewall()
    sweep = Sweep([firewall], into([]))
    running = asyncio.create_task(sweep.run())
    firewall.faults["kill_states"] = "unreachable"
    sweep.add(entries(ATTACKER))
    await until(lambda: len(firewall.calls) > 2)
    firewall.faults.clear()
    await until(lambda: firewall.counts["kill"] == 1)

    answer = firewall.hanging["kill_states"] = asyncio.Event()
    sweep.add(entries(OTHER))
    await until(lambda: firewall.counts["kill"] == 2)
    sweep.add(entries("203.0.113.9"))
    sweep.stop()
    answer.set()
    async with asyncio.timeout(5):
        await running
    assert 3 == firewall.counts["kill"]


async def test_passes_are_apart_and_the_first_one_comes_at_once() -> None:
    """A firewall with half a million connections is not asked for them with each block."""
    firewall = FakeFirewall()
    sweep = Sweep([firewall], into([]))
    running = asyncio.create_task(sweep.run())
    sweep.add(entries(ATTACKER))
    await until(lambda: firewall.counts["kill"] == 1, limit=0.4)
    for number in range(20):
        sweep.add(entries(f"203.0.113.{number}"))
        await asyncio.sleep(0.001)
    assert 1 == len(firewall.calls)

    sweep.stop()
    async with asyncio.timeout(5):
        await running
    assert 2 == len(firewall.calls)


async def test_a_pass_that_never_succeeds_is_given_up_and_told_once() -> None:
    """Each blocked target has so many tries; then it is out of the way, and people are told."""
    firewall = FakeFirewall("here")
    problems: list[str] = []
    sweep = Sweep([firewall], into([]), failed=problems.append)
    firewall.faults["kill_states"] = "unreachable"
    sweep.add(entries(ATTACKER))
    with capture_logs() as logs:
        assert not await sweep.work()
        sweep.add(entries(OTHER, ATTACKER))
        for _ in range(module.TRIES - 1):
            assert not await sweep.work()
        assert 1 == sweep.waiting
        assert not await sweep.work()

    assert 0 == sweep.waiting
    assert [1, 1] == [text.count("connections of 1 blocked targets") for text in problems]
    assert [text for text in problems if "here" in text and "PFSENSE_TIMEOUT" in text] == problems
    assert problems == [entry["problem"] for entry in logs]
    assert await sweep.work()
    assert module.TRIES + 1 == len(firewall.calls)


async def test_what_is_not_wanted_any_more_is_left_alone() -> None:
    """A target that was lifted meanwhile keeps its connections; nobody is asked for it alone."""
    firewall = FakeFirewall()
    told: Told = []
    lifted = {parse_target(OTHER)}
    sweep = Sweep([firewall], into(told), wanted=lambda target: target not in lifted)
    firewall.faults["kill_states"] = "unreachable"
    sweep.add(entries(ATTACKER, OTHER))
    assert not await sweep.work()
    firewall.faults.clear()
    assert await sweep.work()
    assert [(1, 0)] == told

    sweep.add(entries(OTHER))
    assert await sweep.work()
    assert (0, 2) == (sweep.waiting, len(firewall.calls))


async def test_a_firewall_that_is_lost_is_asked_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also for what comes later, until it answers; the others have their passes meanwhile."""
    pauses: list[float] = []
    lost, well = FakeFirewall("lost"), FakeFirewall("well")

    async def wait(seconds: float, stopping: asyncio.Event) -> bool:
        if seconds != module.EVERY:
            pauses.append(seconds)
        if len(pauses) == 9:
            lost.faults.clear()
        await asyncio.sleep(0)
        return stopping.is_set()

    monkeypatch.setattr(module, "within", wait)
    sweep = Sweep([lost, well], into([]))
    lost.faults["kill_states"] = "unreachable"
    running = asyncio.create_task(sweep.run())
    for number in range(9):
        sweep.add(entries(f"203.0.113.{number}"))
        await until(lambda: min(len(pauses), len(well.calls)) > number)  # noqa: B023 - used at once
    await until(lambda: lost.counts["kill"] > 0)
    lost.faults["kill_states"] = "unreachable"
    sweep.add(entries(OTHER))
    await until(lambda: len(pauses) > 9)
    sweep.stop()
    async with asyncio.timeout(5):
        await running

    assert [1, 2, 4, 8, 16, 32, 60, 60, 60, 1] == pauses[:10]


async def test_a_firewall_that_hangs_keeps_no_other_waiting() -> None:
    """Each has passes of its own: one listing may take as long as a command may."""
    slow, quick = FakeFirewall("slow"), FakeFirewall("quick")
    answer = slow.hanging["kill_states"] = asyncio.Event()
    sweep = Sweep([slow, quick], into([]))
    running = asyncio.create_task(sweep.run())
    sweep.add(entries(ATTACKER))
    await until(lambda: quick.counts["kill"] == 1)
    sweep.add(entries(OTHER))
    await until(lambda: quick.counts["kill"] == 2)

    answer.set()
    sweep.stop()
    async with asyncio.timeout(5):
        await running
    assert 2 == slow.counts["kill"]
