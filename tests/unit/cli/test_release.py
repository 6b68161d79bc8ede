"""`ai-suricata blocks release --all`: all that is ours goes off the firewall."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from ai_suricata import assembly
from ai_suricata.cli import release
from ai_suricata.cli.app import app
from ai_suricata.core.address import parse_target
from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.features.table import LAYOUT
from ai_suricata.firewall.fleet import Fleet
from ai_suricata.state.memory import MemoryState
from fakes.control import Served
from fakes.response import ATTACKER, NOW, OTHER, FakeFirewall, decision, verdict

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = "192.0.2.66"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make STATE_DIR."""
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("NEVER_BLOCK_REFRESH", "600")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def firewall(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeFirewall:
    """Leave a firewall and a ledger as a daemon that is gone has left them."""
    fake = FakeFirewall()
    monkeypatch.setattr(assembly, "fleet_of", lambda *_args, **_more: Fleet([fake]))
    made = [
        LedgerEntry(decision(ATTACKER, at=NOW), LedgerState.ENFORCED, NOW, 4e9),
        LedgerEntry(decision(OTHER, at=NOW), LedgerState.ENFORCED, NOW, NOW + 1),
        LedgerEntry(decision("203.0.113.9", table=Table.LIMIT), LedgerState.REQUESTED, NOW, 4e9),
        LedgerEntry(decision("203.0.113.99"), LedgerState.WATCHED, NOW, 4e9),
    ]
    targets = {parse_target(text): 600.0 for text in (ATTACKER, OTHER, FOREIGN)}
    asyncio.run(fake.add(Table.BLOCK, targets))
    asyncio.run(MemoryState(folder, "dry_run", LAYOUT).ledger.append(made))
    return fake


def said(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["blocks", "release", *arguments])


def in_table(firewall: FakeFirewall) -> set[str]:
    """Return what the block table holds."""
    return {str(target) for target in asyncio.run(firewall.entries(Table.BLOCK))}


def test_without_a_daemon_it_is_done_here(folder: Path, firewall: FakeFirewall) -> None:
    """Also what had ended while nobody was there; what others put in stays."""
    result = said("--all")

    assert (0, "") == (result.exit_code, result.stderr)
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert {ATTACKER, OTHER, "203.0.113.9"} == {one["target"] for one in told}
    assert {"watched"} == {one["state"] for one in told}
    assert {FOREIGN} == in_table(firewall)
    stored = MemoryState(folder, "dry_run", LAYOUT).ledger.read()
    assert {LedgerState.WATCHED} == {entry.state for entry in stored}
    assert [] == said("--all").stdout.splitlines()


@pytest.mark.parametrize("fault", ["unreachable", "refused"])
def test_what_is_not_proved_is_not_called_done(firewall: FakeFirewall, fault: str) -> None:
    """Exit code 1 with the firewall's words; run again, it goes on."""
    firewall.faults["delete"] = fault
    result = said("--all")
    assert 1 == result.exit_code
    assert {"unreachable": "no answer", "refused": "pf says no"}[fault] in result.stderr
    assert {ATTACKER, OTHER, FOREIGN} == in_table(firewall)

    firewall.faults.clear()
    assert 0 == said("--all").exit_code
    assert {FOREIGN} == in_table(firewall)


def test_what_stays_in_the_table_is_not_called_off(firewall: FakeFirewall) -> None:
    """The firewall is asked, not believed."""
    firewall.stuck.add(parse_target(ATTACKER))
    result = said("--all")

    assert 1 == result.exit_code
    assert "not off the firewall yet" in result.stderr


def test_a_daemon_that_runs_does_it_itself(folder: Path) -> None:
    """And stays paused, so that it does not begin anew."""
    with Served(folder, folder / "control.sock") as daemon:
        daemon.call(daemon.path.responder.respond([verdict()]))
        result = said("--all")

        assert (0, "") == (result.exit_code, result.stderr)
        assert [ATTACKER] == [json.loads(line)["target"] for line in result.stdout.splitlines()]
        assert set() == daemon.call(daemon.path.firewall.entries(Table.BLOCK))
        assert daemon.path.responder.paused


def test_a_daemon_without_a_socket_is_not_worked_against(
    folder: Path, firewall: FakeFirewall
) -> None:
    """It holds STATE_DIR: two who change one ledger would undo each other."""
    state = MemoryState(folder, "dry_run", LAYOUT)
    asyncio.run(state.open())
    try:
        result = said("--all")
    finally:
        asyncio.run(state.close())

    assert 1 == result.exit_code
    assert "is in use by another daemon" in result.stderr
    assert {ATTACKER, OTHER, FOREIGN} == in_table(firewall)


def test_all_has_to_be_said(firewall: FakeFirewall) -> None:
    """Exit code 2."""
    result = said()

    assert 2 == result.exit_code
    assert "--all" in result.stderr
    assert {ATTACKER, OTHER, FOREIGN} == in_table(firewall)


def test_on_a_terminal_it_asks(firewall: FakeFirewall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless told not to; a no changes nothing."""
    monkeypatch.setattr(release, "_is_terminal", lambda: True)
    runner = CliRunner()
    assert 1 == runner.invoke(app, ["blocks", "release", "--all"], input="n\n").exit_code
    assert {ATTACKER, OTHER, FOREIGN} == in_table(firewall)
    assert 0 == runner.invoke(app, ["blocks", "release", "--all"], input="y\n").exit_code
    assert {FOREIGN} == in_table(firewall)
    assert 0 == said("--all", "--yes").exit_code


def test_what_stays_on_another_firewall_is_told(folder: Path, firewall: FakeFirewall) -> None:
    """Each ledger is of one firewall."""
    entry = LedgerEntry(decision(), LedgerState.ENFORCED, NOW, 4e9)
    asyncio.run(MemoryState(folder, "pfsense", LAYOUT).ledger.append([entry]))
    result = said("--all")

    assert 1 == result.exit_code
    assert "1 entry left on another firewall (pfsense): set FIREWALL=pfsense" in result.stderr
    assert {FOREIGN} == in_table(firewall)


def test_where_a_dry_run_stands_in_the_way_that_is_told(
    folder: Path, firewall: FakeFirewall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FIREWALL is right already; of another one, both are told."""
    monkeypatch.setenv("DRY_RUN", "true")
    monkeypatch.setenv("FIREWALL", "nftables")
    entry = LedgerEntry(decision(), LedgerState.ENFORCED, NOW, 4e9)
    for name in ("pfsense", "nftables"):
        asyncio.run(MemoryState(folder, name, LAYOUT).ledger.append([entry]))
    result = said("--all")

    assert 1 == result.exit_code
    assert "1 entry left on nftables: set DRY_RUN=false, and run" in result.stderr
    assert "(pfsense): set FIREWALL=pfsense and DRY_RUN=false, and run" in result.stderr
    assert {FOREIGN} == in_table(firewall)


def test_a_ledger_of_another_firewall_that_can_not_be_read_is_told(
    folder: Path, firewall: FakeFirewall
) -> None:
    """What can be released is; exit code 1."""
    (folder / "ledger-pfsense.jsonl").mkdir()
    result = said("--all")

    assert 1 == result.exit_code
    assert "nobody can tell what is left on other firewalls" in result.stderr
    assert {FOREIGN} == in_table(firewall)


@pytest.mark.usefixtures("firewall")
def test_what_somebody_else_had_put_there_is_told(folder: Path) -> None:
    """It is blocked still: exit code 1."""
    entry = LedgerEntry(decision(FOREIGN, at=NOW), LedgerState.ENFORCED, NOW, 4e9, foreign=True)
    asyncio.run(MemoryState(folder, "dry_run", LAYOUT).ledger.append([entry]))
    result = said("--all")

    assert 1 == result.exit_code
    assert f"{FOREIGN} stays in the table" in result.stderr


def test_a_daemon_goes_on_trying_and_without_one_that_is_for_the_operator(
    folder: Path, firewall: FakeFirewall
) -> None:
    """So they are told what is left to do."""
    firewall.faults["delete"] = "unreachable"
    assert "not off the firewall yet; run it again: no answer" in said("--all").stderr
    [paused] = folder.rglob("paused.json")  # the next start decides nothing by itself
    paused.unlink()

    with Served(folder, folder / "control.sock") as daemon:
        daemon.call(daemon.path.responder.respond([verdict()]))
        daemon.path.firewall.faults["delete"] = "unreachable"
        result = said("--all")
        daemon.path.firewall.faults.clear()

    assert 1 == result.exit_code
    assert "not off the firewall yet; the daemon goes on trying: no answer" in result.stderr
