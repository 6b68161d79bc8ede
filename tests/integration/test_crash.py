"""Killed, or without its firewall, the daemon leaves nothing that is nobody's.

A real sshd with a stand-in for pf, and the daemon as a process.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from ai_suricata.features.table import LAYOUT
from ai_suricata.state.memory import MemoryState
from fakes.process import DaemonProcess, guesses, wait_for
from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE, PfStandIn, running_pf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system

ATTACKER = "203.0.113.7"
OTHER = "203.0.113.8"
FOREIGN = {"9.9.9.9"}
DURATION = 10
KEY = (ATTACKER, "block")


@pytest.fixture
def pf(tmp_path: Path) -> Iterator[PfStandIn]:
    """Yield a firewall with an entry of somebody else's."""
    with running_pf(tmp_path / "pf") as stand_in:
        stand_in.put(BLOCK_TABLE, *FOREIGN)
        yield stand_in


@pytest.fixture
def daemon(tmp_path: Path, pf: PfStandIn) -> Iterator[DaemonProcess]:
    """Yield a daemon that blocks, not started yet."""
    variables = {
        **pf.environment(),
        "AUTO_BLOCK": "true",
        "BLOCK_DURATION": str(DURATION),
        "RATE_LIMIT_DURATION": str(DURATION),
        "PFSENSE_TIMEOUT": "5",
        "RECONCILE_INTERVAL": "2",
    }
    process = DaemonProcess(tmp_path, variables)
    yield process
    process.kill()


def state_of(daemon: DaemonProcess, key: tuple[str, str] = KEY) -> str:
    """Return the state in the stored ledger."""
    return daemon.ledger("pfsense").get(key, "")


def wait_for_expiry(daemon: DaemonProcess) -> None:
    """Wait until the clock is past the end of every block."""
    entries = MemoryState(daemon.state, "pfsense", LAYOUT).ledger.read()
    end = max(entry.expires_at for entry in entries)
    wait_for(lambda: time.time() > end, "the end of the block", DURATION + 5)


@pytest.mark.parametrize("verb", ["rules", "test", "states"])
def test_killed_between_the_command_and_its_proof_the_entry_is_known(
    daemon: DaemonProcess, pf: PfStandIn, verb: str
) -> None:
    """The restarted daemon proves it as its own, and takes it out at its end."""
    daemon.start_ready()
    pf.fault("hang", verb=verb, times=-1)
    daemon.write(guesses(ATTACKER))
    wait_for(lambda: ATTACKER in pf.table(BLOCK_TABLE), "the command was carried out")
    assert "requested" == state_of(daemon)
    daemon.kill()
    assert "requested" == state_of(daemon)

    pf.clear_faults()
    daemon.start_ready()
    wait_for(lambda: state_of(daemon) == "enforced", "known and proved")
    assert {ATTACKER, *FOREIGN} == pf.table(BLOCK_TABLE)
    wait_for(lambda: FOREIGN == pf.table(BLOCK_TABLE), "taken out", DURATION + 10)
    wait_for(lambda: state_of(daemon) == "watched")
    assert 0 == daemon.terminate()


def test_down_over_the_end_of_a_block_it_is_taken_out_at_the_next_start(
    daemon: DaemonProcess, pf: PfStandIn
) -> None:
    """Killed before the proof, back only after the end: an expiry still reaches the firewall."""
    daemon.start_ready()
    pf.fault("hang", verb="rules", times=-1)
    daemon.write(guesses(ATTACKER))
    wait_for(lambda: ATTACKER in pf.table(BLOCK_TABLE), "the command was carried out")
    daemon.kill()
    pf.clear_faults()
    wait_for_expiry(daemon)
    assert {ATTACKER, *FOREIGN} == pf.table(BLOCK_TABLE)

    daemon.start_ready()
    wait_for(lambda: FOREIGN == pf.table(BLOCK_TABLE), "taken out")
    wait_for(lambda: set() == pf.table(LIMIT_TABLE), "taken out")
    # What was read and not stored is read again: those verdicts are too old to act on by now.
    wait_for(lambda: state_of(daemon) in {"watched", "refused"})


def test_killed_between_the_wish_and_the_command_the_wish_is_carried_out_later(
    daemon: DaemonProcess, pf: PfStandIn
) -> None:
    """The ledger had it before anything was sent."""
    daemon.variables["BLOCK_DURATION"] = "30"
    daemon.start_ready()
    pf.stop()
    daemon.write(guesses(ATTACKER))
    wait_for(lambda: state_of(daemon) == "requested", "the wish is durable")
    daemon.kill()
    assert FOREIGN == pf.table(BLOCK_TABLE)

    pf.start()
    daemon.start_ready()
    wait_for(lambda: ATTACKER in pf.table(BLOCK_TABLE), "carried out")
    wait_for(lambda: state_of(daemon) == "enforced", "proved")


def test_a_firewall_that_is_away_at_the_start_is_waited_for(
    daemon: DaemonProcess, pf: PfStandIn
) -> None:
    """It decides, records, degrades and says so; what was wished for comes when pf is back."""
    daemon.variables["BLOCK_DURATION"] = "300"
    pf.stop()
    daemon.start_ready()
    assert "degraded" == daemon.health("firewall")[0]
    assert "can't be reached" in daemon.health("firewall")[1]
    assert 0 == daemon.metric("suricata_ai_firewall_up")

    daemon.write(guesses(ATTACKER))
    wait_for(lambda: state_of(daemon) == "requested")
    daemon.write(guesses(OTHER))
    wait_for(lambda: state_of(daemon, (OTHER, "block")) == "requested")
    assert FOREIGN == pf.table(BLOCK_TABLE)

    pf.start()
    wait_for(lambda: {ATTACKER, OTHER, *FOREIGN} == pf.table(BLOCK_TABLE), "enforced", 60)
    wait_for(lambda: state_of(daemon) == "enforced")
    wait_for(lambda: daemon.health("firewall")[0] == "ok")
    assert 1 == daemon.metric("suricata_ai_firewall_up")
    assert 0 == daemon.terminate()


def test_a_firewall_that_goes_away_in_between_is_waited_for(
    daemon: DaemonProcess, pf: PfStandIn
) -> None:
    """Also one that comes back with an empty table: all of ours is put back."""
    daemon.variables["BLOCK_DURATION"] = "300"
    daemon.start_ready()
    daemon.write(guesses(ATTACKER))
    wait_for(lambda: state_of(daemon) == "enforced")

    pf.stop()
    wait_for(lambda: daemon.health("firewall")[0] == "degraded", "the loss is seen")
    wait_for(lambda: daemon.metric("suricata_ai_firewall_up") == 0)
    daemon.write(guesses(OTHER))
    wait_for(lambda: state_of(daemon, (OTHER, "block")) == "requested")

    pf.empty(BLOCK_TABLE)
    pf.start()
    wait_for(lambda: {ATTACKER, OTHER} == pf.table(BLOCK_TABLE), "both are in", 60)
    wait_for(lambda: daemon.health("firewall")[0] == "ok")


def test_a_stop_keeps_the_blocks(daemon: DaemonProcess, pf: PfStandIn) -> None:
    """ON_STOP=keep: the next start knows them."""
    daemon.variables["BLOCK_DURATION"] = "300"
    daemon.start_ready()
    daemon.write(guesses(ATTACKER))
    wait_for(lambda: state_of(daemon) == "enforced")
    assert 0 == daemon.terminate()
    assert {ATTACKER, *FOREIGN} == pf.table(BLOCK_TABLE)

    daemon.start_ready()
    assert 1 == daemon.metric("suricata_ai_active_blocks")


def test_a_stop_releases_the_blocks_where_the_settings_say_so(
    daemon: DaemonProcess, pf: PfStandIn
) -> None:
    """ON_STOP=release: ours, and nobody else's."""
    daemon.variables.update(BLOCK_DURATION="300", ON_STOP="release")
    daemon.start_ready()
    daemon.write(guesses(ATTACKER))
    wait_for(lambda: state_of(daemon) == "enforced")

    assert 0 == daemon.terminate()
    assert FOREIGN == pf.table(BLOCK_TABLE)
    assert set() == pf.table(LIMIT_TABLE)
    assert {"watched"} == set(daemon.ledger("pfsense").values())
