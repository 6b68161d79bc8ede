"""The pfctl stand-in says what FreeBSD's pfctl says: the tests stand on it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from fakes import pfctl

if TYPE_CHECKING:
    from pathlib import Path

    Answer = tuple[int, str, str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a state with the table `t`, which holds a network and an address, and one `fixed`."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "t").write_text("192.0.2.0/24 0.0\n203.0.113.7 4000000000.0\n")
    (tmp_path / "tables" / "fixed").write_text("")
    (tmp_path / "const").write_text("fixed")
    (tmp_path / "rules").write_text("block drop in inet from <t> to any\n")
    (tmp_path / "limit").write_text("5")
    return tmp_path


def run(folder: Path, command: str, stdin: str = "") -> Answer:
    """Return exit code, stdout and stderr of the command."""
    done = subprocess.run(
        pfctl.command(str(folder)),
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


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2001:0DB8:0:0::BAD", "2001:db8::bad"),
        ("::ffff:203.0.113.9", "::ffff:203.0.113.9"),
        ("2001:db8::bad/64", "2001:db8::/64"),
        ("198.51.100.9/24", "198.51.100.0/24"),
        ("198.51.100.9/32", "198.51.100.9"),
        ("!198.51.100.9", "!198.51.100.9"),
    ],
)
def test_entries_are_shown_as_inet_ntop_writes_them(folder: Path, given: str, shown: str) -> None:
    """Host bits are cut off, and one host has no length."""
    assert run(folder, "pfctl -t t -T add -f -", f"{given}\n")[0] == 0
    blank = "" if shown.startswith("!") else " "

    assert f"  {blank}{shown}" in run(folder, "pfctl -t t -T show")[1].splitlines()


@pytest.mark.parametrize("given", ["198.51.100.09", "1.2.3", "fe80::1%em0", "::g", "\u0661.2.3.4"])
def test_what_is_no_address_is_refused_with_the_whole_batch(folder: Path, given: str) -> None:
    """Pf would go on to ask DNS for it."""
    said = run(folder, "pfctl -t t -T add -f -", f"198.51.100.9\n{given}\n")

    assert (255, "", f"no IP address found for {given}\n") == said
    assert "198.51.100.9" not in run(folder, "pfctl -t t -T show")[1]


def test_the_longest_entry_decides(folder: Path) -> None:
    """As in pf's radix tree."""
    (folder / "limit").write_text("9")
    run(folder, "pfctl -t t -T add -f -", "!192.0.2.64/26 192.0.2.70 !192.0.2.9 2001:db8::/32\n")

    asked = {
        "192.0.2.1": 0,
        "192.0.2.9": 2,
        "192.0.2.65": 2,
        "192.0.2.70": 0,
        "192.0.3.1": 2,
        "2001:db8::5": 0,
        "2001:db9::5": 2,
    }
    assert asked == {one: run(folder, f"pfctl -t t -T test {one}")[0] for one in asked}


def test_info_says_whether_pf_is_on(folder: Path) -> None:
    """In its first line, on stdout."""
    assert run(folder, "pfctl -s info")[1].startswith("Status: Enabled for ")
    (folder / "disabled").touch()

    assert run(folder, "pfctl -si")[1].startswith("Status: Disabled ")


def test_states_are_listed_and_killed_by_what_is_named(folder: Path) -> None:
    """From a source, or from a source to a destination; what is left stays as it was."""
    ends = [("203.0.113.7", "192.0.2.10", "in"), ("192.0.2.10", "203.0.113.7", "out")]
    lines = [f"em0 tcp {a} 50000 {b} 443 {way} ESTABLISHED:ESTABLISHED\n" for a, b, way in ends]
    (folder / "states").write_text("".join(lines))
    listed = (
        "em0 tcp 192.0.2.10:443 <- 203.0.113.7:50000       ESTABLISHED:ESTABLISHED\n"
        "em0 tcp 192.0.2.10:50000 -> 203.0.113.7:443       ESTABLISHED:ESTABLISHED\n"
    )
    assert listed == run(folder, "pfctl -ss")[1]

    said = "killed 1 states from 1 sources and {} destinations\n"
    assert said.format(0) == run(folder, "pfctl -k 203.0.113.0/24")[2]
    assert said.format(1) == run(folder, "pfctl -k 0.0.0.0/0 -k 203.0.113.7")[2]
    assert "" == run(folder, "pfctl -ss")[1]


def test_the_survey_is_answered_where_the_gate_lets_it_through(folder: Path) -> None:
    """From the folder's files; one that is not there is missed as cat misses it."""
    (folder / "answers").mkdir()
    (folder / "answers" / "ifconfig").write_text("em0: flags=8843<UP> metric 0 mtu 1500\n")

    assert (0, "em0: flags=8843<UP> metric 0 mtu 1500\n", "") == run(folder, "/sbin/ifconfig -a")
    missing = "cat: /etc/resolv.conf: No such file or directory\n"
    assert (1, "", missing) == run(folder, "/bin/cat /etc/resolv.conf")
    (folder / "pfctl_only").touch()
    assert run(folder, "/sbin/ifconfig -a")[0] == 126
    assert run(folder, "/bin/cat /etc/passwd")[0] == 126


def test_any_input_is_written_down_as_json(folder: Path) -> None:
    """Also what needs an encoder."""
    odd = '"quoted" back\\slash\ttab ünicode\n'
    run(folder, "pfctl -t t -T add -f -", odd)

    assert odd == json.loads((folder / "commands.jsonl").read_text())["stdin"]


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
    (folder / "altq").touch()

    expected = (0, "", f"{pfctl.ALTQ_NOISE}0/1 addresses deleted.\n")
    assert expected == run(folder, "pfctl -t t -T delete ::1")


def test_a_fault_strikes_its_verb_as_often_as_it_was_told(folder: Path) -> None:
    """After those to be skipped, and not for other verbs."""
    (folder / "faults").write_text("no_memory add 1 1\n")

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
