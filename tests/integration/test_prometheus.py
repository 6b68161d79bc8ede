"""Prometheus itself reads our configuration, our rules, our metrics and our dashboard."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from ai_suricata.config.settings import TelemetrySettings
from ai_suricata.core.decision import Table
from ai_suricata.core.verdict import ACTION_OF_LEVEL, Level, Verdict
from ai_suricata.telemetry.health import Health
from ai_suricata.telemetry.metrics import Metrics
from ai_suricata.telemetry.server import MetricsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "prometheus"
DASHBOARD = ROOT / "grafana" / "dashboards" / "overview.json"
WAIT_SECONDS = 60.0


def tool(name: str) -> str:
    """Find a program, or skip; in CI it has to be there."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI") != "true":
        pytest.skip(f"{name} is missing (Debian: prometheus)")
    assert found is not None, f"{name} is missing, and this is CI"
    return found


def until(condition: Callable[[], bool]) -> bool:
    """Wait for the condition, at most `WAIT_SECONDS`; return whether it came true."""
    end = time.monotonic() + WAIT_SECONDS
    while not (true := condition()) and time.monotonic() < end:
        time.sleep(0.2)
    return true


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(arguments: tuple[str, ...]) -> None:
    """The files are valid, and the rules fire when they should and only then."""
    command = [tool("promtool"), *arguments]
    done = subprocess.run(
        command, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )

    assert 0 == done.returncode, done.stdout + done.stderr


def test_promtool_finds_the_names_to_be_good_metrics() -> None:
    """The exposition parses, and follows Prometheus' rules on names and help texts."""
    metrics = Metrics()
    feed(metrics)
    command = [tool("promtool"), "check", "metrics"]
    done = subprocess.run(
        command, input=metrics.render(), capture_output=True, timeout=60, check=False
    )

    assert (0, b"") == (done.returncode, done.stdout + done.stderr)


class Prometheus:
    """A running Prometheus, asked over its HTTP API (prometheus.io, "HTTP API")."""

    def __init__(self, port: int) -> None:
        """`port`: where on loopback it listens."""
        self._port = port

    def get(self, path: str, **parameters: str) -> tuple[int, bytes]:
        """Return status and body; (0, b"") where nobody answers."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", f"{path}?{urlencode(parameters)}")
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, HTTPException):
            return 0, b""
        finally:
            connection.close()

    def ready(self) -> bool:
        """Return whether it answers queries."""
        return self.get("/-/ready")[0] == 200

    def query(self, expression: str) -> list[Any]:
        """Return the series of an expression; an error of it fails the test."""
        status, body = self.get("/api/v1/query", query=expression)
        assert 200 == status, (expression, body)
        result: list[Any] = json.loads(body)["data"]["result"]
        return result

    def rules(self) -> dict[str, str]:
        """Return the health of each rule, by its name."""
        groups = json.loads(self.get("/api/v1/rules")[1])["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}


def free_port() -> int:
    """Return a port of loopback on which nobody listens now."""
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        port: int = taker.getsockname()[1]
        return port


@contextmanager
def running(target: int, folder: Path) -> Iterator[Prometheus]:
    """Run Prometheus with our configuration, faster, on the daemon at port `target`."""
    config = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    config = config.replace("15s", "1s").replace("ai-suricata:9100", f"127.0.0.1:{target}")
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    shutil.copy(FOLDER / "alerts.yml", folder)
    port = free_port()
    command = [
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=1h",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log_path = folder / "log"
    with (
        log_path.open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        prometheus = Prometheus(port)
        try:
            assert until(prometheus.ready), log_path.read_text(encoding="utf-8")
            yield prometheus
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def verdict(level: Level, score: float) -> Verdict:
    """Make a verdict out of what metrics look at."""
    return Verdict(
        address="192.0.2.1",
        time=0,
        score=score,
        proven_score=score,
        level=level,
        action=ACTION_OF_LEVEL[level],
        home=False,
        reasons=(),
        patterns=("port scan",),
        model_version="m",
    )


def feed(metrics: Metrics) -> None:
    """Let everything happen once."""
    metrics.batch({"alert": 3, "flow": 5}, {1: 1, 2: 1, 3: 1}, {"not_json": 1}, 0.01)
    metrics.verdicts([verdict(Level.CRITICAL, 0.9), verdict(Level.HIGH, 0.7)])
    metrics.anomaly([0.2, 0.6])
    metrics.top_sources([("192.0.2.1", 2), ("192.0.2.2", 1)])
    metrics.source(lag_bytes=100, rotations=1)
    metrics.latest(1.0)
    metrics.losses({"truncated": 1}, {"queue_full": 2})
    metrics.repeated(3)
    feed_response(metrics)
    metrics.flush(0.02, ok=True)
    metrics.model("m", 5000)
    metrics.drift({"overall": 0.3, "score": 0.2}, {"event_rate": 0.4})
    metrics.shadow(rows=100, disagreements={"block_added": 1, "level_lower": 2})
    metrics.queue("classify", 1)


def feed_response(metrics: Metrics) -> None:
    """Let everything happen once that comes of decisions."""
    metrics.dry_run(dry_run=False)
    metrics.decisions("requested", 2)
    metrics.decisions("enforced", 2)
    metrics.never_block_hit()
    metrics.never_block_size(14)
    metrics.never_block_age(lambda: 1.0)
    for table in Table:
        metrics.enforced(table, [0.3])
        metrics.active(table, 1)
        metrics.budget_exhausted(table)
        metrics.breaker(table, open=True)
    metrics.gap(lambda: 0.5)
    metrics.states_killed(2, 0.05)
    metrics.firewall(up=True)
    metrics.firewall(up=True, place="admin@192.0.2.1:22")
    metrics.command("add", "ok", 0.02)
    metrics.notification("webhook", "sent")
    metrics.label("normal")


def dashboard_queries() -> list[str]:
    """Return every query of the dashboard, its variables replaced as Grafana does."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    return [e.replace("$__rate_interval", "1m").replace("$instance", ".*") for e in expressions]


def test_every_query_of_the_dashboard_has_an_answer(tmp_path: Path) -> None:
    """A real Prometheus scrapes a real server; no query fails, none is empty, no rule is broken."""
    metrics = Metrics()
    settings = TelemetrySettings.model_validate({"METRICS_PORT": 0})
    with (
        MetricsServer(settings, metrics, Health()) as server,
        running(server.port, tmp_path) as prometheus,
    ):
        waiting = set(dashboard_queries())

        def all_answered() -> bool:
            feed(metrics)
            waiting.difference_update({q for q in waiting if prometheus.query(q)})
            return not waiting

        until(all_answered)

        assert set() == waiting
        assert until(lambda: set(prometheus.rules().values()) == {"ok"}), prometheus.rules()
        assert [] == prometheus.query('up{job="ai-suricata"} == 0')
