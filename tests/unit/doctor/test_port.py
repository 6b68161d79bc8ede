"""What the doctor says of the metrics port."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from ai_suricata.doctor import port as examined
from ai_suricata.doctor.finding import Status
from ai_suricata.telemetry import health
from ai_suricata.telemetry.metrics import Metrics
from ai_suricata.telemetry.server import MetricsServer
from fakes import eve
from fakes.redis_process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_suricata.doctor.finding import Finding


def found(port: int, host: str = "127.0.0.1") -> Finding:
    """Examine this port."""
    settings = eve.settings(METRICS_PORT=str(port), METRICS_HOST=host)
    [told] = examined.examine(settings.telemetry)
    return told


@contextmanager
def daemon() -> Iterator[tuple[int, health.Health]]:
    """Serve as a daemon does; yield the port and its health."""
    state = health.Health()
    state.enter(health.Phase.READY)
    settings = eve.settings(METRICS_PORT="0").telemetry
    with MetricsServer(settings, Metrics(), state) as server:
        yield server.port, state


def test_a_free_port_is_well_and_stays_free() -> None:
    """The daemon can have it afterwards."""
    port = free_port()
    told = found(port)

    assert (Status.OK, f"port {port} of 127.0.0.1 is free") == (
        told.status,
        told.sentence.partition(":")[0],
    )
    with socket.socket() as later:
        later.bind(("127.0.0.1", port))


def test_any_free_port_is_well() -> None:
    """METRICS_PORT=0."""
    assert Status.OK == found(0).status


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_running_daemon_is_told(host: str) -> None:
    """It may hold the port."""
    with daemon() as (port, _):
        told = found(port, host)

    assert (Status.OK, f"port {port} of {host} is held by a running daemon, ready") == (
        told.status,
        told.sentence,
    )


def test_what_a_running_daemon_complains_of_is_told() -> None:
    """Its parts that are not well, in its words."""
    with daemon() as (port, state):
        state.set("source", health.Status.DEGRADED, "eve.json does not exist yet")
        state.set("model", health.Status.OK, "learning")
        told = found(port)

    assert Status.WARNING == told.status
    assert told.sentence.endswith("which says: source: eve.json does not exist yet")


@pytest.mark.parametrize("answer", [b"[]", b"hello", b'{"status": "ok"}'])
def test_another_program_is_wrong(answer: bytes) -> None:
    """Whatever it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        told = found(server.server_port)
        thread.join()

    assert Status.WRONG == told.status
    assert "in use by another program" in told.sentence
    assert "METRICS_PORT" in told.remedy


def test_a_program_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is another one."""
    monkeypatch.setattr(examined, "ANSWER_AT_MOST", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = found(silent.getsockname()[1])

    assert "in use by another program" in told.sentence


def test_an_address_of_another_machine_is_wrong() -> None:
    """METRICS_HOST must be one of this machine's."""
    told = found(9100, "192.0.2.1")

    assert Status.WRONG == told.status
    assert "METRICS_HOST" in told.remedy
