"""`ai-suricata blocks list`: the ledger, for people and for programs."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from ai_suricata.cli.app import app
from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.features.table import LAYOUT
from ai_suricata.state.memory import MemoryState
from fakes.response import NOW, decision

if TYPE_CHECKING:
    from pathlib import Path


STATES = {
    "203.0.113.1": LedgerState.REQUESTED,
    "203.0.113.2": LedgerState.ENFORCED,
    "203.0.113.3": LedgerState.FAILED,
    "203.0.113.4": LedgerState.WATCHED,
    "203.0.113.5": LedgerState.REFUSED,
}


def listed(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["blocks", "list", *arguments])


def objects(*arguments: str) -> list[dict[str, Any]]:
    """Return the lines of the command as objects."""
    result = listed("--format", "jsonl", *arguments)
    assert 0 == result.exit_code
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a ledger with an entry in each state; return its file."""
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    state = MemoryState(tmp_path, "dry_run", LAYOUT)
    made = [
        LedgerEntry(decision(target), kind, NOW, NOW + 600 - place, "a note")
        for place, (target, kind) in enumerate(STATES.items())
    ]
    limited = decision("2001:db8::7", table=Table.LIMIT, step=2, duration=600.0)
    made.append(LedgerEntry(limited, LedgerState.ENFORCED, NOW, NOW + 700))
    asyncio.run(state.ledger.append(made))
    return state.ledger.path


def test_what_is_on_the_firewall_is_listed_the_next_to_end_first() -> None:
    """Requested and failed ones belong there, too."""
    assert ["203.0.113.3", "203.0.113.2", "203.0.113.1", "2001:db8::7"] == [
        one["target"] for one in objects()
    ]


def test_all_adds_the_watched_and_the_refused() -> None:
    """Each with its state."""
    expected = {**{ip: state.value for ip, state in STATES.items()}, "2001:db8::7": "enforced"}

    assert expected == {one["target"]: one["state"] for one in objects("--all")}


def test_an_object_says_all_that_is_known() -> None:
    """Times in UTC, durations in seconds."""
    expected = {
        "target": "2001:db8::7",
        "table": "limit",
        "state": "enforced",
        "firewall": "dry_run",
        "dry_run": True,
        "since": "2023-11-14T22:13:20Z",
        "until": "2023-11-14T22:25:00Z",
        "decided": "2023-11-14T22:13:20Z",
        "duration_seconds": 600.0,
        "step": 2,
        "score": 0.97,
        "by_hand": False,
        "reasons": ["brute force: 40 logins were denied in 10 minutes"],
        "model": "none",
        "note": "",
    }

    assert expected == objects()[-1]


def test_the_table_is_for_people() -> None:
    """With the reason, and without the released ones unless asked."""
    shown = listed("--format", "table").stdout
    assert "Ledger of dry_run: 4 entries" in shown
    assert "203.0.113.2" in shown
    assert "40 logins were denied" in shown
    assert "203.0.113.4" not in shown

    assert "203.0.113.4" in listed("--format", "table", "--all").stdout


def test_in_a_pipe_lines_are_the_default() -> None:
    """A program reads them."""
    assert listed("--format", "jsonl").stdout == listed().stdout


def test_markup_in_a_reason_is_shown_as_it_is(ledger: Path) -> None:
    """What an attacker wrote must not colour or hide anything."""
    made = decision("203.0.113.66", reasons=("[red]url[/red] [link=x]",))
    entry = LedgerEntry(made, LedgerState.ENFORCED, NOW, NOW + 1)
    asyncio.run(MemoryState(ledger.parent, "dry_run", LAYOUT).ledger.append([entry]))

    assert "[red]url[/red] [link=x]" in listed("--format", "table").stdout


def test_listing_changes_nothing(ledger: Path) -> None:
    """The daemon may be writing: a torn line is its business."""
    with ledger.open("ab") as file:
        file.write(b'{"half')
    before = ledger.read_bytes()

    assert 4 == len(objects())
    assert before == ledger.read_bytes()


def test_without_a_ledger_nothing_is_listed(ledger: Path) -> None:
    """That is no error."""
    ledger.unlink()

    assert [] == objects("--all")


def test_a_ledger_that_cannot_be_read_is_named(ledger: Path) -> None:
    """Exit code 1."""
    ledger.unlink()
    ledger.mkdir()
    result = listed()

    assert 1 == result.exit_code
    assert f"ai-suricata: {ledger} can't be read" in result.stderr


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2."""
    monkeypatch.setenv("FIREWALL", "iptables")
    result = listed()

    assert 2 == result.exit_code
    assert "ai-suricata: FIREWALL='iptables'" in result.stderr
