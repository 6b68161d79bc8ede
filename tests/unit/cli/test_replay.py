"""`ai-suricata replay` and `train`: what they are given, and how they end.

Suricata is a fake here; the real one is in tests/integration/test_pcap.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from lab.capture import http, write_pcap
from typer.testing import CliRunner

from ai_suricata.cli.app import app
from fakes import eve
from fakes.process import wait_for
from fakes.suricata import FakeSuricata

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from typer.testing import Result

    from fakes.eve import Record

HOME = ("--home-net", "10.0.0.0/8")
RECORDS = [eve.login(at=n) for n in range(80)] + [eve.flow("192.0.2.77", at=n) for n in range(5)]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSuricata:
    """Return a fake on PATH that writes the records above for any capture."""
    made = FakeSuricata(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{made.home}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it remembers the first one
    (tmp_path / "tmp").mkdir()
    made.behave(writing(RECORDS))
    return made


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Return a capture; what it holds is the fake's business."""
    return write_pcap(tmp_path / "a.pcap", http("192.0.2.1", 1024, "10.0.0.1", "/", 1.0).packets)


def written(path: Path, records: Sequence[Record] = RECORDS) -> Path:
    """Write an eve file."""
    path.write_bytes(b"".join(eve.line(record) + b"\n" for record in records))
    return path


def writing(records: Sequence[Record]) -> str:
    """Return what the fake does to write these records."""
    text = b"".join(eve.line(record) + b"\n" for record in records)
    return f"eve.write({text!r})"


def call(*words: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, [str(word) for word in words])


def replay(*words: object) -> Result:
    """Run `replay`, which lists JSON objects."""
    return call("replay", "--format", "jsonl", *HOME, *words)


def listed(result: Result) -> list[dict[str, Any]]:
    """Return what was listed, without the name of the file."""
    return [json.loads(line) | {"file": ""} for line in result.stdout.splitlines()]


def test_a_capture_is_listed_as_the_eve_file_that_is_kept_of_it(
    fake: FakeSuricata, capture: Path, tmp_path: Path
) -> None:
    """Under its own name, and nothing else is left behind."""
    kept = tmp_path / "kept.json"
    direct = replay("--keep-eve", kept, capture)
    again = replay(kept)

    assert (0, "", 0) == (direct.exit_code, direct.stderr, again.exit_code)
    assert {str(capture)} == {json.loads(line)["file"] for line in direct.stdout.splitlines()}
    assert listed(again) == listed(direct)
    assert ["BLOCK", "IGNORE"] == [source["action"] for source in listed(direct)]
    assert [] == list((tmp_path / "tmp").iterdir())
    assert "vars.address-groups.HOME_NET=[10.0.0.0/8]" in fake.words


def test_a_folder_of_eve_files_is_listed_file_by_file(tmp_path: Path) -> None:
    """The oldest first, each with fresh state, or with --keep going on."""
    folder = tmp_path / "eve"
    folder.mkdir()
    new = written(folder / "eve.json", [eve.flow(at=200)])
    old = written(folder / "eve.json.1", [eve.flow(at=100)])
    found = [json.loads(line) for line in replay(folder).stdout.splitlines()]
    kept = [json.loads(line) for line in replay("--keep", folder).stdout.splitlines()]

    assert [(str(old), 1), (str(new), 1)] == [(one["file"], one["events"]) for one in found]
    assert [1, 2] == [one["events"] for one in kept]


def test_each_argument_that_can_not_be_read_is_named(tmp_path: Path, capture: Path) -> None:
    """All at once, and nothing is started: exit code 2."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "b.pcap").touch()
    for command in ("replay", "train"):
        result = call(command, tmp_path / "none", capture, tmp_path / "empty", tmp_path / "b.pcap")

        assert (2, "") == (result.exit_code, result.stdout)
        assert 3 == len(result.stderr.splitlines())
        assert f"ai-suricata: {tmp_path}/none does not exist" in result.stderr
        assert f"{tmp_path}/empty holds neither captures nor eve files" in result.stderr


def test_without_suricata_a_capture_is_refused_and_an_eve_file_is_not(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remedy is named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for command in ("replay", "train"):
        result = call(command, capture)
        assert 2 == result.exit_code
        assert "not installed: install suricata" in result.stderr
    assert 0 == replay(written(tmp_path / "eve.json")).exit_code


@pytest.mark.usefixtures("fake")
def test_keep_eve_needs_one_capture_and_a_free_name(capture: Path, tmp_path: Path) -> None:
    """Otherwise nothing is started: an older file stays as it is."""
    file = written(tmp_path / "eve.json")
    for words, sentence in (
        (("--keep-eve", tmp_path / "x", file), "none is named"),
        (("--keep-eve", tmp_path / "x", capture, capture), "several is named"),
        (("--keep-eve", file, capture), "is there already"),
        (("--keep-eve", tmp_path / "no" / "x", capture), f"there is no folder {tmp_path}/no"),
    ):
        result = replay(*words)
        assert (2, "") == (result.exit_code, result.stdout)
        assert sentence in result.stderr
    assert 85 == len(file.read_bytes().splitlines())


def test_a_suricata_that_fails_is_told_and_the_other_files_are_listed(
    fake: FakeSuricata, capture: Path, tmp_path: Path
) -> None:
    """Of what fails nothing is listed, since half of it is no result: exit code 1."""
    fake.behave(f"{writing(RECORDS)}\nsay('Error', 'no room'); sys.exit(1)")
    file = written(tmp_path / "eve.json")
    result = replay("--keep-eve", tmp_path / "kept", capture, file)

    assert 1 == result.exit_code
    assert f"ai-suricata: {capture}: Suricata ended with 1: no room\n" == result.stderr
    assert {str(file)} == {json.loads(line)["file"] for line in result.stdout.splitlines()}
    assert not (tmp_path / "kept").exists()
    trained = call("train", "-o", tmp_path / "m.zip", capture)
    assert (1, False) == (trained.exit_code, (tmp_path / "m.zip").exists())


def test_a_damaged_capture_is_listed_as_far_as_it_goes(fake: FakeSuricata, capture: Path) -> None:
    """And the exit code says that it is not all."""
    damage = f"error code -1 truncated for {capture}"
    fake.behave(f"{writing(RECORDS)}\nsay('Error', {damage!r})")
    result = replay(capture)

    assert (1, 2) == (result.exit_code, len(result.stdout.splitlines()))
    assert f"{capture} was damaged" in result.stderr


def test_hints_and_rejected_lines_do_not_fail(fake: FakeSuricata, capture: Path) -> None:
    """They are told on standard error."""
    fake.behave(
        f"{writing(RECORDS)}\neve.write(b'x' * 2000 + b'\\nnot json\\n')\n"
        "say('Warning', '1 rule files specified, but no rules were loaded!', 'detect')"
    )
    result = CliRunner().invoke(
        app, ["replay", *HOME, str(capture)], env={"MAX_LINE_BYTES": "1024"}
    )

    assert 0 == result.exit_code
    assert "lines rejected: 1 not_json, 1 too_long\n" in result.stderr
    assert "no alerts: run suricata-update, or name a file with --rules" in result.stderr


@pytest.mark.usefixtures("fake")
def test_train_takes_captures_and_eve_files_together(capture: Path, tmp_path: Path) -> None:
    """One model of all of them, the same as of the eve files alone."""
    file, folder = written(tmp_path / "eve.json"), tmp_path / "eve"
    folder.mkdir()
    written(folder / "eve.json")
    said = []
    for words in ((capture, file), (folder, file)):
        result = call("train", *HOME, "-o", tmp_path / "model.zip", *words)
        assert 0 == result.exit_code, result.stderr
        said.append(result.stdout)

    assert said[0] == said[1]
    assert "learned from" in said[0]


def test_train_says_what_a_recording_of_suspects_lacks(tmp_path: Path) -> None:
    """How many there are, and what to give instead; no model is written: exit code 1."""
    attacks = written(tmp_path / "eve.json", [eve.login(at=n) for n in range(80)])
    result = call("train", *HOME, "-o", tmp_path / "model.zip", attacks)

    assert (1, "") == (result.exit_code, result.stdout)
    assert "every source (1 in all) scored 0.50 (MEDIUM) or above" in result.stderr
    assert "give a longer recording with ordinary clients in it" in result.stderr
    assert not (tmp_path / "model.zip").exists()


@pytest.mark.parametrize("command", ["replay", "train"])
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_stopped_ends_suricata_and_says_so(
    fake: FakeSuricata, capture: Path, tmp_path: Path, command: str, ending: signal.Signals
) -> None:
    """With all lines read and more to come; its files are gone."""
    fake.behave(f"{writing(RECORDS)}\n(home / 'there').touch()\nwait_for('never')")
    process = subprocess.Popen(
        [sys.executable, "-m", "ai_suricata", command, str(capture)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for((fake.home / "there").exists, "the fake")
    process.send_signal(ending)
    out, err = process.communicate(timeout=30)

    assert (1, "") == (process.returncode, out)
    assert "ai-suricata: stopped before the end; nothing is left behind\n" == err
    assert [] == list((tmp_path / "tmp").iterdir())
