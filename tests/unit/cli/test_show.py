"""`ai-suricata blocks show`: all that is known of one target, out of stored files."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from ai_suricata.cli.app import app
from ai_suricata.core.decision import Decision, LedgerEntry, LedgerState
from ai_suricata.features.table import LAYOUT
from ai_suricata.sink.audit import AuditLog
from ai_suricata.state.memory import MemoryState
from fakes.response import ATTACKER, NOW, OTHER, clock_at, decision

if TYPE_CHECKING:
    from pathlib import Path

FEATURES = {"login_attempts": 40.0, "proven_flows": 41.0}
COMMAND = "/sbin/pfctl -t ai_suricata_block -T add -f -"
NETWORK = "203.0.113.0/24"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make STATE_DIR, and a wide terminal."""
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(target: str, *arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["blocks", "show", target, *arguments])


def found(target: str) -> dict[str, Any]:
    """Return what the command knows of a target."""
    result = shown(target)
    assert (0, "") == (result.exit_code, result.stderr)
    known: dict[str, Any] = json.loads(result.stdout)
    return known


def keep(folder: Path, made: Decision, *states: LedgerState, most: int = 0) -> None:
    """Let a decision go through states: each is an audit line, the last one is the ledger's."""
    state = MemoryState(folder, "dry_run", LAYOUT)
    log = AuditLog(folder / "audit.jsonl", clock_at(), most, 5)
    for each in states:
        entry = LedgerEntry(made, each, NOW, NOW + 600)
        asyncio.run(state.ledger.append([entry]))
        commands = [COMMAND] if each is LedgerState.ENFORCED else []
        log.write([entry], each, "", commands)


def test_it_tells_why_since_when_and_by_what(folder: Path) -> None:
    """Reasons, features with unit and meaning, model version, history, commands sent."""
    made = decision(features=FEATURES, model_version="m-7")
    keep(folder, made, LedgerState.REQUESTED, LedgerState.ENFORCED)
    keep(folder, decision(OTHER), LedgerState.REQUESTED)
    known = found(ATTACKER)

    assert ATTACKER == known["target"]
    [entry] = known["entries"]
    assert ("enforced", "m-7") == (entry["state"], entry["model"])
    assert ["brute force: 40 logins were denied in 10 minutes"] == entry["reasons"]
    assert {
        "name": "login_attempts",
        "value": 40.0,
        "unit": "count",
        "meaning": "short login sessions, refused passwords of FTP and POP3",
        "forgeable": False,
    } in known["features"]
    assert set(FEATURES) == {feature["name"] for feature in known["features"]}
    assert ["requested", "enforced"] == [line["state"] for line in known["history"]]
    assert [[], [COMMAND]] == [line["commands"] for line in known["history"]]


def test_rotated_audit_logs_are_read_the_oldest_first(folder: Path) -> None:
    """All of what was decided on the target, long after the ledger has forgotten it."""
    for number in range(6):
        made = decision(reasons=(f"reason {number}",), features=FEATURES)
        keep(folder, made, LedgerState.ENFORCED, most=1000)
    (folder / "ledger-dry_run.jsonl").unlink()
    known = found(ATTACKER)

    assert (folder / "audit.jsonl.2").exists()
    assert [] == known["entries"]
    assert [[f"reason {n}"] for n in range(6)] == [line["reasons"] for line in known["history"]]
    assert set(FEATURES) == {feature["name"] for feature in known["features"]}


def test_a_network_that_holds_the_target_is_shown_with_it(folder: Path) -> None:
    """For that is why it is blocked; of others, nothing."""
    keep(folder, decision(NETWORK, members=(ATTACKER,)), LedgerState.ENFORCED)
    keep(folder, decision("2001:db8::/64"), LedgerState.ENFORCED)
    known = found(ATTACKER)

    assert [NETWORK] == [entry["target"] for entry in known["entries"]]
    assert [NETWORK] == [line["target"] for line in known["history"]]
    assert [NETWORK] == [entry["target"] for entry in found(NETWORK)["entries"]]


def test_a_target_is_known_by_any_spelling(folder: Path) -> None:
    """As everywhere."""
    keep(folder, decision("2001:db8::7"), LedgerState.ENFORCED)

    assert "2001:db8::7" == found("2001:0DB8:0:0::7")["target"]


def test_lines_of_others_are_passed_over(folder: Path) -> None:
    """The log may be shared, or damaged."""
    keep(folder, decision(), LedgerState.ENFORCED)
    with (folder / "audit.jsonl").open("ab") as file:
        file.write(b'{"half\n[]\n{"target": 7}\n{"target": "nobody/x"}\n{"other": 1}\n')
    keep(folder, decision(), LedgerState.ENFORCED)

    assert 2 == len(json.loads(shown(ATTACKER).stdout)["history"])


def test_the_table_is_for_people(folder: Path) -> None:
    """And what an attacker wrote does not colour it."""
    made = decision(features=FEATURES, reasons=("[red]url[/red]",))
    keep(folder, made, LedgerState.ENFORCED)
    text = shown(ATTACKER, "--format", "table").stdout

    for words in ("[red]url[/red]", "login_attempts", "refused passwords", f"sent: {COMMAND}"):
        assert words in text


def test_of_a_stranger_nothing_is_known() -> None:
    """Exit code 1; what is no address is a usage error."""
    result = shown(ATTACKER)
    assert 1 == result.exit_code
    assert f"nothing is known of {ATTACKER}" in result.stderr

    assert 2 == shown("nobody").exit_code


def test_what_can_not_be_read_of_the_audit_log_is_told(folder: Path) -> None:
    """A history with a hole does not look like a whole one."""
    keep(folder, decision(), LedgerState.ENFORCED)
    (folder / "audit.jsonl.1").mkdir()
    with (folder / "audit.jsonl").open("ab") as file:
        file.write(b"half a li\n")
    result = shown(ATTACKER)

    assert 0 == result.exit_code
    assert 2 == json.loads(result.stdout)["unread"]
    assert (
        "ai-suricata: 2 lines or files of the audit log can't be read: its history may lack "
        "something\n" == result.stderr
    )
    assert "history" not in shown("192.0.2.250").stdout
    assert "2 lines or files of the audit log can't be read" in shown("192.0.2.250").stderr
