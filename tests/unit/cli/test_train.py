"""`ai-suricata train` as it is called."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest
from typer.testing import CliRunner

from ai_suricata.classify import artifact, train
from ai_suricata.classify.artifact import load
from ai_suricata.cli.app import app
from ai_suricata.core.errors import ArtifactError
from ai_suricata.core.schema import FEATURE_NAMES, SCHEMA_VERSION
from ai_suricata.state.label import Kind
from ai_suricata.state.label import Label as OperatorLabel
from fakes import eve
from unit.study import recording

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from ai_suricata.classify.estimator import Novelty
    from ai_suricata.classify.model import Model
    from fakes.eve import Record

ATTACKERS, CLIENTS = 24, 48


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where neither config.env nor samples lie."""
    monkeypatch.chdir(tmp_path)


def lab_folder(folder: Path, purpose: str = "train") -> Path:
    """Return a set of many password guessers and many clients."""
    folder.mkdir()
    names = {f"198.51.100.{n}": "malicious" for n in range(1, ATTACKERS + 1)}
    names |= {f"203.0.113.{n}": "benign" for n in range(1, CLIENTS + 1)}
    records: list[Record] = []
    for number, (address, label) in enumerate(names.items()):
        flow = eve.login if label == "malicious" else eve.flow
        records += [flow(address, at=number + n * 3) for n in range(20 + number % 7)]
    recording.written(folder / f"{purpose}-2.json.gz", records)
    rows = "\n".join(f"{address},{label},,yes,," for address, label in names.items())
    (folder / f"{purpose}-2.labels.csv").write_text(
        f"ip,label,role,handshake,tool,campaign\n{rows}\n"
    )
    (folder / "sets.csv").write_text(
        "name,purpose,seed,home_net,seconds,held_out_tools\n"
        f"{purpose}-2,{purpose},2,10.0.0.0/8,600,\n"
    )
    return folder


def call(*words: object) -> Result:
    """Run the command without cross-validation, which fits some models more."""
    return CliRunner().invoke(app, ["train", "--no-cross-validation", *map(str, words)])


def test_the_same_recordings_make_the_same_model(tmp_path: Path) -> None:
    """It knows a guesser from a client, and its digest is told."""
    folder = lab_folder(tmp_path / "lab")
    first = call("--data", folder, "--out", tmp_path / "a.zip")
    second = call("--data", folder, "--out", tmp_path / "b.zip")
    model = load((tmp_path / "a.zip").read_bytes())

    assert (0, 0) == (first.exit_code, second.exit_code), first.output
    assert first.stdout.replace("a.zip", "b.zip") == second.stdout
    assert f"{ATTACKERS + CLIENTS} sources, {ATTACKERS} attackers among them" in first.stdout
    assert "digest " in first.stdout
    assert model.judge is not None


def test_a_set_for_testing_teaches_nothing(tmp_path: Path) -> None:
    """Even where it is named: exit code 2, and nothing is written."""
    result = call("--data", lab_folder(tmp_path / "lab", "test"), "--out", tmp_path / "m.zip")

    assert (2, False) == (result.exit_code, (tmp_path / "m.zip").exists())
    assert "test-2: kept for testing, left out" in result.stderr


def test_too_few_sources_are_told(tmp_path: Path) -> None:
    """Two attackers are no training: exit code 1, and nothing is written."""
    recording.data_set(tmp_path)
    labels = recording.labels_file(tmp_path / "labels.csv", recording.labels().values())
    words = ("--data", tmp_path / "one.json.gz", "--labels", labels, "--home-net", "10.0.0.0/8")
    result = call(*words, "--out", tmp_path / "m.zip")

    assert (1, False) == (result.exit_code, (tmp_path / "m.zip").exists())
    assert "too few sources to learn from" in result.stderr


def test_operators_labels_take_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with the features of this schema; the others are counted."""
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    features = dict.fromkeys(FEATURE_NAMES, 1.0)
    label = OperatorLabel(1.0, "192.0.2.9", Kind.ATTACK, "", SCHEMA_VERSION, features, "none")
    old = msgspec.structs.replace(label, schema=SCHEMA_VERSION - 1)
    lines = [msgspec.json.encode(one) for one in (label, old)]
    (tmp_path / "labels.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    folder = lab_folder(tmp_path / "lab")
    result = call("--data", folder, "--labels-from-state", "--out", tmp_path / "m.zip")

    assert 0 == result.exit_code, result.output
    assert "1 labels, and 1 without features of this version's schema" in result.stderr
    assert f"{ATTACKERS + 1} attackers among them, out of 2 data sets" in result.stdout


def test_cross_validation_judges_what_was_left_out(tmp_path: Path) -> None:
    """With one data set, by who came later."""
    folder = lab_folder(tmp_path / "lab")
    result = CliRunner().invoke(
        app, ["train", "--data", str(folder), "--out", str(tmp_path / "m.zip")]
    )

    assert 0 == result.exit_code, result.output
    assert "Judged on what the model was not made of" in result.stdout
    assert "sources that came later" in result.stdout


def test_reproducing_compares_the_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1 where they differ; --write puts the made one in the shipped one's place."""
    folder = lab_folder(tmp_path / "lab")
    call("--data", folder, "--out", tmp_path / "made.zip")
    made = load((tmp_path / "made.zip").read_bytes())
    # That fitting is repeatable is another test's; here it would only take long.
    monkeypatch.setattr(train, "fit", lambda _rows, _progress: made)
    module = tmp_path / "classify" / "artifact.py"
    module.parent.mkdir()
    monkeypatch.setattr(artifact, "__file__", str(module))

    def shipped() -> Model:
        try:
            return load(module.with_name(artifact.DEFAULT).read_bytes())
        except OSError as error:
            raise ArtifactError(str(error)) from error

    monkeypatch.setattr(artifact, "default", shipped)
    before = call("--data", folder, "--reproduce")
    wrote = call("--data", folder, "--reproduce", "--write")
    after = call("--data", folder, "--reproduce")
    module.with_name(artifact.DEFAULT).write_bytes(
        artifact.dump(replace(shipped(), version="tampered", novelty=changed(shipped())))
    )
    tampered = call("--data", folder, "--reproduce")

    assert [1, 0, 0, 1] == [one.exit_code for one in (before, wrote, after, tampered)]
    assert "shipped: none" in before.stdout
    assert "written" in wrote.stdout


def changed(model: Model) -> Novelty:
    """Return what is usual, changed a little."""
    return replace(model.novelty, middle=model.novelty.middle + 0.001)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--labels", "labels.csv"), "--labels is for one eve file"),
        (("--write",), "--write goes with --reproduce"),
        (("--reproduce", "--labels-from-state"), "--reproduce takes the lab's recordings"),
        (("none.json",), "none.json does not exist"),
    ],
)
def test_a_wrong_argument_is_told(words: tuple[str, ...], sentence: str) -> None:
    """Exit code 2, and nothing is started."""
    result = call(*words)

    assert (2, "") == (result.exit_code, result.stdout)
    assert sentence in result.stderr


def test_without_anything_to_learn_from_nothing_is_written(tmp_path: Path) -> None:
    """There are no samples here."""
    result = call()

    assert (1, False) == (result.exit_code, (tmp_path / "model.zip").exists())
    assert "there is nothing to learn from" in result.stderr
