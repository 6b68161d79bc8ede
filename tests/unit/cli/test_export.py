"""`ai-suricata blocks export`: the blocked targets, for another firewall or a spreadsheet."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
import time
from shutil import which
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from ai_suricata.cli.app import app
from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.features.table import LAYOUT
from ai_suricata.state.memory import MemoryState
from fakes.privilege import need_root
from fakes.response import NOW, decision

if TYPE_CHECKING:
    from pathlib import Path

LIVE = ["203.0.113.1", "203.0.113.2", "198.51.100.0/24", "2001:db8::7", "2001:db8:1::/64"]
RULES = "nftables/ai-suricata.nft"


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a ledger with live entries, and some that are over or in the other table."""
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setattr(time, "time", lambda: NOW + 10)
    made = [LedgerEntry(decision(t), LedgerState.ENFORCED, NOW, NOW + 600) for t in LIVE]
    made[1] = LedgerEntry(decision(LIVE[1]), LedgerState.REQUESTED, NOW, NOW + 600)
    over = LedgerEntry(decision("203.0.113.8"), LedgerState.ENFORCED, NOW, NOW + 9)
    watched = LedgerEntry(decision("203.0.113.9"), LedgerState.WATCHED, NOW, NOW + 600)
    limited = decision("203.0.113.10", table=Table.LIMIT, reasons=("=1+1", "a, b"))
    limit = LedgerEntry(limited, LedgerState.ENFORCED, NOW, NOW + 600)
    asyncio.run(
        MemoryState(tmp_path, "dry_run", LAYOUT).ledger.append([*made, over, watched, limit])
    )


@pytest.fixture
def nested(tmp_path: Path) -> None:
    """Let networks of the ledger lie in one another."""
    spans = {"198.51.100.0/26": 100.0, "198.51.100.128/25": 910.0, "198.51.100.130/31": 900.0}
    made = [LedgerEntry(decision(t), LedgerState.ENFORCED, NOW, NOW + s) for t, s in spans.items()]
    asyncio.run(MemoryState(tmp_path, "dry_run", LAYOUT).ledger.append(made))


def exported(*arguments: str) -> str:
    """Run the command."""
    result = CliRunner().invoke(app, ["blocks", "export", *arguments])
    assert (0, "") == (result.exit_code, result.stderr)
    return result.stdout


def test_pf_gets_one_target_a_line() -> None:
    """What has ended, or is in the other table, is left out."""
    assert LIVE == exported().splitlines()
    assert exported() == exported("--format", "pf")
    assert ["203.0.113.10"] == exported("--limit").splitlines()


def test_nft_gets_commands_with_what_is_left_of_each() -> None:
    """Each in the set of its table, version and kind."""
    assert [
        "add element inet ai_suricata block4 { 203.0.113.1 timeout 590s }",
        "add element inet ai_suricata block4 { 203.0.113.2 timeout 590s }",
        "add element inet ai_suricata block4_net { 198.51.100.0/24 timeout 590s }",
        "add element inet ai_suricata block6 { 2001:db8::7 timeout 590s }",
        "add element inet ai_suricata block6_net { 2001:db8:1::/64 timeout 590s }",
    ] == exported("--format", "nft").splitlines()


def test_nft_gets_networks_that_do_not_overlap(nested: None) -> None:  # noqa: ARG001 - it fills the ledger
    """It would load nothing of the file; each address keeps the longest time of its blocks."""
    lines = exported("--format", "nft").splitlines()

    assert [
        "add element inet ai_suricata block4_net { 198.51.100.0/25 timeout 590s }",
        "add element inet ai_suricata block4_net { 198.51.100.128/25 timeout 900s }",
    ] == [line for line in lines if "198.51.100." in line]
    assert "198.51.100.0/26" in exported().splitlines()


@pytest.mark.system
@pytest.mark.usefixtures("nested")
def test_nft_takes_the_commands(request: pytest.FixtureRequest) -> None:
    """After the rules of this repository, in a network namespace of its own."""
    need_root("for a network namespace")
    if which("nft") is None and which("/usr/sbin/nft") is None:
        pytest.skip("nft is not installed")
    rules = (request.config.rootpath / RULES).read_text()
    done = subprocess.run(
        ["unshare", "--net", "/usr/sbin/nft", "--file", "-"],
        input=rules + exported("--format", "nft") + exported("--format", "nft", "--limit"),
        text=True,
        capture_output=True,
        check=False,
        timeout=20,
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_csv_is_for_spreadsheets() -> None:
    """A reason that looks like a formula is a text there."""
    [row] = csv.DictReader(io.StringIO(exported("--format", "csv", "--limit")))

    assert ("203.0.113.10", "limit", "enforced") == (row["target"], row["table"], row["state"])
    assert "2023-11-14T22:23:20Z" == row["until"]
    assert "'=1+1; a, b" == row["reasons"]


def test_json_is_an_array_of_what_list_writes() -> None:
    """For programs that want it whole."""
    found = json.loads(exported("--format", "json"))

    assert LIVE == [one["target"] for one in found]
    assert "dry_run" == found[0]["firewall"]
