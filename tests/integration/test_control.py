"""The operator's commands against a real daemon, over its control socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fakes.process import DaemonProcess, guesses, running, wait_for
from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE, running_pf

if TYPE_CHECKING:
    from pathlib import Path

ATTACKER = "203.0.113.7"
OTHER = "198.51.100.9"
BLOCKING = {"AUTO_BLOCK": "true", "FIREWALL": "dry_run", "FLUSH_INTERVAL": "0.2"}


def said(daemon: DaemonProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as its operator does, with the daemon's settings."""
    return subprocess.run(
        [sys.executable, "-m", "ai_suricata", *arguments],
        env=daemon.variables,
        cwd=daemon.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def objects(daemon: DaemonProcess, *arguments: str) -> list[dict[str, Any]]:
    """Run a command that succeeds; return its lines as objects."""
    done = said(daemon, *arguments)
    assert (0, "") == (done.returncode, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def listed(daemon: DaemonProcess) -> dict[str, str]:
    """Return what `blocks list` shows: the state of each target."""
    return {one["target"]: one["state"] for one in objects(daemon, "blocks", "list")}


def attacked(daemon: DaemonProcess, *attackers: str) -> None:
    """Let addresses guess passwords, and wait until all of it is worked through."""
    before = daemon.events()
    lines = [line for attacker in attackers for line in guesses(attacker)]
    daemon.write(lines)
    wait_for(lambda: daemon.events() == before + len(lines))


def test_a_person_overrules_the_daemon(tmp_path: Path) -> None:
    """Blocks, looks at why, lifts, and undoes; each is in force when the command returns."""
    with running(tmp_path, variables=BLOCKING) as daemon:
        [added] = objects(daemon, "blocks", "add", OTHER, "--for", "2h", "--reason", "by letter")
        assert (OTHER, "enforced", True) == (added["target"], added["state"], added["by_hand"])

        attacked(daemon, ATTACKER)
        wait_for(lambda: listed(daemon).get(ATTACKER) == "enforced")
        [shown] = objects(daemon, "blocks", "show", ATTACKER)
        assert "login_attempts" in {feature["name"] for feature in shown["features"]}
        assert ["requested", "enforced"] == [line["state"] for line in shown["history"]]
        assert f"{OTHER}\n{ATTACKER}\n" == said(daemon, "blocks", "export").stdout

        [lifted] = objects(daemon, "blocks", "remove", ATTACKER, "--reason", "a colleague")
        assert ("watched", "lifted by hand: a colleague") == (lifted["state"], lifted["note"])
        assert {OTHER: "enforced"} == listed(daemon)

        attacked(daemon, "203.0.113.8")
        wait_for(lambda: "203.0.113.8" in listed(daemon))
        assert ["203.0.113.8"] == [
            one["target"] for one in objects(daemon, "blocks", "undo", "--since", "10m")
        ]
        assert {OTHER: "enforced"} == listed(daemon)


def test_a_lift_is_a_label_with_all_features_of_the_moment(tmp_path: Path) -> None:
    """Of an address that the daemon has seen; of a stranger nothing is known."""
    with running(tmp_path, variables=BLOCKING) as daemon:
        attacked(daemon, ATTACKER)
        wait_for(lambda: ATTACKER in listed(daemon))
        objects(daemon, "blocks", "remove", ATTACKER)
        objects(daemon, "blocks", "add", OTHER)
        lines = (daemon.state / "labels.jsonl").read_text().splitlines()
        good, bad = (json.loads(line) for line in lines)
        assert 2 == daemon.metric("suricata_ai_labeled_examples_total")

    assert (ATTACKER, "normal", 200.0) == (
        good["address"],
        good["label"],
        good["features"]["login_attempts"],
    )
    assert (OTHER, "attack", None) == (bad["address"], bad["label"], bad["features"])


def test_a_pause_survives_a_kill(tmp_path: Path) -> None:
    """Nothing new is decided until somebody says so; by hand, it may be."""
    with running(tmp_path, variables=BLOCKING) as daemon:
        objects(daemon, "pause", "penetration test")
        attacked(daemon, ATTACKER)
        daemon.kill()
        daemon.start_ready()
        attacked(daemon, OTHER)
        [standing] = objects(daemon, "status")
        assert "penetration test" == standing["paused"]["reason"]
        assert {} == listed(daemon)
        objects(daemon, "blocks", "add", "203.0.113.200")

        objects(daemon, "resume")
        attacked(daemon, "203.0.113.9")
        wait_for(lambda: {"203.0.113.9", "203.0.113.200"} == set(listed(daemon)))


def test_who_is_allowed_stays_so_across_a_restart(tmp_path: Path) -> None:
    """And is lifted at once."""
    with running(tmp_path, variables=BLOCKING) as daemon:
        attacked(daemon, ATTACKER)
        wait_for(lambda: ATTACKER in listed(daemon))
        [lifted] = objects(daemon, "allow", "add", "203.0.113.0/24", "--comment", "the office")
        assert (ATTACKER, "watched") == (lifted["target"], lifted["state"])

        assert 0 == daemon.terminate()
        daemon.start_ready()
        attacked(daemon, "203.0.113.8", OTHER)
        wait_for(lambda: {OTHER} == set(listed(daemon)))
        assert ["203.0.113.0/24"] == [one["network"] for one in objects(daemon, "allow", "list")]
        objects(daemon, "allow", "remove", "203.0.113.0/24")
        assert [] == objects(daemon, "allow", "list")


def test_the_socket_is_the_owners_and_lives_as_long_as_the_daemon(tmp_path: Path) -> None:
    """A killed daemon's is taken over; a stopped one's is gone."""
    with running(tmp_path, variables=BLOCKING) as daemon:
        place = daemon.state / "control.sock"
        assert 0o600 == stat.S_IMODE(place.stat().st_mode)
        daemon.kill()
        assert place.exists()
        assert 3 == said(daemon, "status").returncode

        daemon.start_ready()
        assert "ready" == objects(daemon, "status")[0]["daemon"]["phase"]
        assert 0 == daemon.terminate()
        assert not place.exists()
        done = said(daemon, "pause")
        assert 3 == done.returncode
        assert f"no daemon listens on {place}; start it with `ai-suricata run`" in done.stderr


def test_what_a_peer_sends_does_not_disturb_the_daemon(tmp_path: Path) -> None:
    """Nonsense, silence, and more connections than there are places."""
    with running(tmp_path, variables=BLOCKING) as daemon:
        peers = []
        for number in range(20):
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(str(daemon.state / "control.sock"))
            peers.append(peer)
            if number % 2:
                peer.sendall(os.urandom(1000) + b"\n")
        attacked(daemon, ATTACKER)
        wait_for(lambda: ATTACKER in listed(daemon))
        for peer in peers:
            peer.close()
        wait_for(lambda: said(daemon, "status").returncode == 0)
        assert [] == daemon.told("an order has failed")


def test_release_works_with_and_without_a_daemon(tmp_path: Path) -> None:
    """With one, it stays paused; without one, the ledger is brought to the same."""
    with running(tmp_path, variables=BLOCKING) as daemon:
        objects(daemon, "blocks", "add", ATTACKER)
        assert ["watched"] == [
            one["state"] for one in objects(daemon, "blocks", "release", "--all")
        ]
        assert objects(daemon, "status")[0]["paused"] is not None

        objects(daemon, "blocks", "add", OTHER)
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        assert [OTHER] == [one["target"] for one in objects(daemon, "blocks", "release", "--all")]
        assert {} == listed(daemon)
        assert {"watched"} == set(daemon.ledger().values())


@pytest.mark.system
def test_release_reaches_a_firewall_whose_daemon_is_gone(tmp_path: Path) -> None:
    """Over real SSH: what is ours goes, what others put in stays, and it is proved."""
    with running_pf(tmp_path / "pf") as pf:
        variables = {**BLOCKING, "FIREWALL": "pfsense", **pf.environment()}
        with running(tmp_path, variables=variables) as daemon:
            pf.put(BLOCK_TABLE, "192.0.2.66")
            objects(daemon, "blocks", "add", ATTACKER)
            objects(daemon, "blocks", "add", OTHER, "--limit")
            assert {"192.0.2.66", ATTACKER} == pf.table(BLOCK_TABLE)
            commands = objects(daemon, "blocks", "show", ATTACKER)[0]["history"][-1]["commands"]
            assert any("-T add -f -" in command for command in commands)
            daemon.kill()

            pf.fault("permission_denied", verb="delete", times=9)
            done = said(daemon, "blocks", "release", "--all")
            assert 1 == done.returncode
            assert "ermission" in done.stderr
            assert {"192.0.2.66", ATTACKER} == pf.table(BLOCK_TABLE)
            pf.clear_faults()
            released = objects(daemon, "blocks", "release", "--all")
        assert {ATTACKER, OTHER} == {one["target"] for one in released}
        assert {"192.0.2.66"} == pf.table(BLOCK_TABLE)
        assert set() == pf.table(LIMIT_TABLE)


def test_a_long_path_to_the_socket_is_no_trouble(tmp_path: Path) -> None:
    """More than the 107 bytes that unix(7) has for it."""
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    daemon = DaemonProcess(tmp_path, {**BLOCKING, "STATE_DIR": str(deep / "state")})
    try:
        daemon.start_ready()
        [status] = objects(daemon, "status")
        assert status["paused"] is None
        assert 0 == daemon.terminate()
    finally:
        daemon.kill()


def test_a_list_of_the_allowed_that_is_damaged_stops_the_start(tmp_path: Path) -> None:
    """Before anything is blocked: nobody knows who is on it."""
    daemon = DaemonProcess(tmp_path, BLOCKING)
    daemon.state.mkdir()
    (daemon.state / "allow.json").write_text("[{]")
    daemon.start()

    assert 1 == daemon.wait()
    assert "allow.json can't be read" in daemon.text()
    assert "Traceback" not in daemon.text()
