"""The enforcement benchmark in short, and what its harness notices."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from benchmarks import enforce
from benchmarks.enforce_baseline import Baseline
from benchmarks.enforce_outcome import Outcome, report
from benchmarks.enforce_proof import Audit, Figures, added, by_kind, kill_times
from benchmarks.enforce_traffic import BEFORE, attackers, before, deciding, stamped

from ai_suricata.classify import artifact
from ai_suricata.core.address import parse_address
from ai_suricata.core.verdict import Action
from fakes import eve
from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE, Received

ROOT = Path(__file__).parents[2]
LIMIT = 180.0
"""Seconds that a short run may take on a busy machine."""


@pytest.mark.system
def test_a_short_run(tmp_path: Path) -> None:
    """Nobody is met too early, everybody is proved; how fast, a busy machine does not tell.

    The name is short, since it is part of the path of the daemon's socket (107 bytes, unix(7)).
    """
    arguments = ("--attackers", "60", "--burst", "200", "--runs", "1")
    path = os.pathsep.join(str(ROOT / part) for part in ("src", "", "tests"))
    run = subprocess.run(
        [sys.executable, "benchmarks/enforce.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )

    assert "" == run.stderr
    assert [] == [line for line in run.stdout.splitlines() if line.startswith("run 1:")]
    assert re.search(r"of the burst \d+\.\d\d s \(goal: at most 5 s\): (held|MISSED)", run.stdout)
    assert (" held" in run.stdout.splitlines()[-1]) == (run.returncode == 0)
    assert [] == [*tmp_path.iterdir()]


@pytest.mark.parametrize("attacker", ["45.0.1.7", "2a0e:a::7"])
@pytest.mark.parametrize("later", [0.0, 30.0])
def test_the_last_line_alone_decides(attacker: str, later: float) -> None:
    """All lines before it leave an attacker below every table; it makes a block of him.

    The shipped model judges, as it does in the daemon; the line may come half a minute later.
    """
    analysis = eve.analysis(model=artifact.default())
    lines = before(attacker)
    first = analysis.lines(lines).verdicts
    last = analysis.lines([stamped(deciding(attacker), time.time() + later)]).verdicts

    assert BEFORE == len(lines)
    assert set() == {verdict.action for verdict in first} & {Action.BLOCK, Action.RATE_LIMIT}
    assert [(attacker, Action.BLOCK)] == [(one.address, one.action) for one in last]


def test_attackers_are_canonical_and_far_from_each_other() -> None:
    """Each is spelt as pf shows it, and has a /24 or a /64 of its own: no network is promoted."""
    addresses = [parse_address(text) for text in attackers(0, 3000)]

    assert attackers(0, 3000) == [str(address) for address in addresses]
    assert {4, 6} == {address.version for address in addresses}
    bits = {4: 8, 6: 64}
    assert 3000 == len({(a.version, int(a) >> bits[a.version]) for a in addresses})


def test_the_audit_is_read_on_from_where_the_last_look_ended(tmp_path: Path) -> None:
    """Half a line waits for its end; the first proof counts, and only of a block."""

    def told(state: str, target: str, table: str, second: int) -> bytes:
        moment = f"2026-01-01T00:00:{second:02d}.000000Z"
        return (
            f'{{"time":"{moment}","state":"{state}","target":"{target}","table":"{table}"}}\n'
        ).encode()

    path = tmp_path / "audit.jsonl"
    audit = Audit(path)
    assert {} == audit.look()
    late = told("enforced", "192.0.2.2", "block", 9)
    early = told("requested", "192.0.2.1", "block", 1) + told("enforced", "192.0.2.3", "limit", 2)
    path.write_bytes(early + told("enforced", "192.0.2.1", "block", 3) + late[:30])
    start = 1_767_225_600.0
    assert {"192.0.2.1": start + 3} == audit.look()
    path.write_bytes(path.read_bytes()[:-30] + late + told("enforced", "192.0.2.1", "block", 30))

    assert {"192.0.2.1": start + 3, "192.0.2.2": start + 9} == audit.look()
    assert {"192.0.2.1": "block", "192.0.2.3": "limit", "192.0.2.2": "block"} == audit.decided


def test_commands_are_read_by_table_and_kind() -> None:
    """The first add into the block table counts, and kills by the address that they are about."""
    add = "/sbin/pfctl -t {} -v -T add -f -"
    commands = [
        Received(1.0, add.format(LIMIT_TABLE), "192.0.2.1\n"),
        Received(2.0, add.format(BLOCK_TABLE), "192.0.2.1\n192.0.2.2\n"),
        Received(3.0, add.format(BLOCK_TABLE), "192.0.2.1\n"),
        Received(4.0, "/sbin/pfctl -k 192.0.2.1", ""),
        Received(5.0, "/sbin/pfctl -k 0.0.0.0/0 -k 192.0.2.1", ""),
        Received(6.0, "/sbin/pfctl -k 192.0.2.9", ""),
        Received(7.0, "/sbin/pfctl -ss", ""),
    ]

    assert {"192.0.2.1": 2.0, "192.0.2.2": 2.0} == added(commands)
    assert [4.0, 5.0] == kill_times(commands, {"192.0.2.1"})
    assert {"add": 3, "kill": 3, "states": 1} == dict(by_kind(commands))


def test_figures_are_those_of_the_nearest_rank() -> None:
    """Of a hundred, p99 is the last but one, and p50 the fiftieth."""
    figures = Figures([float(number) for number in range(100, 0, -1)])
    assert [50.0, 99.0, 100.0] == [figures.at(share) for share in (0.5, 0.99, 1.0)]


GOOD = {"proved": Figures([0.1]), "held": Figures([0.05]), "burst": 3.0}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"proved": Figures([0.3])}, 1),
        ({"burst": 5.1}, 1),
        ({"differences": ["192.0.2.1: met before its deciding line"]}, 1),
        ({"burst": 0.0}, 1),
        ({"proved": Figures()}, 1),
    ],
)
def test_the_exit_code_says_whether_both_goals_hold(
    changes: dict[str, object], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A goal that is missed, a run that was broken off, and a difference are all a failure."""
    outcome = Outcome(**{**GOOD, **changes})  # type: ignore[arg-type]  # as they are
    baseline = Baseline([0.003], [0.02], [0.02])
    arguments = argparse.Namespace(attackers=1, burst=100, runs=1)

    assert code == report([outcome], baseline, arguments)
    assert 1 == report([], baseline, arguments)
    assert "10,000" not in capsys.readouterr().out


def test_the_daemons_word_is_held_against_the_firewalls(tmp_path: Path) -> None:
    """An address that pf does not have, or had only after the proof, is a difference."""

    class Tables:
        def table(self, name: str) -> set[str]:
            assert BLOCK_TABLE == name
            return {"192.0.2.1", "192.0.2.3"}

    class Process:
        eve, state = tmp_path / "eve.json", tmp_path

    outcome = Outcome()
    bench = enforce.Bench(Process(), Tables(), outcome)  # type: ignore[arg-type]  # all it asks
    bench.audit.enforced = {"192.0.2.1": 3.0, "192.0.2.2": 3.0, "192.0.2.3": 3.0}
    addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    arrived = {"192.0.2.1": 2.0, "192.0.2.2": 2.0, "192.0.2.3": 4.0}
    bench._compare(addresses, dict.fromkeys(addresses, 1.0), arrived)

    assert [
        "192.0.2.2: said to be proved, and not in pf's table",
        "192.0.2.3: not in the order line, command, proof",
    ] == outcome.differences
    assert Counter() == outcome.commands
