"""The CrowdSec baseline where CrowdSec is missing, fails, or does not end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ai_suricata.study import crowdsec
from fakes import eve

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Return an eve file with one alert."""
    path = tmp_path / "eve.json"
    path.write_bytes(eve.line(eve.alert()))
    return path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make it look as if CrowdSec were installed; return the folder of its programs."""
    hub, programs = tmp_path / "hub", tmp_path / "bin"
    items = [
        "parsers/s00-raw/crowdsecurity/syslog-logs.yaml",
        "parsers/s01-parse/crowdsecurity/suricata-logs.yaml",
        "parsers/s02-enrich/crowdsecurity/dateparse-enrich.yaml",
        "parsers/s02-enrich/crowdsecurity/whitelists.yaml",
        "scenarios/crowdsecurity/suricata-alerts.yaml",
    ]
    for item in items:
        (hub / item).parent.mkdir(parents=True, exist_ok=True)
        (hub / item).touch()
    programs.mkdir()
    monkeypatch.setattr(crowdsec, "HUB", hub)
    monkeypatch.setattr(crowdsec, "PATTERNS", hub)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    stand_in(programs / "cscli", "exit 0")
    stand_in(programs / "crowdsec", "exit 0")
    return programs


def stand_in(path: Path, body: str) -> None:
    """Write a program that stands in for one of CrowdSec's."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_without_crowdsec_the_error_names_what_is_missing_and_the_remedy(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No program on PATH."""
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(crowdsec.CrowdSecAbsentError, match=r"crowdsec is missing.*apt-get install"):
        crowdsec.judge(recording)


@pytest.mark.usefixtures("installed")
def test_without_its_scenario_it_does_not_count_as_installed(recording: Path) -> None:
    """It would start without one, and ban nobody."""
    (crowdsec.HUB / "scenarios/crowdsecurity/suricata-alerts.yaml").unlink()

    with pytest.raises(crowdsec.CrowdSecAbsentError, match=r"suricata-alerts\.yaml is missing"):
        crowdsec.judge(recording)


def test_a_failure_is_told_with_its_last_words(recording: Path, installed: Path) -> None:
    """The code, and the end of what it wrote."""
    stand_in(installed / "crowdsec", "echo first; echo no such parser >&2; exit 3")

    with pytest.raises(crowdsec.CrowdSecError, match=r"code 3: first \| no such parser"):
        crowdsec.judge(recording)


def test_it_is_ended_when_its_time_is_over(recording: Path, installed: Path) -> None:
    """A run that does not end is a failure, not a wait."""
    stand_in(installed / "crowdsec", "exec sleep 60")

    with pytest.raises(crowdsec.CrowdSecError, match="longer than 1 seconds"):
        crowdsec.judge(recording, seconds=1.0)


def test_a_file_without_alerts_needs_no_run(
    tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flows, a damaged line, an alert without an address: its parser passes over them."""
    stand_in(installed / "crowdsec", "exit 9")
    path = tmp_path / "quiet.json"
    nameless = eve.alert()
    del nameless["src_ip"]
    path.write_bytes(b"\n".join([eve.line(eve.flow()), b'{"alert"', eve.line(nameless)]))

    assert crowdsec.Judgement(frozenset(), frozenset()) == crowdsec.judge(path)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(crowdsec.CrowdSecAbsentError):
        crowdsec.judge(path)
