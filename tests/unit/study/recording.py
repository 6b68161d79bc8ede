"""Labelled recordings made for tests: an eve file and its labels."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

from ai_suricata.config.kinds import networks_of
from ai_suricata.study.dataset import DataSet, Kind, Purpose
from ai_suricata.study.label import Label, Truth
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from fakes.eve import Record

HOME = networks_of(["10.0.0.0/8"])
GUESSER, SCANNER = eve.STRANGER, eve.PEER
CLIENT, ALLOWED, FORGED = "192.0.2.77", "192.0.2.78", "192.0.2.79"


def written(path: Path, records: Iterable[Record]) -> Path:
    """Write the records as a gzip'd eve file."""
    text = "".join(f"{json.dumps(record)}\n" for record in records)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


def records() -> list[Record]:
    """Return one who guesses passwords, one who scans, one who may, a client, and a forged one."""
    return [
        *(eve.login(GUESSER, at=n) for n in range(80)),
        *(eve.silent(SCANNER, at=n * 0.1, port=n) for n in range(1, 200)),
        *(eve.login(ALLOWED, at=n) for n in range(80)),
        *(eve.flow(CLIENT, at=n * 20) for n in range(6)),
        eve.silent(FORGED, at=5, port=80),
    ]


def labels() -> dict[str, Label]:
    """Return what each of them was."""
    return {
        label.address: label
        for label in (
            Label(GUESSER, Truth.MALICIOUS, "ssh-brute-force", "hydra"),
            Label(SCANNER, Truth.MALICIOUS, "syn-scanner", "nmap"),
            Label(ALLOWED, Truth.BENIGN, "allowed-scanner", "nmap"),
            Label(CLIENT, Truth.BENIGN, "web-client", "curl"),
            Label(FORGED, Truth.SPOOFED, "syn-flood"),
            Label(eve.SERVER, Truth.BENIGN, "server"),
        )
    }


def data_set(
    folder: Path, kind: Kind = Kind.LAB, name: str = "one", purpose: Purpose = Purpose.TEST
) -> DataSet:
    """Return a recording of them all."""
    path = written(folder / f"{name}.json.gz", records())
    return DataSet(name, path, kind, purpose, HOME, labels(), frozenset({"nmap"}))


def labels_file(path: Path, found: Iterable[Label]) -> Path:
    """Write labels as the lab does."""
    lines = [f"{one.address},{one.truth},{one.role},yes,{one.tool},{one.campaign}" for one in found]
    path.write_text("\n".join(("ip,label,role,handshake,tool,campaign", *lines)) + "\n")
    return path
