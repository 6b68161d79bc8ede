"""Orders of the command line to a daemon: `blocks add`, `remove`, `undo`, `allow`, `pause`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from ai_suricata.cli.app import app
from ai_suricata.core.address import parse_target
from ai_suricata.core.decision import Table
from ai_suricata.respond import settlement
from fakes.control import Served
from fakes.response import ATTACKER, NOW, OTHER, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make STATE_DIR, and a wide terminal."""
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def daemon(folder: Path) -> Iterator[Served]:
    """Run an operator behind the socket at which the commands look."""
    with Served(folder, folder / "control.sock") as served:
        yield served


def said(*arguments: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, list(arguments))


def objects(*arguments: str) -> list[dict[str, Any]]:
    """Run a command that succeeds; return its lines as objects."""
    result = said(*arguments)
    assert (0, "") == (result.exit_code, result.stderr)
    return [json.loads(line) for line in result.stdout.splitlines()]


def in_table(daemon: Served, table: Table = Table.BLOCK) -> set[str]:
    """Return what the firewall's table holds."""
    return {str(target) for target in daemon.call(daemon.path.firewall.entries(table))}


def test_an_address_is_blocked_and_unblocked_by_hand(daemon: Served) -> None:
    """The answer is the ledger's entry, when the firewall has confirmed it."""
    [added] = objects("blocks", "add", ATTACKER, "--for", "2h", "--reason", "scans the mail server")
    assert (ATTACKER, "block", "enforced") == (added["target"], added["table"], added["state"])
    assert (7200.0, True) == (added["duration_seconds"], added["by_hand"])
    assert ["by hand: scans the mail server"] == added["reasons"]
    assert {ATTACKER} == in_table(daemon)

    [removed] = objects("blocks", "remove", ATTACKER, "--reason", "our monitoring")
    assert ("watched", "lifted by hand: our monitoring") == (removed["state"], removed["note"])
    assert set() == in_table(daemon)
    assert ["attack", "normal"] == daemon.path.kinds


def test_a_rate_limit_goes_into_its_own_table(daemon: Served) -> None:
    """For an hour, unless told."""
    [added] = objects("blocks", "add", ATTACKER, "--limit")

    assert ("limit", 3600.0) == (added["table"], added["duration_seconds"])
    assert {ATTACKER} == in_table(daemon, Table.LIMIT)


def test_the_table_is_for_people(daemon: Served) -> None:
    """It says what was done, and how much of it."""
    shown = said("blocks", "add", ATTACKER, "--format", "table").stdout

    assert "Blocked by hand: 1 entry" in shown
    assert ATTACKER in shown
    assert {ATTACKER} == in_table(daemon)


@pytest.mark.parametrize("age", ["10", "1y", "-5m", "m", "1.5h", ""])
def test_a_duration_that_is_none_is_named(age: str) -> None:
    """Exit code 2, before anybody is asked."""
    for arguments in (
        ("blocks", "add", ATTACKER, "--for", age),
        ("blocks", "undo", "--since", age),
    ):
        result = said(*arguments)
        assert 2 == result.exit_code
        assert "is no duration; write it like 90s, 10m, 2h or 7d" in " ".join(result.stderr.split())


def test_a_never_block_address_needs_force(daemon: Served) -> None:
    """Exit code 1, and the option's name; loopback is refused with it."""
    result = said("blocks", "add", "10.1.2.3")
    assert 1 == result.exit_code
    assert "10.1.2.3 is never blocked (private (RFC 1918)" in result.stderr
    assert "--force overrides this" in result.stderr

    assert "enforced" == objects("blocks", "add", "10.1.2.3", "--force")[0]["state"]
    result = said("blocks", "add", "127.0.0.1", "--force")
    assert 1 == result.exit_code
    assert "not even with --force" in result.stderr
    assert {"10.1.2.3"} == in_table(daemon)


def test_what_is_no_address_is_a_usage_error(daemon: Served) -> None:
    """Exit code 2."""
    for arguments in (("blocks", "add", "nobody"), ("allow", "add", "nobody")):
        result = said(*arguments)
        assert 2 == result.exit_code
        assert "'nobody' is neither an address nor a network" in result.stderr
    assert set() == in_table(daemon)


def test_what_is_not_blocked_can_not_be_removed(daemon: Served) -> None:
    """Exit code 1."""
    result = said("blocks", "remove", ATTACKER)

    assert 1 == result.exit_code
    assert f"{ATTACKER} is in neither table" in result.stderr
    assert [] == daemon.path.labels()


def test_what_the_firewall_has_not_confirmed_is_told(
    daemon: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, with the entry as it is and the firewall's own words."""
    monkeypatch.setattr(settlement, "SETTLING", 1.0)
    daemon.path.firewall.faults["add"] = "refused"
    result = said("blocks", "add", ATTACKER)

    assert 1 == result.exit_code
    assert "failed" == json.loads(result.stdout)["state"]
    assert (
        "ai-suricata: recorded; not confirmed by the firewall yet; the daemon goes on trying: "
        "pf says no; make the rule\n" == result.stderr
    )


def test_an_allowance_is_not_called_done_while_the_address_is_blocked(
    daemon: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, and what stands in the way."""
    monkeypatch.setattr(settlement, "SETTLING", 1.0)
    daemon.call(daemon.path.responder.respond([verdict()]))
    objects("blocks", "add", OTHER)  # waits until the firewall has both
    daemon.path.firewall.faults[""] = "unreachable"
    result = said("allow", "add", ATTACKER)
    daemon.path.firewall.faults.clear()

    assert 1 == result.exit_code
    assert "not off the firewall yet; the daemon goes on trying" in result.stderr
    assert "no answer" in result.stderr


def test_what_somebody_else_has_blocked_is_not_called_lifted(daemon: Served) -> None:
    """Exit code 1: the entry is not ours to take out."""
    daemon.call(daemon.path.firewall.add(Table.BLOCK, {parse_target(ATTACKER): 0.0}))
    objects("blocks", "add", ATTACKER)
    result = said("blocks", "remove", ATTACKER)

    assert 1 == result.exit_code
    assert f"{ATTACKER} stays in the table" in result.stderr
    assert {ATTACKER} == in_table(daemon)


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_a_dry_run_does_not_look_like_blocking(
    daemon: Served, monkeypatch: pytest.MonkeyPatch, dry_run: str
) -> None:
    """FIREWALL=dry_run, the default, is one as well as DRY_RUN: words and JSON say so."""
    assert daemon.path.firewall is not None
    monkeypatch.setenv("DRY_RUN", dry_run)
    assert objects("blocks", "add", ATTACKER)[0]["dry_run"] is True
    assert objects("status")[0]["dry_run"] is True
    assert "nothing was sent (dry run)" in said("blocks", "add", OTHER, "--format", "table").stdout
    assert "nothing is sent" in said("status", "--format", "table").stdout


def test_what_is_sent_is_no_dry_run(daemon: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said of one then."""
    monkeypatch.setenv("FIREWALL", "nftables")
    assert objects("blocks", "add", ATTACKER)[0]["dry_run"] is False
    assert objects("status")[0]["dry_run"] is False
    assert "nothing" not in said("blocks", "add", OTHER, "--format", "table").stdout
    assert {ATTACKER, OTHER} == in_table(daemon)


def test_undo_lifts_what_the_daemon_did(daemon: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the time that was asked for, by the command's own clock."""
    monkeypatch.setattr(time, "time", lambda: NOW)
    daemon.call(daemon.path.responder.respond([verdict(), verdict(OTHER)]))
    objects("blocks", "add", "203.0.113.200")
    assert {"203.0.113.200", ATTACKER, OTHER} == in_table(daemon)

    assert {ATTACKER, OTHER} == {
        one["target"] for one in objects("blocks", "undo", "--since", "10m")
    }
    assert {"203.0.113.200"} == in_table(daemon)
    assert [] == objects("blocks", "undo", "--since", "10m")


def test_undo_needs_a_moment() -> None:
    """Exit code 2: all of it is not what anybody wants by accident."""
    assert 2 == said("blocks", "undo").exit_code


def test_pause_and_resume(daemon: Served) -> None:
    """And status tells which it is."""
    assert [{"paused": True, "since": "2023-11-14T22:13:20Z", "reason": "penetration test"}] == (
        objects("pause", "penetration test")
    )
    assert daemon.path.responder.paused
    [standing] = objects("status")
    assert {"reason": "penetration test", "since": NOW} == standing["paused"]
    assert "no: paused since 2023-11-14T22:13:20Z: penetration test" in (
        said("status", "--format", "table").stdout
    )

    assert [{"paused": False, "since": "2023-11-14T22:13:20Z", "reason": "penetration test"}] == (
        objects("resume")
    )
    assert not daemon.path.responder.paused
    assert [{"paused": False, "since": None, "reason": None}] == objects("resume")
    assert "It goes on." in said("resume", "--format", "table").stdout


def test_status_tells_what_runs(daemon: Served) -> None:
    """As a table, too."""
    objects("blocks", "add", ATTACKER)
    [standing] = objects("status")
    assert {"block": {"enforced": 1}, "limit": {}} == standing["tables"]
    assert {"block": False, "limit": False} == standing["breaker"]

    shown = said("status", "--format", "table").stdout
    for words in ("table block", "1 enforced", "table limit", "empty", "0 networks", "ready"):
        assert words in shown
    assert daemon.path.ledger.latest(ATTACKER, Table.BLOCK) is not None


def test_allow_lifts_lists_and_is_taken_back(daemon: Served) -> None:
    """The list can be read without the daemon."""
    objects("blocks", "add", ATTACKER)
    [lifted] = objects("allow", "add", "203.0.113.0/24", "--comment", "the branch office")
    assert (ATTACKER, "watched") == (lifted["target"], lifted["state"])
    assert set() == in_table(daemon)

    listed = [
        {
            "network": "203.0.113.0/24",
            "since": "2023-11-14T22:13:20Z",
            "comment": "the branch office",
        }
    ]
    assert listed == objects("allow", "list")
    assert "the branch office" in said("allow", "list", "--format", "table").stdout
    assert 1 == said("blocks", "add", ATTACKER).exit_code

    assert listed == objects("allow", "remove", "203.0.113.0/24")
    assert [] == objects("allow", "list")
    result = said("allow", "remove", "203.0.113.0/24")
    assert 1 == result.exit_code
    assert "is not on the list" in result.stderr


def test_a_list_that_can_not_be_read_is_named(folder: Path) -> None:
    """Exit code 1."""
    (folder / "allow.json").write_text("nonsense")
    result = said("allow", "list")

    assert 1 == result.exit_code
    assert f"{folder / 'allow.json'} can't be read" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("pause",),
        ("resume",),
        ("blocks", "add", ATTACKER),
        ("blocks", "remove", ATTACKER),
        ("blocks", "undo", "--since", "10m"),
        ("allow", "add", ATTACKER),
        ("allow", "remove", ATTACKER),
    ],
)
def test_without_a_daemon_that_is_said(folder: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 3, and how to start it."""
    result = said(*arguments)

    assert 3 == result.exit_code
    assert f"no daemon listens on {folder / 'control.sock'}" in result.stderr
    assert "ai-suricata run" in result.stderr


def test_a_socket_that_can_not_be_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, with the variable's name."""
    monkeypatch.setenv("CONTROL_SOCKET", "/" + "x" * 107)
    result = said("status")

    assert 2 == result.exit_code
    assert "CONTROL_SOCKET" in result.stderr
