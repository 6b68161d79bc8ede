"""The HTTP server, asked over real connections."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ai_suricata.config.settings import TelemetrySettings
from ai_suricata.core.errors import ConfigError
from ai_suricata.telemetry import server as server_module
from ai_suricata.telemetry.health import Health, Phase, Status
from ai_suricata.telemetry.metrics import Metrics
from ai_suricata.telemetry.server import IDLE_SECONDS, MOST_REQUESTS, MetricsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def settings(host: str = "127.0.0.1", port: int = 0) -> TelemetrySettings:
    """Say where to listen."""
    return TelemetrySettings.model_validate({"METRICS_HOST": host, "METRICS_PORT": port})


def until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait for the condition, at most so long; return whether it came true."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


@pytest.fixture
def metrics() -> Metrics:
    """Make what is served."""
    return Metrics()


@pytest.fixture
def health() -> Health:
    """Make what is served."""
    return Health()


@pytest.fixture
def server(metrics: Metrics, health: Health) -> Iterator[MetricsServer]:
    """Serve on a free port of loopback."""
    with MetricsServer(settings(), metrics, health) as server:
        yield server


def ask(server: MetricsServer, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_metrics_are_prometheus_text(server: MetricsServer, metrics: Metrics) -> None:
    """The body is the exposition, at the state of the moment."""
    metrics.never_block_hit()
    status, headers, body = ask(server, "/metrics")

    assert 200 == status
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b"\nsuricata_ai_never_block_hits_total 1.0\n" in body


@pytest.mark.parametrize(
    ("status", "code"), [(Status.OK, 200), (Status.DEGRADED, 200), (Status.FAILED, 503)]
)
def test_health_is_an_error_only_where_the_work_has_stopped(
    status: Status, code: int, server: MetricsServer, health: Health
) -> None:
    """Degraded is 200: a restart would not bring the firewall back. The body says what is wrong."""
    health.set("firewall", status, "as the test says")
    answered, headers, body = ask(server, "/health")
    snapshot = json.loads(body)

    assert (code, "application/json") == (answered, headers["Content-Type"])
    assert status.value == snapshot["status"]
    assert "as the test says" == snapshot["parts"]["firewall"]["detail"]


@pytest.mark.parametrize("phase", list(Phase))
def test_ready_is_the_phase_ready(phase: Phase, server: MetricsServer, health: Health) -> None:
    """503 before and after; the body names the phase."""
    health.enter(phase)
    status, _, body = ask(server, "/ready")

    assert (200 if phase is Phase.READY else 503) == status
    assert f"{phase.value}\n".encode() == body


@pytest.mark.parametrize("path", ["/", "/metrics/", "/health/x", "/metric", "/../metrics"])
def test_there_is_nothing_else(path: str, server: MetricsServer) -> None:
    """Any other path is 404."""
    assert 404 == ask(server, path)[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_get_is_answered(method: str, server: MetricsServer) -> None:
    """Nothing here can be changed: 405, and the answer says what is allowed."""
    status, headers, _ = ask(server, "/health", method)

    assert (405, "GET") == (status, headers["Allow"])


def test_a_query_string_is_no_other_path(server: MetricsServer) -> None:
    """Scrapers may add parameters."""
    assert 200 == ask(server, "/metrics?name=x")[0]


def test_port_0_is_a_free_one_and_the_server_says_which(server: MetricsServer) -> None:
    """The port is known after the start."""
    assert server.port > 0


def test_a_port_in_use_is_a_wrong_setting(server: MetricsServer) -> None:
    """The error names METRICS_PORT and what to do."""
    second = MetricsServer(settings(port=server.port), Metrics(), Health())
    with pytest.raises(ConfigError, match=rf"METRICS_PORT: port {server.port} .* in use .* set "):
        second.start()


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_of_somebody_else_is_a_wrong_setting(host: str) -> None:
    """The error names METRICS_HOST and what to do."""
    with pytest.raises(ConfigError, match=r"METRICS_HOST: .* set METRICS_HOST"):
        MetricsServer(settings(host), Metrics(), Health()).start()


def test_it_listens_on_ipv6() -> None:
    """METRICS_HOST may be an IPv6 address."""
    with MetricsServer(settings("::1"), Metrics(), Health()) as server:
        connection = HTTPConnection("::1", server.port, timeout=5)
        connection.request("GET", "/metrics")

        assert 200 == connection.getresponse().status
        connection.close()


def test_after_the_stop_nobody_listens(metrics: Metrics, health: Health) -> None:
    """The port is free again, and a second stop does nothing."""
    server = MetricsServer(settings(), metrics, health)
    server.start()
    port = server.port
    server.stop()
    server.stop()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_silent_client_is_let_go(server: MetricsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects and says nothing loses the connection, and others are answered meanwhile."""
    assert IDLE_SECONDS == server_module._Handler.timeout

    monkeypatch.setattr(server_module._Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as silent:
        assert 404 == ask(server, "/")[0]
        assert b"" == silent.recv(1)  # its end, well before this side's own 5 s


def test_connections_without_end_are_cut_off(server: MetricsServer) -> None:
    """No more threads than the limit, however many connect; the one too many is closed."""
    with ExitStack() as stack:
        for _ in range(MOST_REQUESTS):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
        late = stack.enter_context(
            socket.create_connection(("127.0.0.1", server.port), timeout=1)
        )  # shorter than the time that a silent client is given

        assert b"" == late.recv(1)


def test_requests_that_have_ended_do_not_count(server: MetricsServer) -> None:
    """The limit is on requests at once: after any number of them the next one is answered."""
    answers = {ask(server, "/metrics")[0] for _ in range(3 * MOST_REQUESTS)}

    assert {200} == answers


def test_a_broken_request_is_answered_and_logged(
    server: MetricsServer, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in what is served is a 500 for the scraper and a traceback for the log."""

    def fails() -> bytes:
        raise RuntimeError("no text")

    monkeypatch.setattr(metrics, "render", fails)
    with capture_logs() as logs:
        status, _, body = ask(server, "/metrics")

    assert 500 == status
    assert b"no text" not in body
    assert [("error", "request failed", True)] == [
        (log["log_level"], log["event"], log["exc_info"])
        for log in logs
        if log["log_level"] == "error"
    ]


def test_requests_are_for_debugging_only(
    server: MetricsServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """A scrape each 15 s does not fill the log: nothing is written above DEBUG."""
    with capture_logs() as logs:
        ask(server, "/metrics")
        assert until(lambda: bool(logs))  # the line is written after the answer

    assert ["debug"] == [log["log_level"] for log in logs]
    assert "" == capfd.readouterr().err
