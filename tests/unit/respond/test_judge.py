"""What is decided on many verdicts: the budget bounds it, and neighbours become one network."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.core.verdict import Action
from ai_suricata.respond import judge
from fakes.response import ATTACKER, ResponsePath, verdict

if TYPE_CHECKING:
    import pytest


async def test_past_the_budget_nothing_is_decided_and_it_is_told(path: ResponsePath) -> None:
    """One sentence says why, and the count how often; the ledger is not filled with it."""
    path.restart(BLOCKS_PER_MINUTE="3")
    await path.responder.respond([verdict(f"203.0.113.{n}") for n in range(10)])

    assert 3 == len(path.ledger.live(Table.BLOCK))
    assert 3 == len(path.ledger.entries())
    assert 7 == path.record.stopped[Table.BLOCK]
    assert "BLOCKS_PER_MINUTE" in path.record.reasons[-1]


async def test_a_flood_of_rate_limits_leaves_the_blocks_their_budget(path: ResponsePath) -> None:
    """Forged sources are rate-limited at most; they must not shield a real attacker."""
    path.restart(BLOCKS_PER_MINUTE="3")
    flood = [verdict(f"203.0.113.{n}", action=Action.RATE_LIMIT) for n in range(10)]
    await path.responder.respond([*flood, verdict("198.51.100.1")])

    assert 1 == len(path.ledger.live(Table.BLOCK))
    assert 3 == len(path.ledger.live(Table.LIMIT))
    assert {Table.LIMIT: 7} == path.record.stopped


async def test_who_goes_on_is_blocked_once_the_budget_lets_it(path: ResponsePath) -> None:
    """Nobody escapes by having been one too many; that decisions pass again is told."""
    path.restart(BLOCKS_PER_MINUTE="1", BUDGET_PAUSE="30")
    await path.responder.respond([verdict("198.51.100.1"), verdict()])
    assert path.ledger.latest(ATTACKER, Table.BLOCK) is None

    path.clock.advance(61)
    await path.responder.respond([verdict(at=path.clock.now())])
    assert path.ledger.latest(ATTACKER, Table.BLOCK) is not None
    assert Table.BLOCK in path.record.recoveries


async def test_a_restart_does_not_renew_the_budget(path: ResponsePath) -> None:
    """A daemon that is killed again and again blocks no more than one that is not."""
    path.restart(BLOCKS_PER_MINUTE="3")
    await path.responder.respond([verdict(f"203.0.113.{n}") for n in range(3)])
    path.restart(BLOCKS_PER_MINUTE="3")
    await path.ledger.load()
    await path.responder.start(5)

    await path.responder.respond([verdict("198.51.100.1")])
    assert path.ledger.latest("198.51.100.1", Table.BLOCK) is None


async def test_neighbours_that_offend_become_a_network(path: ResponsePath) -> None:
    """With the fourth address of one batch; a further one gets no ruling of its own."""
    path.restart(PROMOTE_IPV4="4")
    await path.responder.respond([verdict(f"203.0.113.{n}") for n in range(4)])
    await path.responder.respond([verdict("203.0.113.200")])

    entry = path.ledger.latest("203.0.113.0/24", Table.BLOCK)
    assert entry is not None
    assert [f"203.0.113.{n}" for n in range(4)] == sorted(entry.decision.members)
    assert path.ledger.latest("203.0.113.200", Table.BLOCK) is None
    assert await path.responder.work()
    assert ip_network("203.0.113.0/24") in await path.firewall.entries(Table.BLOCK)


async def test_an_innocent_neighbour_keeps_a_network_from_being_blocked(
    path: ResponsePath,
) -> None:
    """Its offenders are blocked one by one."""
    path.restart(PROMOTE_IPV4="4")
    path.responder.judge.bystander = lambda _network: "203.0.113.99"
    await path.responder.respond([verdict(f"203.0.113.{n}") for n in range(6)])

    assert 6 == len(path.ledger.live(Table.BLOCK))
    assert path.ledger.latest("203.0.113.0/24", Table.BLOCK) is None


async def test_refusals_are_bounded(path: ResponsePath, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of forged private sources does not fill the ledger; what is left out is counted."""
    monkeypatch.setattr(judge, "MOST_REFUSED", 5)
    for number in range(20):
        await path.responder.respond([verdict(f"10.0.0.{number}")])

    assert 5 == len(path.ledger.entries())
    assert {LedgerState.REFUSED} == {entry.state for entry in path.ledger.entries()}
    assert 15 == path.record.lost


async def test_the_total_is_kept_within_one_batch_too(path: ResponsePath) -> None:
    """What was decided a moment ago and is not durable yet counts."""
    path.restart(BLOCKS_TOTAL="2")
    await path.responder.respond([verdict(f"203.0.113.{n}") for n in range(5)])

    assert 2 == len(path.ledger.live(Table.BLOCK))
    assert "BLOCKS_TOTAL" in path.record.reasons[-1]


async def test_a_full_table_is_told_once_until_there_is_room(path: ResponsePath) -> None:
    """Batches without an offender say nothing about it."""
    path.restart(BLOCKS_TOTAL="1")
    await path.responder.respond([verdict("198.51.100.1"), verdict()])
    await path.responder.respond([])
    assert Table.BLOCK not in path.record.recoveries

    await path.responder.work()
    path.clock.advance(600)
    await path.responder.work()
    await path.responder.respond([])
    assert Table.BLOCK in path.record.recoveries
