"""The whole way, on the project's own sample: a growing eve.json in, addresses in pf's tables out.

A real sshd with a stand-in for pf, the daemon as a process, and the lab's labels to judge by.
"""

from __future__ import annotations

import csv
import random
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ai_suricata.playback import ending_at, recorded
from fakes.process import DaemonProcess, running, wait_for
from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE, PfStandIn, running_pf

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system

SAMPLES = Path(__file__).parents[2] / "samples"
FASTER = 8
DURATION = 60
"""Seconds of a block and of a rate limit: longer than the sample takes, so that none is stale."""
FOREIGN = {"9.9.9.9", "100.100.100.100", "2620:fe::fe"}
"""What somebody else has put into both tables."""
RECONCILE = 2
ROTATIONS = "suricata_ai_source_rotations_total"


@dataclass
class Labels:
    """Addresses by what they are to end up as."""

    to_block: set[str] = field(default_factory=set)
    to_limit: set[str] = field(default_factory=set)
    to_leave: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Read the labels of the lab."""
        with (SAMPLES / "lab.labels.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                kind = self.to_leave
                if row["label"] == "malicious":
                    kind = self.to_block if row["handshake"] == "yes" else self.to_limit
                kind.add(row["ip"])


@dataclass
class Played:
    """A daemon that has seen all of the sample, and the firewall that it works on."""

    daemon: DaemonProcess
    pf: PfStandIn
    labels: Labels

    def ours(self, table: str) -> set[str]:
        """Return what is in a table and was not put there by somebody else."""
        return self.pf.table(table) - FOREIGN


def play(daemon: DaemonProcess, lines: list[bytes]) -> None:
    """Append the lines in pieces while the file is rotated: by renaming, and by truncation."""
    cuts = random.Random(5)  # noqa: S311 - varied, not secret
    written = rotations = 0
    while written < len(lines):
        piece = lines[written : written + cuts.randrange(1, 600)]
        with daemon.eve.open("ab") as file:
            file.write(b"".join(piece)[:-40])  # a line in two parts
            file.flush()
            file.write(b"".join(piece)[-40:])
        written += len(piece)
        if cuts.random() < 0.2:
            rotations += 1
            daemon.eve.rename(daemon.folder / f"eve.json.{rotations}")
            daemon.eve.touch()
        elif cuts.random() < 0.2:
            wait_for(partial(_is_drained, daemon, written), "drained before the truncation")
            before = daemon.metric(ROTATIONS)
            daemon.eve.write_bytes(b"")
            wait_for(partial(_is_seen, daemon, before), "the truncation")
    assert rotations > 2
    wait_for(partial(_is_drained, daemon, len(lines)), "all events")


def _is_seen(daemon: DaemonProcess, before: float) -> bool:
    return daemon.metric(ROTATIONS) > before


def _is_drained(daemon: DaemonProcess, written: int) -> bool:
    return daemon.events() == written


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Yield a daemon that has seen the sample, with every decision carried out."""
    folder = tmp_path_factory.mktemp("sample")
    with running_pf(folder / "pf") as pf:
        pf.put(BLOCK_TABLE, *FOREIGN)
        pf.put(LIMIT_TABLE, *FOREIGN)
        variables = {
            **pf.environment(),
            "AUTO_BLOCK": "true",
            "HOME_NET": "192.0.2.0/24,2001:db8:1::/64",
            "TRAINING_EVENTS": "2000",
            "BLOCK_DURATION": str(DURATION),
            "RATE_LIMIT_DURATION": str(DURATION),
            "RECONCILE_INTERVAL": str(RECONCILE),
        }
        (folder / "eve.json").touch()
        with running(folder, variables=variables) as daemon:
            lines = ending_at(
                recorded(SAMPLES / "lab.json.gz"), int(time.time() * 1_000_000), faster=FASTER
            )
            play(daemon, lines)
            wait_for(lambda: "requested" not in daemon.ledger("pfsense").values(), "all enforced")
            yield Played(daemon, pf, Labels())


def test_attackers_that_complete_handshakes_are_blocked(played: Played) -> None:
    """All of them, and nobody else."""
    assert played.labels.to_block
    assert played.labels.to_block == played.ours(BLOCK_TABLE)


def test_scanners_that_complete_none_are_rate_limited_and_not_blocked(played: Played) -> None:
    """Their packets could have been forged."""
    assert played.labels.to_limit
    assert played.labels.to_limit <= played.ours(LIMIT_TABLE)
    assert set() == played.labels.to_limit & played.ours(BLOCK_TABLE)


def test_benign_and_forged_addresses_are_in_neither_table(played: Played) -> None:
    """First, do no harm."""
    in_tables = played.ours(BLOCK_TABLE) | played.ours(LIMIT_TABLE)

    assert set() == in_tables & played.labels.to_leave
    assert set() == in_tables - played.labels.to_block - played.labels.to_limit


def test_what_is_in_the_tables_is_what_the_ledger_says(played: Played) -> None:
    """Each entry is known as ours and proved."""
    for table, name in (("block", BLOCK_TABLE), ("limit", LIMIT_TABLE)):
        stored = played.daemon.ledger("pfsense")
        proved = {
            ip for (ip, where), state in stored.items() if (where, state) == (table, "enforced")
        }
        assert proved == played.ours(name)


def test_after_a_filter_reload_they_are_back(played: Played) -> None:
    """Within the interval of reconciling; what was not ours is not put back."""
    before = played.ours(BLOCK_TABLE), played.ours(LIMIT_TABLE)
    played.pf.empty(BLOCK_TABLE)
    played.pf.empty(LIMIT_TABLE)

    wait_for(
        lambda: before == (played.pf.table(BLOCK_TABLE), played.pf.table(LIMIT_TABLE)),
        "both tables as before",
        RECONCILE + 3,
    )


def test_after_their_end_ours_are_gone_and_those_of_others_are_not(played: Played) -> None:
    """An expiry reaches the firewall."""
    played.pf.put(BLOCK_TABLE, *FOREIGN)
    played.pf.put(LIMIT_TABLE, *FOREIGN)

    wait_for(
        lambda: FOREIGN == played.pf.table(BLOCK_TABLE) == played.pf.table(LIMIT_TABLE),
        "only those of others left",
        DURATION + 10,
    )
    assert not [c for c in played.pf.commands() if "-T flush" in c.command]
    wait_for(lambda: {"watched"} == set(played.daemon.ledger("pfsense").values()), "all watched")
    assert 0 == played.daemon.terminate()
