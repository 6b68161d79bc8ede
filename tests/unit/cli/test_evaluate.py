"""`ai-suricata evaluate` as it is called."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from ai_suricata.cli.app import app
from fakes import eve
from unit.study import recording

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

NO_CROWDSEC = "--no-crowdsec"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where neither config.env nor samples lie."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def eve_file(tmp_path: Path) -> Path:
    """Return a recorded file with attackers and clients."""
    return recording.written(tmp_path / "eve.json.gz", recording.records())


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Return its labels."""
    return recording.labels_file(tmp_path / "labels.csv", recording.labels().values())


def call(*words: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["evaluate", NO_CROWDSEC, *map(str, words)])


def figures(result: Result) -> dict[str, dict[str, object]]:
    """Return what was written as JSON lines, by figure."""
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return {one["figure"]: one for one in found}


def test_a_file_of_ones_own_is_judged_by_its_labels(eve_file: Path, labels: Path) -> None:
    """With the home network that is given; nobody harmless is blocked."""
    words = ("--data", eve_file, "--labels", labels, "--home-net", "10.0.0.0/8")
    result = call(*words, "--format", "jsonl")
    found = figures(result)

    assert result.exit_code in {0, 1}
    assert "eve: HOME_NET 10.0.0.0/8" in result.stderr
    assert 0.0 == found["benign sources blocked, guard on"]["value"]
    assert 1.0 == found["verdicts with a reason that names a feature and its value"]["value"]
    assert 2 == found["attackers with 5 flows or 2 alerts at HIGH or above, recorded files"]["n"]


def test_swapped_labels_miss_the_goals(eve_file: Path, tmp_path: Path) -> None:
    """Clients labelled attackers and attackers labelled clients: exit code 1, and which goals."""
    swapped = tmp_path / "swapped.csv"
    swapped.write_text(
        f"ip,label\n{recording.GUESSER},benign\n{recording.SCANNER},benign\n"
        f"{recording.CLIENT},malicious\n"
    )
    result = call("--data", eve_file, "--labels", swapped, "--home-net", "10.0.0.0/8")

    assert 1 == result.exit_code
    assert "MISSED" in result.stdout
    assert "of the goals missed" in result.stderr
    assert "benign sources that opened a flow at HIGH or above" in result.stderr


def test_in_a_pipe_the_table_is_plain(eve_file: Path, labels: Path) -> None:
    """No colours, and one line a figure."""
    result = call("--data", eve_file, "--labels", labels, "--home-net", "10.0.0.0/8")

    assert "\x1b" not in result.stdout
    assert "benign sources blocked, guard off" in result.stdout
    for name in ("any alert", "CrowdSec", "plain forest"):
        assert name in result.stdout
    assert "CrowdSec: not asked for" in result.stderr


def test_errors_are_written_as_json_lines(eve_file: Path, tmp_path: Path) -> None:
    """Who was wrongly accused, with flows, ports, score and reasons."""
    labels, errors = tmp_path / "labels.csv", tmp_path / "errors.jsonl"
    labels.write_text(f"ip,label\n{recording.GUESSER},benign\n")
    words = ("--data", eve_file, "--labels", labels, "--home-net", "10.0.0.0/8")
    call(*words, "--errors", errors)
    (found,) = [json.loads(line) for line in errors.read_text().splitlines()]

    assert ("benign and blocked", recording.GUESSER, 80) == (
        found["fault"],
        found["ip"],
        found["flows"],
    )
    assert {"tcp/22": 80} == found["ports"]
    assert found["reasons"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "there is no samples/lab here"),
        (("--data", "eve.json.gz"), "one eve file needs it"),
        (("--data", "eve.json.gz", "--labels", "none.csv"), "none.csv can't be read"),
        (("--data", "."), "holds neither sets.csv nor labels.csv.gz"),
        (
            ("--data", "eve.json.gz", "--labels", "labels.csv", "--home-net", "here"),
            "'here' is neither an address nor a network",
        ),
        (
            ("--data", "eve.json.gz", "--labels", "labels.csv", "--model", "labels.csv"),
            "labels.csv: ",
        ),
    ],
)
@pytest.mark.usefixtures("eve_file", "labels")
def test_a_wrong_argument_is_told_before_anything_is_measured(
    words: tuple[str, ...], sentence: str
) -> None:
    """Exit code 2, and the remedy."""
    result = call(*words)

    assert (2, "") == (result.exit_code, result.stdout)
    assert sentence in result.stderr


@eve.needs_data
def test_nobody_harmless_is_blocked_on_recorded_files() -> None:
    """All recorded files, guard on and off, each with its own home network."""
    found = figures(call("--data", eve.DATA / "labelled", "--format", "jsonl"))

    for guard in ("on", "off"):
        blocked = found[f"benign sources blocked, guard {guard}"]
        assert (0.0, True) == (blocked["value"], blocked["kept"])
        assert blocked["n"] == 3203
    blamed = found["hosts of the home network blamed for answering"]
    assert (0.0, True) == (blamed["value"], blamed["kept"])
