"""Cutting a capture into takes: whose a packet is, and what is left out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from lab import estate
from lab.capture import Connection
from lab.compose.take import record
from lab.label import write_labels
from lab.process import LabError

from fakes.take import ACTORS, CONTROL, READER, SCANNER, SERVER, START, cutter, requests, write_run

if TYPE_CHECKING:
    from pathlib import Path


def test_conversations_belong_to_who_opened_them() -> None:
    """Both directions are in the client's take, in order, with times from its beginning."""
    (take,) = cutter(requests(count=2)).takes(seed=5)

    assert READER == take.actor
    assert [0, 10_000_000] == [c.start for c in take.conversations]
    assert [True, True] == [c.completed and c.accepted for c in take.conversations]
    first = take.conversations[0]
    assert len(requests(count=1)) == len(first.segments)
    assert [True, False, True] == [segment.outward for segment in first.segments[:3]]


def test_clients_are_kept_apart() -> None:
    """Two clients that speak at once have a take each."""
    frames = requests() + requests(SCANNER.address, count=1)
    takes = cutter(frames).takes(seed=5)

    assert {READER.address: 3, SCANNER.address: 1} == {
        take.actor.address: len(take.conversations) for take in takes
    }


def test_repeated_syn_is_no_second_conversation() -> None:
    """A SYN with the same number is the kernel's insistence; with another, a new connection."""
    again = Connection(READER.address, 40_000, estate.WEB, 80, START).open().packets[:1]
    same = cutter([*again, (START + 1, again[0][1]), (START + 3, again[0][1])])
    other = Connection(READER.address, 40_000, estate.WEB, 80, START + 5)
    other._next[0] = 77
    both = cutter([*again, *other.open().packets])

    assert [3] == [len(c.segments) for c in same.takes(1)[0].conversations]
    assert [1, 3] == [len(c.segments) for c in both.takes(1)[0].conversations]


def test_what_began_before_the_capture_is_counted() -> None:
    """An answer to nothing is no conversation of the server's."""
    answer = requests(count=1)[1:2]
    cut = cutter(answer)

    assert () == cut.takes(seed=1)
    assert 1 == cut.skipped["no-beginning"]


def test_strangers_without_a_label_are_counted() -> None:
    """Nobody knows what to call them, so they are not placed."""
    cut = cutter(requests("198.51.100.99", count=1))

    assert () == cut.takes(seed=1)
    assert 0 < cut.skipped["unknown-client"]


def test_run_is_read_from_its_folder(tmp_path: Path) -> None:
    """Capture, labels and record make a recording; a folder without them is named."""
    write_run(tmp_path, requests())
    write_labels(tmp_path / "labels.csv", ACTORS.values())
    told = {"seed": 4, "home_net": list(estate.HOME_NET)}
    (tmp_path / "run.json").write_text(json.dumps(told), encoding="ascii")
    recorded = record(tmp_path)

    assert (4, [READER]) == (recorded.seed, [take.actor for take in recorded.takes])
    assert recorded.is_home(SERVER.address)
    assert not recorded.is_home(CONTROL.address)
    with pytest.raises(LabError, match="no run that can be read"):
        record(tmp_path / "elsewhere")
