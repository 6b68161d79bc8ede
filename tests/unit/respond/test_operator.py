"""What a person may ask of a running daemon, carried out by the whole response path."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.address import parse_target
from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.core.schema import SCHEMA_VERSION
from ai_suricata.respond import settlement as module
from ai_suricata.respond.order import InvalidOrderError, RefusedOrderError
from ai_suricata.state.label import Kind
from fakes.control import FEATURES, STRANGER, OperatedPath, decided, entry_of, in_table
from fakes.response import ATTACKER, NOW, OTHER, until, verdict

if TYPE_CHECKING:
    from pathlib import Path


NETWORK = "203.0.113.0/24"


@pytest.fixture
def path(tmp_path: Path) -> OperatedPath:
    """Return a response path with an operator, whose files are in a folder of its own."""
    return OperatedPath(tmp_path)


async def test_a_block_by_hand_is_on_the_firewall_and_says_so(path: OperatedPath) -> None:
    """With its duration, who decided it, and why."""
    async with path.running() as operator:
        outcome = await operator.block(ATTACKER, Table.BLOCK, 7200.0, "scans the mail server")

        assert {ATTACKER} == await in_table(path)
    [entry] = outcome.entries
    assert outcome.confirmed
    assert "" == outcome.problem
    assert LedgerState.ENFORCED is entry.state
    assert NOW + 7200 == entry.expires_at
    assert entry.decision.by_hand
    assert ("by hand: scans the mail server",) == entry.decision.reasons
    assert "m-1" == entry.decision.model_version
    assert {"alerts": 3.0, "login_attempts": 40.0} == entry.decision.features


async def test_a_rate_limit_by_hand_goes_into_the_other_table(path: OperatedPath) -> None:
    """And into that alone."""
    async with path.running() as operator:
        assert (await operator.block(ATTACKER, Table.LIMIT, 60.0)).confirmed

        assert {ATTACKER} == await in_table(path, Table.LIMIT)
        assert set() == await in_table(path)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("::ffff:203.0.113.7", ATTACKER),
        ("203.0.113.7/32", ATTACKER),
        (" 203.0.113.7 ", ATTACKER),
        ("2001:0DB8:0000:0000::7", "2001:db8::7"),
        ("2001:db8::7/128", "2001:db8::7"),
        ("::ffff:203.0.113.0/120", NETWORK),
    ],
)
async def test_a_target_has_one_spelling(path: OperatedPath, written: str, canonical: str) -> None:
    """Whatever the operator types, what is lifted later is what was blocked."""
    async with path.running() as operator:
        [entry] = (await operator.block(written, Table.BLOCK, 60.0)).entries
        assert canonical == entry.target

        assert (await operator.lift(written)).confirmed
        assert set() == await in_table(path)


@pytest.mark.parametrize("text", ["", "attacker.example", "203.0.113.7/33", "1.2.3", "٢٠٣.0.113.7"])
async def test_what_is_no_address_is_named(path: OperatedPath, text: str) -> None:
    """And nothing is done."""
    async with path.running() as operator:
        with pytest.raises(InvalidOrderError, match="neither an address nor a network"):
            await operator.block(text, Table.BLOCK, 60.0)
        with pytest.raises(InvalidOrderError, match="neither an address nor a network"):
            await operator.lift(text)
    assert [] == path.disk.lines


@pytest.mark.parametrize("seconds", [0.0, -1.0, 9.9, 31_536_001.0, float("nan"), float("inf")])
async def test_a_block_has_an_end(path: OperatedPath, seconds: float) -> None:
    """Within a year, and not before the firewall has heard of it."""
    async with path.running() as operator:
        with pytest.raises(InvalidOrderError, match="from 10 s to 365 days"):
            await operator.block(ATTACKER, Table.BLOCK, seconds)
    assert [] == path.disk.lines


async def test_a_second_block_gives_the_new_duration(path: OperatedPath) -> None:
    """One entry lives at a time for each target."""
    async with path.running() as operator:
        await operator.block(ATTACKER, Table.BLOCK, 60.0)
        await operator.block(ATTACKER, Table.BLOCK, 7200.0)

        assert NOW + 7200 == entry_of(path, ATTACKER).expires_at
        assert 1 == len(path.ledger.entries())


@pytest.mark.parametrize("target", ["10.1.2.3", "198.51.100.9", "100.64.0.1", "fd00::1"])
async def test_a_never_block_address_needs_force(path: OperatedPath, target: str) -> None:
    """The refusal names the list and the option; with it, the block stays."""
    path.restart()
    async with path.running() as operator:
        path.protect(OTHER)
        with pytest.raises(RefusedOrderError, match=r"never blocked .*--force"):
            await operator.block(target, Table.BLOCK, 60.0)
        assert set() == await in_table(path)

        assert (await operator.block(target, Table.BLOCK, 60.0, force=True)).confirmed
        await path.responder.work()
        assert {target} == await in_table(path)


@pytest.mark.parametrize(
    "target",
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "192.168.1.1", "192.168.1.0/24", "0.0.0.0/0", "::/0"],
)
async def test_force_does_not_cut_off_the_firewall(path: OperatedPath, target: str) -> None:
    """Nor this machine: nobody could take that back from here."""
    path.firewall.own = frozenset({ip_address("192.168.1.1")})
    async with path.running() as operator:
        await path.responder.work()
        with pytest.raises(RefusedOrderError, match="not even with --force"):
            await operator.block(target, Table.BLOCK, 60.0, force=True)
    assert [] == path.disk.lines


async def test_a_reason_is_one_line_of_what_prints(path: OperatedPath) -> None:
    """It goes into logs and onto terminals."""
    async with path.running() as operator:
        long = "a\nb\t\x1b[31mc" + "x" * 600
        [entry] = (await operator.block(ATTACKER, Table.BLOCK, 60.0, long)).entries

    assert ("by hand: a b [31mc" + "x" * 491,) == entry.decision.reasons


async def test_what_the_firewall_refuses_is_told(
    path: OperatedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its words, within a bounded time; the daemon goes on trying."""
    monkeypatch.setattr(module, "SETTLING", 1.0)
    path.firewall.faults["add"] = "refused"
    async with path.running() as operator:
        outcome = await operator.block(ATTACKER, Table.BLOCK, 600.0)
        assert not outcome.confirmed
        assert "pf says no; make the rule" == outcome.problem

        path.firewall.faults.clear()
        await until(lambda: entry_of(path, ATTACKER).state is LedgerState.ENFORCED)


async def test_a_disk_that_is_full_refuses_the_order(path: OperatedPath) -> None:
    """Nothing is sent that is not durable."""
    async with path.running() as operator:
        path.disk.full = True
        with pytest.raises(StateError, match="the disk is full"):
            await operator.block(ATTACKER, Table.BLOCK, 60.0)
        assert set() == await in_table(path)
        path.disk.full = False


async def test_release_takes_all_off_and_pauses(path: OperatedPath) -> None:
    """Also by hand, also rate limits; what others put in stays; a restart decides nothing."""
    await path.firewall.add(Table.BLOCK, {parse_target("192.0.2.66"): 600.0})
    async with path.running() as operator:
        await decided(path, ATTACKER)
        await operator.block(OTHER, Table.LIMIT, 600.0)
        outcome = await operator.release_all()

        assert (2, True) == (outcome.count, outcome.confirmed)
        assert {"192.0.2.66"} == await in_table(path)
        assert set() == await in_table(path, Table.LIMIT)
    async with path.running():
        assert path.responder.paused


async def test_a_release_that_is_not_confirmed_says_so(path: OperatedPath) -> None:
    """The firewall is away."""
    async with path.running() as operator:
        await decided(path, ATTACKER)
        path.firewall.faults["delete"] = "unreachable"
        outcome = await operator.release_all()

        assert (1, False) == (outcome.count, outcome.confirmed)
        assert path.responder.paused


async def test_status_tells_how_the_response_stands(path: OperatedPath) -> None:
    """Counts by table and state, the breaker, the pause, the daemon's own words."""
    async with path.running(BLOCKS_PER_MINUTE="1", DRY_RUN="true") as operator:
        await decided(path, ATTACKER)
        await path.responder.respond([verdict("198.51.100.1"), verdict("198.51.100.2")])
        await operator.allow(OTHER)
        standing = await operator.status()

    assert {"block": {"enforced": 1}, "limit": {}} == standing.tables
    assert {"block": True, "limit": False} == standing.breaker
    assert (True, True) == (standing.auto_block, standing.dry_run)
    assert (1, 0, NOW) == (standing.allowances, standing.unsaved, standing.time)
    assert {"phase": "ready"} == standing.daemon
    assert standing.paused is None


async def test_a_hand_labels_for_training(path: OperatedPath) -> None:
    """With all features of the moment, or none where nothing is known of the address."""
    async with path.running() as operator:
        await operator.block(STRANGER, Table.BLOCK, 600.0, "known bad")
        await decided(path, ATTACKER)
        await operator.lift(ATTACKER, "our monitoring")

    bad, good = path.labels()
    assert (STRANGER, Kind.ATTACK, "known bad", None) == (
        bad.address,
        bad.label,
        bad.reason,
        bad.features,
    )
    assert (ATTACKER, Kind.NORMAL, FEATURES) == (good.address, good.label, good.features)
    assert (NOW, SCHEMA_VERSION, "m-1") == (good.time, good.schema, good.model)
    assert ["attack", "normal"] == path.kinds


async def test_a_label_that_is_lost_does_not_undo_the_lift(path: OperatedPath) -> None:
    """It is told."""
    (path.folder / "labels.jsonl").mkdir()
    async with path.running() as operator:
        await decided(path, ATTACKER)
        outcome = await operator.lift(ATTACKER)

        assert outcome.confirmed
        assert "the label for training is lost" in outcome.problem
        assert set() == await in_table(path)
    assert [] == path.kinds
