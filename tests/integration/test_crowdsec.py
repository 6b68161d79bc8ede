"""CrowdSec of Debian over EVE files: the baseline judges as its scenarios say."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.address import parse_network
from ai_suricata.study import crowdsec
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fakes.eve import Record

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
GRAVE, GUESSER, MILD, PRIVATE = "203.0.113.1", "203.0.113.2", "203.0.113.3", "10.9.9.9"


@pytest.fixture(autouse=True)
def _installed() -> None:
    try:
        crowdsec.programs()
    except crowdsec.CrowdSecAbsentError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


def written(path: Path, records: Iterable[Record]) -> Path:
    """Write an eve file of the records, gzip'd if its name says so; return its path."""
    content = b"\n".join(map(eve.line, records)) + b"\n"
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def signatures(source: str, count: int, severity: int = 2, at: float = 0.0) -> list[Record]:
    """Return alerts of so many signatures, a second apart."""
    return [eve.alert(source, at=at + n, sid=7000 + n, severity=severity) for n in range(count)]


def sessions() -> list[Record]:
    """Return alerts of one source for each thing that decides, years old, and other events."""
    return [
        eve.alert(GRAVE, severity=1),
        eve.flow(GUESSER),
        *signatures(GUESSER, 3),
        *signatures(MILD, 2),
        *signatures("203.0.113.4", 9, severity=3),
        eve.alert("203.0.113.5", severity=1) | {"proto": "UDP"},
        eve.alert("2001:0db8:0000:0000:0000:0000:0000:0007", severity=1, at=86_400.0),
        eve.alert(PRIVATE, severity=1),
    ]


def test_the_first_grave_alert_bans_and_lesser_ones_are_reported(tmp_path: Path) -> None:
    """TCP alone counts, severity 3 never does, and private addresses are exempt as in Debian."""
    found = crowdsec.judge(written(tmp_path / "eve.json", sessions()))

    assert frozenset({GRAVE, "2001:db8::7"}) == found.banned
    assert frozenset({GRAVE, "2001:db8::7", GUESSER}) == found.reported


def test_the_home_network_is_exempt_and_private_addresses_can_be_judged(tmp_path: Path) -> None:
    """The list of private networks is Debian's, that of the home network the operator's."""
    path = written(tmp_path / "eve.json.gz", sessions())
    home = [parse_network(GRAVE), parse_network("2001:db8::/32")]

    assert {PRIVATE} == crowdsec.banned(path, home, private=True)


def test_signatures_that_come_slowly_are_not_even_reported(tmp_path: Path) -> None:
    """The bucket leaks in event time: one drop each 20 seconds."""
    slow = [alert for n in range(4) for alert in signatures(MILD, n + 1, at=60.0 * n)[-1:]]

    assert frozenset() == crowdsec.judge(written(tmp_path / "eve.json", slow)).reported


def test_an_overlong_alert_hides_none_that_follow(tmp_path: Path) -> None:
    """CrowdSec reads lines of up to 64 KiB, and nothing after a longer one."""
    long = eve.alert(GRAVE, severity=1) | {"payload": "A" * 100_000}
    path = written(tmp_path / "eve.json", [long, eve.alert(MILD, severity=1)])

    assert {GRAVE, MILD} == crowdsec.banned(path)


def test_hundreds_of_sources_are_banned_alike_in_every_run(tmp_path: Path) -> None:
    """None is lost when it ends, and no order of threads shows."""
    sources = [f"198.51.{n // 250}.{n % 250}" for n in range(300)]
    path = written(tmp_path / "eve.json", [eve.alert(one, severity=1) for one in sources])

    assert set(sources) == crowdsec.banned(path) == crowdsec.banned(path)


def printed(*words: str) -> tuple[int, str, str]:
    """Return exit code, output and errors of the command."""
    done = subprocess.run(
        [sys.executable, "benchmarks/crowdsec.py", *words],
        env={**os.environ, "PYTHONPATH": ".:src"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_prints_the_sources_as_lines_of_json(tmp_path: Path) -> None:
    """One object a file, in the order of the files."""
    first = written(tmp_path / "a.json", sessions())
    second = written(tmp_path / "b.json", [eve.flow(GRAVE)])
    code, output, errors = printed("--format", "jsonl", str(first), str(second))

    grave = sorted([GRAVE, "2001:db8::7"])
    expected = [
        {"file": str(first), "banned": grave, "reported": sorted([*grave, GUESSER])},
        {"file": str(second), "banned": [], "reported": []},
    ]
    assert (0, "") == (code, errors)
    assert expected == [json.loads(line) for line in output.splitlines()]


def test_the_command_counts_by_label_where_a_folder_has_labels(tmp_path: Path) -> None:
    """Malicious, of these banned and reported; benign, of these banned and reported; others."""
    written(tmp_path / "one.json.gz", sessions())
    rows = [
        f"one.json,{GRAVE},malicious,attacker",
        f"one.json,{GUESSER},benign,peer",
        f"one.json,{eve.SERVER},benign,victim",
    ]
    table = "\n".join(["eve_file,ip,label,role", *rows])
    (tmp_path / "labels.csv.gz").write_bytes(gzip.compress(table.encode()))
    code, output, _ = printed(str(tmp_path))

    assert 0 == code
    assert ["one.json.gz", "1", "1", "1", "2", "0", "1", "1"] == output.splitlines()[-1].split()


def test_a_file_that_is_not_there_ends_the_command_with_a_sentence(tmp_path: Path) -> None:
    """No traceback."""
    code, _, errors = printed(str(tmp_path / "absent.json"))

    assert 1 == code
    assert "absent.json" in errors
    assert "Traceback" not in errors
