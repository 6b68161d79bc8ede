"""The pfctl stand-in says what FreeBSD's pfctl says: the tests stand on it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fakes import pfctl

if TYPE_CHECKING:
    from pathlib import Path

    Answer = tuple[int, str, str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a state with the table `t`, which holds a network and an address, and one `fixed`."""
    entries = {"192.0.2.0/24": 0.0, "203.0.113.7": 4_000_000_000.0}
    state = {
        "tables": {
            "t": {"const": False, "entries": entries},
            "fixed": {"const": True, "entries": {}},
        },
        "rules": ["block drop in inet from <t> to any"],
        "states": [],
        "faults": [],
        "limit": 5,
        "altq": False,
    }
    (tmp_path / "state.json").write_text(json.dumps(state))
    return tmp_path


def run(folder: Path, command: str, stdin: str = "") -> Answer:
    """Return exit code, stdout and stderr of the command."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", pfctl.__file__, str(folder)],
        env={"SSH_ORIGINAL_COMMAND": command},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "stdin", "expected"),
    [
        ("pfctl -t t -T add 198.51.100.9", "", (0, "", "1/1 addresses added.\n")),
        ("pfctl -t t -T add -f -", "203.0.113.7 # old\n#\n", (0, "", "0/1 addresses added.\n")),
        ("pfctl -t t -T add 192.0.2.9", "", (0, "", "1/1 addresses added.\n")),
        ("pfctl -t n -T add ::1", "", (0, "", "1 table created.\n1/1 addresses added.\n")),
        ("pfctl -q -t n -T add ::1", "", (0, "", "")),
        ("/sbin/pfctl -t t -T delete 203.0.113.7", "", (0, "", "1/1 addresses deleted.\n")),
        ("pfctl -t t -T d 198.51.100.9", "", (0, "", "0/1 addresses deleted.\n")),
        (
            "pfctl -t t -T r 203.0.113.7 ::1 ::2",
            "",
            (0, "", "2 addresses added.\n1 addresses deleted.\n"),
        ),
        ("pfctl -t t -T r -f -", "203.0.113.7\n192.0.2.0/24\n", (0, "", "no changes.\n")),
        ("pfctl -t t -T show", "", (0, "   192.0.2.0/24\n   203.0.113.7\n", "")),
        ("pfctl -tt -Ttest 203.0.113.7 192.0.2.200", "", (0, "", "2/2 addresses match.\n")),
        ("pfctl -t t -T test 203.0.113.7 ::1", "", (2, "", "1/2 addresses match.\n")),
        (
            "pfctl -t t -T test 192.0.2.0/24",
            "",
            (255, "", "pfctl: cannot decode 192.0.2.0/24: Invalid argument\n"),
        ),
        ("pfctl -t t -T expire 60", "", (0, "", "1/2 addresses expired.\n")),
        ("pfctl -t t -T flush", "", (0, "", "2 addresses deleted.\n")),
        ("pfctl -t t -T kill", "", (0, "", "1 table deleted.\n")),
        ("pfctl -t x -T show", "", (255, "", "pfctl: Table does not exist.\n")),
        ("pfctl -t x -T delete ::1", "", (255, "", "pfctl: Table does not exist.\n")),
        ("pfctl -t fixed -T add ::1", "", (255, "", "pfctl: Operation not permitted.\n")),
        ("pfctl -t t -T add x.example", "", (255, "", "no IP address found for x.example\n")),
        ("pfctl -t t -T add 192.0.2.1/99", "", (255, "", "invalid netmask '/99'\n")),
        ("pfctl -sr", "", (0, "block drop in inet from <t> to any\n", "")),
        ("pfctl -s rules", "", (0, "block drop in inet from <t> to any\n", "")),
        ("pfctl -ss", "", (0, "", "")),
        ("pfctl -k ::1", "", (0, "", "killed 0 states from 1 sources and 0 destinations\n")),
    ],
)
def test_each_verb_answers_as_pfctl_does(
    folder: Path, command: str, stdin: str, expected: Answer
) -> None:
    """Exit code, stdout and stderr, to the letter."""
    assert expected == run(folder, command, stdin)


def test_over_the_limit_the_whole_batch_is_refused(folder: Path) -> None:
    """Two are held and five allowed: four more are too many, and none of them goes in."""
    expected = (255, "", "pfctl: Cannot allocate memory.\n")

    assert expected == run(folder, "pfctl -t t -T add ::1 ::2 ::3 ::4")
    assert run(folder, "pfctl -t t -T add ::1 ::2 ::3")[2] == "3/3 addresses added.\n"


@pytest.mark.parametrize("command", ["", "id", "pfctl -sr; id", "pfctl -sr\nid", "pfctlx -sr"])
def test_anything_but_pfctl_is_refused(folder: Path, command: str) -> None:
    """The gate stands where an operator's forced command would."""
    assert run(folder, command)[0] == 126
    assert not (folder / "commands.jsonl").exists()


def test_noise_comes_before_every_answer(folder: Path) -> None:
    """A kernel without ALTQ says so each time, and the exit code does not change."""
    with pfctl.locked(folder) as pf:
        pf.state["altq"] = True

    expected = (0, "", f"{pfctl.ALTQ_NOISE}0/1 addresses deleted.\n")
    assert expected == run(folder, "pfctl -t t -T delete ::1")


def test_a_fault_strikes_its_verb_as_often_as_it_was_told(folder: Path) -> None:
    """After those to be skipped, and not for other verbs."""
    with pfctl.locked(folder) as pf:
        pf.state["faults"].append({"kind": "no_memory", "verb": "add", "skip": 1, "times": 1})

    codes = [run(folder, f"pfctl -t t -T {verb} ::1")[0] for verb in ("add", "test", "add", "add")]

    assert codes == [0, 0, 255, 0]


def test_what_was_sent_is_written_down(folder: Path) -> None:
    """Command and input, in order of arrival."""
    run(folder, "pfctl -sr")
    run(folder, "pfctl -t t -T add -f -", "::1\n")

    lines = (folder / "commands.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    expected = [("pfctl -sr", ""), ("pfctl -t t -T add -f -", "::1\n")]
    assert expected == [(record["command"], record["stdin"]) for record in records]
    assert records[0]["time"] <= records[1]["time"]
