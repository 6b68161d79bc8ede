"""Cutting a sample: what stays, what goes, and in which order."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from lab import sample
from lab.label import Actor, Label, Role, read_labels, write_labels

if TYPE_CHECKING:
    from pathlib import Path

SERVER = Actor("192.0.2.10", Label.BENIGN, Role.SERVER, "asyncio")
CLIENT = Actor("2001:db8:2::5", Label.BENIGN, Role.WEB_CLIENT, "asyncio")
IDLE = Actor("198.51.100.9", Label.BENIGN, Role.MISTAKEN, "asyncio", handshake=False)
FORGED = [
    Actor(f"198.19.{n >> 8}.{n & 255}", Label.SPOOFED, Role.SYN_FLOOD, "raw", handshake=False)
    for n in range(300)
]
ACTORS = {actor.address: actor for actor in (SERVER, CLIENT, IDLE, *FORGED)}


def line(source: str, kind: str = "flow", **fields: object) -> str:
    """Return an EVE line, spaced as no writer of ours would do it."""
    event = {"event_type": kind, "src_ip": source, "dest_ip": SERVER.address, **fields}
    return json.dumps(event, separators=(", ", " : "))


def cut(*lines: str) -> list[str]:
    """Cut the lines with the labels above."""
    return list(sample.cut([(text, json.loads(text)) for text in lines], ACTORS))


def test_lines_stay_as_they_were_written() -> None:
    """Order and spelling are Suricata's own, IPv6 addresses written in full among them."""
    lines = [line("2001:0db8:0002:0000:0000:0000:0000:0005", n=n) for n in (3, 1, 2)]

    assert lines == cut(*lines)


def test_contents_of_packets_go() -> None:
    """Payload and packet fields are taken out of an event, the rest stays."""
    (kept,) = cut(line(CLIENT.address, "alert", payload="QUJD", packet="QUJD", alert={"gid": 1}))

    assert {
        "event_type": "alert",
        "src_ip": CLIENT.address,
        "dest_ip": SERVER.address,
        "alert": {"gid": 1},
    } == json.loads(kept)


def test_two_stats_stay() -> None:
    """Of many stats records, the first two."""
    lines = [json.dumps({"event_type": "stats", "n": n}) for n in range(5)]

    assert lines[:2] == cut(*lines)


def test_flood_is_thinned_by_source() -> None:
    """Two hundred forged sources stay with all of their events; the others go entirely."""
    lines = [line(actor.address, n=n) for n in range(2) for actor in FORGED]
    kept = [json.loads(text)["src_ip"] for text in cut(*lines)]

    assert 200 == len(set(kept))
    assert 400 == len(kept)


def test_address_without_label_is_an_error() -> None:
    """A sample with an unlabelled address can't be cut: the address is named."""
    with pytest.raises(LookupError, match=r"203\.0\.113\.99"):
        cut(line("203.0.113.99"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a small run."""
    folder = tmp_path / "run"
    folder.mkdir()
    write_labels(folder / "labels.csv", ACTORS.values())
    lines = [line(CLIENT.address), line(FORGED[0].address)]
    (folder / "eve.json").write_text("".join(f"{text}\n" for text in lines), encoding="ascii")
    return folder


def test_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    """Cutting is deterministic, to the byte of the compressed file."""
    for name in ("a", "b"):
        sample.write_sample(run, tmp_path / name)

    for file in (sample.EVENTS, sample.LABELS):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert bytes(4) == (tmp_path / "a" / sample.EVENTS).read_bytes()[4:8]  # MTIME, RFC 1952


def test_labels_of_the_absent_go(run: Path, tmp_path: Path) -> None:
    """The sample's labels are those of addresses that its events have, and no others."""
    sample.write_sample(run, tmp_path / "out")
    present: dict[str, Any] = read_labels(tmp_path / "out" / sample.LABELS)

    assert {CLIENT.address, SERVER.address, FORGED[0].address} == set(present)


def test_size_returned_is_that_of_the_file(run: Path, tmp_path: Path) -> None:
    """The size is that of the compressed events, which are the run's own."""
    size = sample.write_sample(run, tmp_path / "out")
    content = (tmp_path / "out" / sample.EVENTS).read_bytes()

    assert size == len(content)
    assert (run / "eve.json").read_bytes() == gzip.decompress(content)


def test_sample_that_is_too_large_is_an_error(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the limit nothing is written, and the remedy is named."""
    monkeypatch.setattr(sample, "LIMIT", 10)

    with pytest.raises(ValueError, match="make a shorter run"):
        sample.write_sample(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
