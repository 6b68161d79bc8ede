"""`ai-suricata run` as a process: starts, counts, stops, is killed, and finds its place again."""

from __future__ import annotations

import ctypes
import os
import random
import re
import resource
import signal
import socket
import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from fakes import eve
from fakes.process import DaemonProcess, NotifySocket, guesses, running, wait_for

if TYPE_CHECKING:
    from pathlib import Path

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+[+]\d{4}")
SECRET = "s3cr$t&pa55-of-redis"  # noqa: S105 - one that must not be seen anywhere


def clients(count: int, at: float = 0.0) -> list[bytes]:
    """Return one connection of each of so many addresses."""
    return [
        eve.line(eve.flow(f"198.51.{number // 250}.{number % 250 + 1}", at=at))
        for number in range(count)
    ]


def moved(lines: list[bytes], by: timedelta) -> list[bytes]:
    """Return records with all their times moved, those of a flow too."""
    return [
        _TIME.sub(lambda found: _shifted(found[0], by), line.decode()).encode() for line in lines
    ]


def _shifted(text: str, by: timedelta) -> str:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z") + by
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f%z")


# -- input that is not there ----------------------------------------------------------------------


def test_a_missing_file_is_waited_for(tmp_path: Path) -> None:
    """/health names its path; once it is there, it is read from its beginning."""
    with running(tmp_path, EVE_START="end") as daemon:
        wait_for(lambda: daemon.health("source")[0] == "degraded")
        assert f"{daemon.eve} does not exist yet" == daemon.health("source")[1]

        daemon.write(clients(3))
        wait_for(lambda: daemon.events() == 3)
        wait_for(lambda: daemon.health("source")[0] == "ok")
        assert 0 == daemon.terminate()


def test_a_missing_folder_is_waited_for(tmp_path: Path) -> None:
    """/health says that it is the folder."""
    path = tmp_path / "log/suricata/eve.json"
    with running(tmp_path, EVE_PATH=str(path)) as daemon:
        wait_for(lambda: daemon.health("source")[0] == "degraded")
        assert f"there is no folder {tmp_path / 'log'}" in daemon.health("source")[1]

        path.parent.mkdir(parents=True)
        path.write_bytes(b"".join(line + b"\n" for line in clients(2)))
        wait_for(lambda: daemon.events() == 2)


def without_root_rights() -> None:
    """Let root's files be as closed to root as to anybody: capabilities(7), prctl(2)."""
    drop_from_bounding_set, dac_override, dac_read_search = 24, 1, 2
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (dac_override, dac_read_search):
            if libc.prctl(drop_from_bounding_set, capability, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "prctl")


def test_an_unreadable_file_is_named_with_the_right_that_is_missing(tmp_path: Path) -> None:
    """Once the right is granted, it is read."""
    path = tmp_path / "eve.json"
    path.touch(mode=0o000)
    with running(tmp_path, options={"preexec_fn": without_root_rights}) as daemon:
        wait_for(lambda: daemon.health("source")[0] == "degraded")
        detail = daemon.health("source")[1]
        assert f"{path} can't be read by uid {os.geteuid()}: grant read" in detail

        path.chmod(0o600)
        daemon.write(clients(2))
        wait_for(lambda: daemon.events() == 2)


# -- settings -------------------------------------------------------------------------------------


def test_wrong_settings_are_each_named_and_nothing_is_started(tmp_path: Path) -> None:
    """Exit code 2; no folder, no port."""
    daemon = DaemonProcess(
        tmp_path, {"METRICS_PORT": "many", "FLUSH_INTERVAL": "-1", "HOME_NET": "home"}
    )
    daemon.start()

    assert 2 == daemon.wait()
    for name in ("METRICS_PORT", "FLUSH_INTERVAL", "HOME_NET"):
        assert f"ai-suricata: {name}=" in daemon.text()
    assert "Traceback" not in daemon.text()
    assert not daemon.state.exists()


def test_a_port_that_is_taken_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    """Exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        daemon = DaemonProcess(tmp_path, {"METRICS_PORT": str(port)})
        daemon.start()

        assert 2 == daemon.wait()
        assert f"METRICS_PORT: port {port} of 127.0.0.1 is in use" in daemon.text()
        assert not daemon.state.exists()


def test_sighup_reads_the_configuration_again(tmp_path: Path) -> None:
    """What can change does at once, the rest is named, and what is wrong changes nothing."""
    config = tmp_path / "config.env"
    config.write_text("AUTO_BLOCK=false\n")
    with running(tmp_path, ["--config", str(config)], REDIS_PASSWORD=SECRET) as daemon:
        daemon.write(guesses("203.0.113.1"))
        wait_for(lambda: daemon.events() == 200)
        assert {} == daemon.ledger()

        config.write_text("AUTO_BLOCK=maybe\nBLOCK_DURATON=60\nREDIS_PORT=x\n")
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: len(daemon.told("wrong setting; the settings stay as they were")) == 3)
        problems = [
            entry["problem"]
            for entry in daemon.told("wrong setting; the settings stay as they were")
        ]
        assert "did you mean BLOCK_DURATION?" in problems[0]

        config.write_text("AUTO_BLOCK=true\nBLOCK_DURATION=900000000\nLOG_LEVEL=WARNING\n")
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: len(daemon.told("wrong setting; the settings stay as they were")) == 4)

        config.write_text(
            "AUTO_BLOCK=true\nBLOCK_DURATION=3000\nLOG_LEVEL=DEBUG\n"
            "NEVER_BLOCK=203.0.113.3\nBATCH_SIZE=7\nREDIS_PASSWORD=not-this-one-either\n"
        )
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: daemon.told("configuration read again"))
        [changed] = daemon.told("configuration read again")
        assert ["AUTO_BLOCK", "BLOCK_DURATION", "LOG_LEVEL", "NEVER_BLOCK"] == sorted(
            changed["changed"]
        )
        [later] = daemon.told("changed settings that need a restart")
        assert ["BATCH_SIZE"] == later["settings"]

        for attacker in ("203.0.113.2", "203.0.113.3"):
            daemon.write(guesses(attacker))
        blocked, spared = ("203.0.113.2", "block"), ("203.0.113.3", "block")
        wait_for(lambda: daemon.ledger().get(blocked) == "enforced")
        wait_for(lambda: daemon.ledger().get(spared) == "refused")
        daemon.get("/health")
        wait_for(lambda: daemon.told("request"))  # which only LOG_LEVEL=DEBUG shows
        assert 0 == daemon.terminate()
        assert SECRET not in daemon.text()
        assert "not-this-one-either" not in daemon.text()


# -- systemd --------------------------------------------------------------------------------------


def test_systemd_is_told_of_start_life_and_stop(tmp_path: Path) -> None:
    """READY=1 once, WATCHDOG=1 again and again, STOPPING=1 before the end."""
    listener = NotifySocket(tmp_path / "notify")
    variables = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
    with running(tmp_path, variables=variables) as daemon:
        assert "STATUS=reading" in listener.until("READY=1")
        assert daemon.is_ready()
        assert [["WATCHDOG=1"]] * 3 == [listener.next() for _ in range(3)]

        daemon.signal(signal.SIGTERM)
        listener.until("STOPPING=1")
        assert 0 == daemon.wait()
    listener.close()


# -- a long stop ----------------------------------------------------------------------------------


def test_a_backlog_is_read_for_what_it_teaches_and_old_decisions_are_not_enforced(
    tmp_path: Path,
) -> None:
    """Who attacked hours ago is counted and recorded as refused; who attacks now is blocked."""
    daemon = DaemonProcess(tmp_path, {"AUTO_BLOCK": "true"})
    try:
        daemon.write(clients(1))
        daemon.start_ready()
        assert 0 == daemon.terminate()

        hours = timedelta(hours=3)
        daemon.write(moved(guesses("203.0.113.8"), -hours))
        daemon.write(guesses("203.0.113.9"))
        daemon.start_ready()
        wait_for(lambda: daemon.ledger().get(("203.0.113.9", "block")) == "enforced")
        assert 0 == daemon.terminate()
    finally:
        daemon.kill()
    assert "refused" == daemon.ledger()["203.0.113.8", "block"]
    assert len(guesses("203.0.113.8")) == daemon.counted()["203.0.113.8"][0]
    assert "s old, and it would have ended after 600 s" in daemon.text()


# -- stopping -------------------------------------------------------------------------------------


def test_sigterm_counts_what_was_written_before_it_and_stores_the_place(tmp_path: Path) -> None:
    """Exit code 0; the next run goes on behind it, and nothing counts twice."""
    daemon = DaemonProcess(tmp_path, {"FLUSH_INTERVAL": "3600"})
    try:
        daemon.start_ready()
        daemon.write(clients(3000))
        assert 0 == daemon.terminate()
        assert 3000 == sum(events for events, _ in daemon.counted().values())

        daemon.write(clients(10, at=60))
        daemon.start_ready()
        wait_for(lambda: daemon.events() == 10)
        assert 0 == daemon.terminate()
    finally:
        daemon.kill()
    assert 3010 == sum(events for events, _ in daemon.counted().values())


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """In the middle of a backlog; exit code 1, and what was not stored is read again."""
    daemon = DaemonProcess(tmp_path, {})
    lines = clients(2000)
    for _ in range(100):
        daemon.write(lines)
    try:
        daemon.start_ready()
        daemon.signal(signal.SIGTERM)
        wait_for(lambda: '"phase":"draining"' in daemon.text())
        daemon.signal(signal.SIGTERM)
        assert 1 == daemon.wait(5)
        assert "stopped before all was done" in daemon.text()
        assert "Traceback" not in daemon.text()
    finally:
        daemon.kill()


def test_sigint_stops_like_sigterm(tmp_path: Path) -> None:
    """Ctrl-C in a terminal."""
    with running(tmp_path) as daemon:
        daemon.write(clients(5))
        daemon.signal(signal.SIGINT)
        assert 0 == daemon.wait()
        assert 5 == len(daemon.counted())


# -- being killed ---------------------------------------------------------------------------------


class Suricata(threading.Thread):
    """Writes steadily and rotates; remembers what it wrote."""

    def __init__(self, path: Path, seed: int) -> None:
        super().__init__()
        self.path = path
        self.random = random.Random(seed)  # noqa: S311 - varied, not secret
        self.written: Counter[str] = Counter()
        self.alerts: Counter[str] = Counter()
        self.done = threading.Event()

    def run(self) -> None:
        """Write until `done`: a few lines, a moment's rest, now and then a new file."""
        number = rotations = 0
        file = self.path.open("ab", buffering=0)
        while not self.done.wait(0.003):
            number += 1
            file.write(b"".join(self._line(number) for _ in range(self.random.randrange(1, 30))))
            if self.random.random() < 0.01:
                rotations += 1
                file.close()
                self.path.rename(self.path.with_name(f"eve.json.{rotations}"))
                file = self.path.open("ab", buffering=0)
        file.close()

    def _line(self, number: int) -> bytes:
        address = f"198.51.100.{self.random.randrange(1, 200)}"
        is_alert = self.random.random() < 0.3
        self.written[address] += 1
        self.alerts[address] += is_alert
        record = (eve.alert if is_alert else eve.flow)(address, at=number / 100)
        return eve.line(record) + b"\n"


@pytest.mark.parametrize(
    ("seed", "kills"), [(1, 2), pytest.param(2, 6, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_killed_at_any_moment_it_counts_each_event_exactly_once(
    tmp_path: Path, seed: int, kills: int
) -> None:
    """SIGKILL during steady writes with rotation, again and again; then events and alerts agree."""
    moments = random.Random(seed)  # noqa: S311 - varied, not secret
    daemon = DaemonProcess(tmp_path, {"FLUSH_INTERVAL": "0.05", "BATCH_SIZE": "50"})
    suricata = Suricata(daemon.eve, seed)
    try:
        daemon.start_ready()  # a file that is rotated before the first start is none of ours
        suricata.start()
        for _ in range(kills):
            wait_for(lambda: daemon.events() > 0)
            suricata.done.wait(moments.random() / 2)  # a random moment, not a wait for something
            daemon.kill()
            daemon.start_ready()
        suricata.done.set()
        suricata.join()
        total = suricata.written.total()
        wait_for(lambda: sum(events for events, _ in daemon.counted().values()) >= total, limit=60)
        assert 0 == daemon.terminate()
    finally:
        suricata.done.set()
        suricata.join()
        daemon.kill()

    expected = {ip: (suricata.written[ip], suricata.alerts[ip]) for ip in suricata.written}
    assert expected == daemon.counted()


# -- a disk that is full --------------------------------------------------------------------------


def test_a_disk_too_small_for_the_snapshot_degrades_it(tmp_path: Path) -> None:
    """It goes on, says so in /health and metrics, and exits 0; the old snapshot stays whole."""
    limit = 100_000
    options = {
        "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    }
    with running(tmp_path, options=options, FLUSH_INTERVAL="0.1") as daemon:
        daemon.write(clients(5))
        wait_for(lambda: daemon.metric("suricata_ai_state_backend_up") == 1)
        wait_for(lambda: daemon.events() == 5)
        daemon.write(clients(2000))
        wait_for(lambda: daemon.health("state")[0] == "degraded")
        _, detail = daemon.health("state")
        assert "behaviour.1.log can't be written: File too large; make room" in detail
        assert 0 == daemon.metric("suricata_ai_state_backend_up")

        daemon.write(clients(100))
        wait_for(lambda: daemon.events() == 2105)
        assert len(daemon.told("health")) < 10  # told when it changes, not with every try
        assert 0 == daemon.terminate()
    assert len(daemon.counted()) < 2000
