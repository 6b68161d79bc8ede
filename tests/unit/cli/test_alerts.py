"""`ai-suricata alerts`: the alert store, searched and shown."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs
from typer.testing import CliRunner, Result

from ai_suricata.cli import alerts as module
from ai_suricata.cli.app import app
from ai_suricata.config.load import variables
from ai_suricata.core.clock import SystemClock
from ai_suricata.state.alerts import FileAlerts
from contract.shared_alert import alert

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.state.shared import StoredAlert

T0 = 1_700_000_000_000_000
"""Time of alert 0, microseconds: 2023-11-14T22:13:20Z."""
HOUR = 3600 * 1_000_000


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileAlerts:
    """Make a store with five alerts, an hour between each and the next."""
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.chdir(tmp_path)
    made = FileAlerts(tmp_path / "alerts.jsonl", 10_000)
    asyncio.run(made.add([structs.replace(each, **change) for each, change in CHANGES]))
    return made


CHANGES: list[tuple[StoredAlert, dict[str, Any]]] = [
    (alert(0), {"time": T0, "score": 0.1, "level": "INFO", "action": "IGNORE"}),
    (alert(1), {"time": T0 + HOUR, "source_ip": "203.0.113.7", "score": 0.6, "level": "MEDIUM"}),
    (alert(2), {"time": T0 + 2 * HOUR, "src_ip": "203.0.113.8", "score": 0.75, "severity": 4}),
    (alert(3), {"time": T0 + 3 * HOUR, "dest_ip": "198.51.100.1", "score": 0.9, "severity": 2}),
    (alert(4), {"time": T0 + 4 * HOUR, "score": 0.95, "level": "CRITICAL", "signature": "GPL x"}),
]


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["alerts", *arguments])


def listed(*arguments: str) -> list[int]:
    """Return the numbers of the alerts that are listed."""
    result = run("list", *arguments)
    assert 0 == result.exit_code, result.output
    return [int(json.loads(line)["id"][-6:]) for line in result.stdout.splitlines()]


def test_all_are_listed_the_newest_first() -> None:
    """In a pipe as one object a line."""
    assert [4, 3, 2, 1, 0] == listed()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--ip", "203.0.113.7"], [1]),
        (["--ip", "203.0.113.0/24"], [2, 1]),
        (["--ip", "198.51.100.1"], [3]),
        (["--ip", "2001:db8::/32"], [4, 3, 2, 1, 0]),
        (["--severity", "4"], [2]),
        (["--level", "critical"], [4]),
        (["--level", "MEDIUM"], [1]),
        (["--action", "ignore"], [0]),
        (["--min-score", "0.75"], [4, 3, 2]),
        (["--since", "2023-11-15T00:13:20Z"], [4, 3, 2]),
        (["--since", "2023-11-15"], [4, 3, 2]),
        (["--until", "2023-11-14T23:13:20"], [1, 0]),
        (["--since", "2023-11-15T00:13:20+01:00", "--until", "2023-11-15T01:13:20Z"], [3, 2, 1]),
        (["--signature", "gpl"], [4]),
        (["--signature", "2000003"], [3]),
        (["--signature", "et scan", "--min-score", "0.7"], [3, 2]),
        (["--limit", "2"], [4, 3]),
        (["--ip", "192.0.2.0/24"], []),
    ],
)
def test_filters_narrow_the_list(arguments: list[str], expected: list[int]) -> None:
    """Each alone, and together."""
    assert expected == listed(*arguments)


@pytest.mark.parametrize(
    ("since", "expected"), [("90m", [7]), ("2h", [7]), ("3h", [7, 6]), ("1d", [7, 6]), ("5s", [])]
)
def test_ages_count_back_from_now(store: FileAlerts, since: str, expected: list[int]) -> None:
    """Minutes, hours, days."""
    now = int(SystemClock().now() * 1_000_000)
    times = {6: now - 5 * HOUR // 2, 7: now - HOUR}
    asyncio.run(store.add([structs.replace(alert(n), time=at) for n, at in times.items()]))

    assert expected == listed("--since", since)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "'yesterday' is no time"),
        (["--until", "2h30"], "'2h30' is no time"),
        (["--ip", "example.org"], "'example.org' is neither an address nor a network"),
        (["--level", "BAD"], "'BAD' is none of INFO, LOW, MEDIUM"),
        (["--action", "KILL"], "'KILL' is none of IGNORE, LOG"),
        (["--min-score", "2"], "--min-score"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], said: str) -> None:
    """With what would be right; exit code 2."""
    result = run("list", *arguments)

    assert 2 == result.exit_code
    assert said in result.stderr


def test_a_large_store_is_read_page_by_page(
    store: FileAlerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To its end, where few match; the same alert is shown once."""
    monkeypatch.setattr(module, "_PAGE", 7)
    asyncio.run(store.add([alert(number) for number in range(100, 200)]))

    assert [0] == listed("--action", "IGNORE")
    assert list(range(199, 149, -1)) == listed()


def test_an_alert_is_shown_whole() -> None:
    """With the reasons for the verdict on its source."""
    result = run("show", "sensor-1-000003")
    expected = {
        **structs.asdict(alert(3)),
        "time": "2023-11-15T01:13:20.000000Z",
        "dest_ip": "198.51.100.1",
        "score": 0.9,
        "severity": 2,
        "reasons": ["22 ports in 10 seconds", "no handshake"],
    }

    assert 0 == result.exit_code
    assert expected == json.loads(result.stdout)


def test_tables_are_for_people() -> None:
    """A list and a page."""
    table = run("list", "--format", "table").stdout
    assert "5 alerts, the newest first" in table
    assert "2023-11-15T02:13:20Z" in table
    assert "[2001:db8::bad]:40000" in table

    assert "no handshake" in run("show", "sensor-1-000003", "--format", "table").stdout


def test_markup_in_a_signature_is_shown_as_it_is(store: FileAlerts) -> None:
    """Nothing that came over the network colours or hides a line."""
    asyncio.run(store.add([structs.replace(alert(9), signature="[red]x[/red]")]))

    assert "[red]x[/red]" in run("list", "--format", "table").stdout


def test_an_unknown_alert_ends_with_1() -> None:
    """It may have been too old to be kept."""
    result = run("show", "sensor-9-000003")

    assert 1 == result.exit_code
    assert "no alert 'sensor-9-000003' is kept" in result.stderr


def test_without_a_store_nothing_is_listed(store: FileAlerts) -> None:
    """That is no error, and makes none."""
    store.path.unlink()

    assert [] == listed()
    assert not store.path.exists()


def test_a_store_that_cannot_be_read_ends_with_1(store: FileAlerts) -> None:
    """It is named."""
    store.path.unlink()
    store.path.mkdir()
    result = run("list")

    assert 1 == result.exit_code
    assert f"ai-suricata: {store.path} can't be read" in result.stderr
