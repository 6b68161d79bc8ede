"""The recorded files through the real command line: what is blocked, and what is found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = [eve.needs_data, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
FIELDS = [
    "file",
    "ip",
    "score",
    "level",
    "action",
    "blocked",
    "alerts",
    "events",
    "first_seen",
    "last_seen",
    "reasons",
]
LEVELS = ["INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL"]
ACTIONS = {"IGNORE", "LOG", "MONITOR", "RATE_LIMIT", "BLOCK"}

Sources = dict[str, list[dict[str, Any]]]


def replayed(files: list[Path]) -> tuple[int, str, str]:
    """Return exit code, output and errors of the command, run where no config.env lies."""
    done = subprocess.run(
        [sys.executable, "-m", "ai_suricata", "replay", "--format", "jsonl", *map(str, files)],
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"},
        cwd=ROOT / "tests",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def recorded() -> list[Path]:
    """Return every recorded file."""
    return [*sorted(eve.DATA.glob("labelled/*.json.gz")), *sorted(eve.DATA.glob("eve/*.json.gz"))]


@pytest.fixture(scope="module")
def output(recorded: list[Path]) -> tuple[int, str, str]:
    """Return what the command says to all of them: with the default HOME_NET."""
    return replayed(recorded)


@pytest.fixture(scope="module")
def sources(output: tuple[int, str, str]) -> Mapping[str, list[dict[str, Any]]]:
    """Return the objects of the output by the name of their file."""
    found: Sources = defaultdict(list)
    for line in output[1].splitlines():
        source = json.loads(line)
        found[Path(source["file"]).name].append(source)
    return found


def test_every_recorded_file_is_replayed_to_its_end(
    output: tuple[int, str, str], recorded: list[Path], sources: Sources
) -> None:
    """Without a traceback; each file has sources."""
    code, _, errors = output

    assert (0, False) == (code, "Traceback" in errors)
    assert {path.name for path in recorded} == set(sources)


def test_each_line_is_one_source_with_exactly_the_fields_of_the_contract(sources: Sources) -> None:
    """Of the right types, each source once a file, and in the range of a score."""
    for listed in sources.values():
        assert len(listed) == len({source["ip"] for source in listed})
        for source in listed:
            assert FIELDS == list(source)
            assert 0 <= source["score"] <= 1
            assert source["level"] in LEVELS
            assert source["action"] in ACTIONS
            assert isinstance(source["blocked"], bool)
            assert source["events"] >= max(1, source["alerts"])
            assert source["first_seen"] <= source["last_seen"]


def test_nobody_is_accused_without_a_reason(sources: Sources) -> None:
    """Every source at LOW or above has one with a number in it; INFO has none."""
    for source in (source for listed in sources.values() for source in listed):
        accused = source["level"] != "INFO"
        assert accused == bool(source["reasons"])
        assert not accused or any(c.isdigit() for c in source["reasons"][0])


@pytest.mark.parametrize("name", ["ndpi-benign-dev", "semiperiodic-https-benign"])
def test_nobody_is_blocked_where_all_are_benign(sources: Sources, name: str) -> None:
    """Ordinary applications, and a client that looks like a beacon."""
    listed = sources[f"{name}.json.gz"]

    assert listed
    assert [] == [source["ip"] for source in listed if source["blocked"]]
    assert [] == [s["ip"] for s in listed if s["action"] in {"BLOCK", "RATE_LIMIT"}]


@pytest.mark.parametrize(
    ("name", "scanner"),
    [("synscan", "172.16.0.8"), ("masscan-tcp", "172.31.15.102"), ("nmap-80-all", "10.87.1.10")],
)
def test_a_scanner_is_found(sources: Sources, name: str, scanner: str) -> None:
    """At HIGH or above; it is at home, so it is reported and not blocked."""
    (found,) = [source for source in sources[f"{name}.json.gz"] if source["ip"] == scanner]

    assert LEVELS.index(found["level"]) >= LEVELS.index("HIGH")
    assert ("MONITOR", False) == (found["action"], found["blocked"])


def test_a_home_host_is_never_blocked_or_limited(sources: Sources) -> None:
    """RFC 1918 by default."""
    home = ("10.", "192.168.", *(f"172.{n}." for n in range(16, 32)))
    acted = [
        source["ip"]
        for listed in sources.values()
        for source in listed
        if source["action"] in {"BLOCK", "RATE_LIMIT"} and source["ip"].startswith(home)
    ]

    assert [] == acted


def test_the_same_files_give_the_same_output(sources: Sources, recorded: list[Path]) -> None:
    """To the byte, in another process, and whichever files come before: state is fresh."""
    some = [path for path in recorded if path.name.startswith(("ctu-010", "nmap", "synscan"))]
    code, output, _ = replayed(some[::-1])

    assert 0 == code
    found: Sources = defaultdict(list)
    for line in output.splitlines():
        source = json.loads(line)
        found[Path(source["file"]).name].append(source)
    assert {path.name: sources[path.name] for path in some} == found
