"""sd_notify, heard by a real socket."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from ai_suricata.telemetry import systemd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """Open a socket as systemd does, named in the environment."""
    path = str(tmp_path / "notify")
    named = path if request.param == "path" else f"@{path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(named.replace("@", "\0"))
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", named)
        yield receiver


def test_systemd_is_told(listener: socket.socket) -> None:
    """Several lines arrive as one datagram."""
    assert systemd.notify(systemd.READY, systemd.status("follows 1 file"))
    assert b"READY=1\nSTATUS=follows 1 file" == listener.recv(4096)


def test_a_status_can_not_smuggle_in_another_line(listener: socket.socket) -> None:
    """A line break in a text does not start an assignment."""
    systemd.notify(systemd.status("waits for x\nREADY=1\r\nMAINPID=1"))

    assert b"STATUS=waits for x READY=1 MAINPID=1" == listener.recv(4096)


def test_without_systemd_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by hand, the daemon has nobody to tell, and that is no error."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)

    assert not systemd.notify(systemd.READY)


@pytest.mark.parametrize("named", ["/nonexistent/notify", "notify", "@" + "x" * 200])
def test_a_socket_that_can_not_be_reached_is_no_error(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work does not depend on being heard."""
    monkeypatch.setenv("NOTIFY_SOCKET", named)

    assert not systemd.notify(systemd.WATCHDOG)


@pytest.mark.parametrize(
    ("microseconds", "pid", "expected"),
    [
        ("30000000", str(os.getpid()), 15.0),
        ("30000000", None, 15.0),
        ("30000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
    ids=["ours", "anyone's", "another process's", "off", "no number", "unset"],
)
def test_signs_of_life_come_twice_as_often_as_they_must(
    microseconds: str | None,
    pid: str | None,
    expected: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of WatchdogSec, where this process is meant; else None."""
    for name, text in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", pid)):
        if text is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, text)

    assert expected == systemd.watchdog_interval()
