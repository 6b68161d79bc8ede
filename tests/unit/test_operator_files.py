"""What is given to operators agrees with the program and with itself.

YAML is read as text: no dependency of the project parses it. promtool and Prometheus do, in
`tests/integration/test_prometheus.py`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from configparser import ConfigParser
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from ai_suricata.config.settings import StateSettings, TelemetrySettings
from ai_suricata.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "ai-suricata.service"
DASHBOARD = ROOT / "grafana" / "dashboards" / "overview.json"
ENDINGS = {
    "counter": ["_total"],
    "histogram": ["_bucket", "_count", "_sum"],
    "info": ["_info"],
    "gauge": [""],
}


def text(name: str) -> str:
    """Return a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def default(group: type[StateSettings | TelemetrySettings], name: str) -> object:
    """Return a setting's default, whatever the environment says."""
    return group.model_fields[name].default


def exported() -> set[str]:
    """Return the names of all samples that can be scraped."""
    families = Metrics().registry.collect()
    return {family.name + ending for family in families for ending in ENDINGS[family.type]}


def unit() -> ConfigParser:
    """Return the systemd unit; of a key that is given twice, the last one."""
    parser = ConfigParser(strict=False, interpolation=None, comment_prefixes="#", delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return parser


def panels() -> list[dict[str, Any]]:
    """Return the dashboard's panels, the titles of its rows among them."""
    loaded: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return loaded


def row(title: str) -> list[dict[str, Any]]:
    """Return the panels from the title of a row to the next one."""
    titles = [(p["gridPos"]["y"], p["title"]) for p in panels() if p["type"] == "row"]
    (start,) = [y for y, name in titles if name == title]
    end = min((y for y, _ in titles if y > start), default=float("inf"))
    return [p for p in panels() if start < p["gridPos"]["y"] < end]


OPERATOR_FILES = [
    str(path.relative_to(ROOT))
    for folder in ("prometheus", "grafana")
    for path in sorted((ROOT / folder).rglob("*.*"))
]


def test_there_are_files_to_look_at() -> None:
    """The tests below go over files that exist."""
    expected = {
        "prometheus/prometheus.yml",
        "prometheus/alerts.yml",
        "prometheus/alerts_test.yml",
        "grafana/dashboards/overview.json",
    }

    assert expected <= set(OPERATOR_FILES)


@pytest.mark.parametrize("name", OPERATOR_FILES)
def test_every_metric_that_is_asked_for_is_exported(name: str) -> None:
    """A query on a metric that nobody exports shows nothing, for ever, and says no word."""
    named = set(re.findall(r"\bsuricata_ai_\w+", text(name)))

    assert set() == named - exported()


def test_the_dashboard_asks_for_what_operators_watch() -> None:
    """Events, alerts, sources, scores, health, lag, rejected lines."""
    shown = set(re.findall(r"suricata_ai_(\w+)", DASHBOARD.read_text(encoding="utf-8")))
    expected = {
        "events_total",
        "alerts_by_severity_total",
        "top_source_ips",
        "avg_threat_score",
        "firewall_up",
        "state_backend_up",
        "source_lag_bytes",
        "source_lag_seconds",
        "lines_rejected_total",
    }

    assert expected <= shown


def test_the_response_has_a_row_of_its_own() -> None:
    """What an operator looks at before he leaves blocking switched on, and whether it is on."""
    shown = set(re.findall(r"suricata_ai_(\w+)", json.dumps(row("Response"))))
    expected = {
        "active_blocks",
        "blocked_but_seen_total",
        "blocks_total",
        "budget_breaker_open",
        "decisions_total",
        "detect_to_enforced_seconds_bucket",
        "dry_run",
        "dry_run_active",
        "enforcement_gap_seconds",
        "firewall_commands_total",
        "firewall_member_up",
        "never_block_age_seconds",
        "never_block_hits_total",
        "notifications_total",
        "paused",
        "put_back_total",
        "states_killed_total",
    }

    assert set() == expected - shown


def test_the_models_have_a_row_of_their_own() -> None:
    """Whether the traffic is still what they were made from, and what the shadow would do."""
    shown = set(re.findall(r"suricata_ai_(\w+)", json.dumps(row("Models"))))

    assert {"feature_drift", "shadow_disagreements_total", "shadow_rows_total"} == shown


def test_the_dashboard_uses_the_datasource_that_is_provisioned() -> None:
    """Panels find their data without a click."""
    (expected,) = re.findall(
        r"^ +uid: (\S+)$", text("grafana/provisioning/datasources/prometheus.yml"), re.MULTILINE
    )
    asking = [panel for panel in panels() if panel["type"] != "row"]
    uids = {part["datasource"]["uid"] for p in asking for part in (p, *p["targets"])}

    assert {expected} == uids


def test_panels_do_not_overlap() -> None:
    """Ids differ, panels lie within the 24 columns, and no two share a cell."""
    grids = [panel["gridPos"] for panel in panels()]

    def apart(a: dict[str, int], b: dict[str, int]) -> bool:
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        return beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]

    assert len(grids) == len({panel["id"] for panel in panels()})
    assert all(grid["x"] + grid["w"] <= 24 for grid in grids)
    assert all(apart(a, b) for a, b in combinations(grids, 2))


def test_the_scrape_finds_the_daemon() -> None:
    """Every 15 s, at the port that METRICS_PORT is unless set, under the job that rules name."""
    scrape = text("prometheus/prometheus.yml")
    (job,) = re.findall(r"job_name: (\S+)", scrape)
    rules = set(re.findall(r'job="([^"]+)"', text("prometheus/alerts.yml")))
    port = default(TelemetrySettings, "port")

    assert "scrape_interval: 15s" in scrape
    assert [str(port)] == re.findall(r'targets: \["ai-suricata:(\d+)"\]', scrape)
    assert {job} == rules


def test_every_alert_says_what_to_do() -> None:
    """Each rule has a severity, a summary and a description."""
    rules = text("prometheus/alerts.yml").split("- alert: ")[1:]

    assert 12 == len(rules)
    assert all(
        f"{word}:" in rule for rule in rules for word in ("severity", "summary", "description")
    )


def test_every_alert_is_tested() -> None:
    """Each rule has a test in which it fires; promtool runs them."""
    named = re.findall(r"- alert: (\w+)", text("prometheus/alerts.yml"))
    tests = text("prometheus/alerts_test.yml")
    fired = set(re.findall(r"- labels: 'ALERTS\{alertname=\"(\w+)\"", tests))
    fired |= set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n", tests))

    assert set(named) == fired


def test_the_unit_fits_the_daemon() -> None:
    """READY is waited for, the watchdog is on, and no wrong setting is started twice."""
    service = unit()["Service"]
    start = "/opt/ai-suricata/.venv/bin/ai-suricata run --config /etc/ai-suricata/config.env"
    state = Path("/var/lib") / service["StateDirectory"]

    assert start == service["ExecStart"]
    assert ("notify", "on-failure", "2") == (
        service["Type"],
        service["Restart"],
        service["RestartPreventExitStatus"],
    )
    assert int(service["WatchdogSec"]) > 0
    assert "ai-suricata" == service["User"]
    assert default(StateSettings, "directory") == state


def test_the_unit_names_no_group_that_may_not_exist() -> None:
    """A unit whose supplementary group is unknown would not start."""
    assert "SupplementaryGroups" not in unit()["Service"]


def test_images_are_pinned() -> None:
    """Each image has a version of three numbers: the same file makes the same system next year."""
    images = re.findall(r"^ +image: (\S+)", text("docker-compose.yml"), re.MULTILINE)
    images += re.findall(r"^FROM (\S+)", text("Dockerfile"), re.MULTILINE)
    loose = [image for image in images if not re.search(r":v?\d+\.\d+\.\d+(-\w+)*$", image)]

    assert 5 == len(images)
    assert [] == loose


def test_ports_are_published_on_loopback_only() -> None:
    """Docker goes past the host's packet filter: what it publishes is open to all."""
    ports = re.findall(r"^ +ports: \[(.*)\]$", text("docker-compose.yml"), re.MULTILINE)

    assert 3 == len(ports)
    assert all(re.fullmatch(r'"127\.0\.0\.1:\d+:\d+"', port) for port in ports)


def test_every_service_of_the_compose_file_has_a_health_check() -> None:
    """Two in the compose file, the daemon's in its Dockerfile, on /ready at the default port."""
    port = default(TelemetrySettings, "port")

    assert 2 == text("docker-compose.yml").count("healthcheck:")
    assert f"http://127.0.0.1:{port}/ready" in text("Dockerfile")


def test_the_container_is_nobodys_root() -> None:
    """It runs as the user that owns its state, and its state is a volume where STATE_DIR points."""
    dockerfile = text("Dockerfile")
    state = default(StateSettings, "directory")

    assert "\nUSER 10001:10001\n" in dockerfile
    assert f"\nVOLUME {state}\n" in dockerfile
    assert f"- state:{state}\n" in text("docker-compose.yml")


def test_grafana_finds_its_dashboards() -> None:
    """The folder that the provider reads is the one that is mounted."""
    provider = text("grafana/provisioning/dashboards/ai-suricata.yml")
    (path,) = re.findall(r"path: (\S+)", provider)

    assert f"- ./grafana/dashboards:{path}:ro\n" in text("docker-compose.yml")


@pytest.fixture
def systemd_analyze() -> str:
    """Find systemd-analyze, or skip; in CI it has to be there."""
    found = shutil.which("systemd-analyze")
    if found is None and os.environ.get("CI") != "true":
        pytest.skip("systemd-analyze is missing (Debian: systemd)")
    assert found is not None, "systemd-analyze is missing, and this is CI"
    return found


@pytest.mark.system
def test_systemd_understands_the_unit(systemd_analyze: str, tmp_path: Path) -> None:
    """No unknown key and no wrong value; the program itself is not installed here."""
    copy = tmp_path / UNIT.name
    start = f"ExecStart={unit()['Service']['ExecStart']}"
    copy.write_text(UNIT.read_text(encoding="utf-8").replace(start, "ExecStart=/bin/true"))
    command = [systemd_analyze, "verify", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.system
def test_the_unit_is_locked_down(systemd_analyze: str) -> None:
    """The exposure that systemd measures, 0 to 10, stays below 2."""
    command = [systemd_analyze, "security", "--offline=true", "--threshold=20", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert 0 == done.returncode, done.stdout
