"""A composed day, read by the real Suricata: every conversation is a flow, and labelled."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
from collections import Counter
from ipaddress import ip_address
from typing import TYPE_CHECKING

import lab.compose.__main__ as program
import pytest
from lab import estate
from lab.capture import Connection
from lab.compose.day import plan
from lab.compose.listing import read_sets
from lab.compose.take import record
from lab.label import write_labels

from fakes.take import ACTORS, HOST, SCANNER, SERVER, START, requests, write_run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def _means() -> None:
    """Skip where there is no Suricata; fail there in CI."""
    if shutil.which("suricata") is not None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail("suricata is not installed")
    pytest.skip("suricata is not installed")


def live_run(folder: Path, seed: int) -> Path:
    """Write what a live run leaves: a reader, a scanner of forty ports, and an infected host."""
    folder.mkdir()
    frames = requests()
    for port in range(1, 41):
        knock = Connection(SCANNER.address, 50_000 + port, SERVER.address, port, START + port)
        frames.append(knock.open().packets[0])
    for number in range(4):
        call = Connection(HOST.address, 40_000 + number, estate.OUTSIDE_CONTROL[0], 443, START)
        frames += call.open().close().packets
    write_run(folder, frames)
    write_labels(folder / "labels.csv", ACTORS.values())
    told = {"seed": seed, "home_net": list(estate.HOME_NET)}
    (folder / "run.json").write_text(json.dumps(told), encoding="ascii")
    return folder


def compose(monkeypatch: pytest.MonkeyPatch, run: Path, out: Path, purpose: str, seed: int) -> int:
    """Run the program as its user does; return the exit status."""
    words = ["--takes", str(run), "--seed", str(seed), "--purpose", purpose, "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["compose", *words, "--sources", "100"])
    return program.main()


def test_composed_day_becomes_a_labelled_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each conversation comes out as one flow at its own time of the day, twice the same bytes."""
    run, out = live_run(tmp_path / "run", seed=2), tmp_path / "out"
    assert 0 == compose(monkeypatch, run, out, "train", 2)
    first = (out / "train-2.json.gz").read_bytes()
    assert 0 == compose(monkeypatch, run, out, "train", 2)
    assert first == (out / "train-2.json.gz").read_bytes()

    day = plan(2, 100, [record(run)])
    events = [json.loads(line) for line in gzip.decompress(first).splitlines()]
    flows = [event for event in events if event["event_type"] == "flow"]
    planned = Counter(str(ip_address(p.change.client)) for p in day.placements)
    assert planned == Counter(str(ip_address(flow["src_ip"])) for flow in flows)
    assert 0 < sum(event["event_type"] == "http" for event in events)
    assert [("train-2", "train", 86_400)] == [
        (one.name, one.purpose, one.seconds if one.seed == 2 else 0) for one in read_sets(out)
    ]
    assert sorted(event["timestamp"] for event in events) == [e["timestamp"] for e in events]


def test_training_never_sees_what_testing_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Odd runs and odd days are for testing alone: the mix is refused and nothing is written."""
    odd = live_run(tmp_path / "odd", seed=3)

    assert 1 == compose(monkeypatch, odd, tmp_path / "out", "train", 2)
    assert "the run of seed 3 is not for train" in capsys.readouterr().err
    assert 1 == compose(monkeypatch, odd, tmp_path / "out", "train", 3)
    assert "seed 3 is not for train" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
