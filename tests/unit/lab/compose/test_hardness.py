"""How hard a set is: the tree's F1, and whose vectors it is asked about."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from lab.compose import hardness
from lab.compose.cut import cut, write
from lab.compose.listing import DataSet, list_set
from lab.label import Actor, Label, Role

from fakes.eve import SERVER, flow, line, refused

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CLIENTS, SCANNERS = range(1, 9), range(11, 17)
SET = DataSet("train-2", "train", 2, "10.0.0.0/8", 86_400, "")


def test_tree_of_two_questions_tells_what_one_number_tells() -> None:
    """What one feature parts is told apart entirely; what three are needed for is not."""
    rng = np.random.default_rng(1)
    matrix = rng.integers(0, 2, (400, 3)).astype(np.float64)
    easy = hardness.Sources(matrix, matrix[:, 0] > 0)
    hard = hardness.Sources(matrix, matrix.sum(axis=1) % 2 > 0)

    assert 1.0 == hardness.f1(easy, easy)
    assert hardness.LIMIT > hardness.f1(hard, hard)


def small_set(folder: Path) -> None:
    """Write a set of clients that get answers and scanners that don't, and a forged source."""
    records = [flow(f"203.0.113.{n}", at=60.0 * n) for n in CLIENTS]
    records += [
        refused(f"203.0.113.{n}", at=60.0 * n + p, port=p) for n in SCANNERS for p in (1, 2)
    ]
    records.append(refused("198.19.0.1"))
    actors = [Actor(SERVER, Label.BENIGN, Role.SERVER, "asyncio")]
    actors += [Actor(f"203.0.113.{n}", Label.BENIGN, Role.WEB_CLIENT, "curl") for n in CLIENTS]
    actors += [Actor(f"203.0.113.{n}", Label.MALICIOUS, Role.SYN_SCANNER, "nmap") for n in SCANNERS]
    actors.append(Actor("198.19.0.1", Label.SPOOFED, Role.SYN_FLOOD, "raw socket"))
    events = cut([line(record) for record in records])
    write(events, {actor.address: actor for actor in actors}, folder, SET.name)
    list_set(folder, SET)


def test_only_the_malicious_and_the_benign_are_asked_about(tmp_path: Path) -> None:
    """Every source has one vector, its last; forged sources have no say."""
    small_set(tmp_path)
    found = hardness.sources(tmp_path, SET)

    assert (len(CLIENTS) + len(SCANNERS), len(SCANNERS)) == (
        len(found.attacks),
        int(found.attacks.sum()),
    )


def test_too_easy_a_set_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program fails where the tree tells all apart, as it does clients from scanners here."""
    small_set(tmp_path)
    monkeypatch.setattr(sys, "argv", ["hardness", str(tmp_path)])

    assert 1 == hardness.main()
    assert "| train-2 | 6 | 8 | 1.000 | 1.000 |" in capsys.readouterr().out
