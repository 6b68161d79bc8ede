"""Suricata's configuration and rules, as the lab writes them."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from lab import suricata

if TYPE_CHECKING:
    from pathlib import Path

RULES = b"alert tcp any any (sid:1;)\nalert tcp any any (sid:2016867; rev:3;)\n"


@pytest.mark.parametrize("name", ["some.rules", "some.rules.gz"])
def test_disabled_rule_is_left_out(tmp_path: Path, name: str) -> None:
    """Of a rules file, plain or compressed, all but the disabled rules are loaded."""
    file = tmp_path / name
    file.write_bytes(gzip.compress(RULES) if name.endswith(".gz") else RULES)

    assert b"alert tcp any any (sid:1;)\n" == suricata.read_rules(file)


def test_no_rules_is_a_choice() -> None:
    """Without a rules file Suricata runs with none."""
    assert b"" == suricata.read_rules(None)


def test_configuration_has_what_the_run_needs(tmp_path: Path) -> None:
    """The home network and every kind of event of the sample are in suricata.yaml."""
    sensor = suricata.Sensor("ns", "home0", ("192.0.2.0/24",), tmp_path, tmp_path, None)
    text = suricata.configure(sensor).read_text(encoding="ascii")
    kinds = ("alert", "anomaly", "http", "dns", "tls", "ssh", "ftp", "smtp", "flow", "stats")

    assert '"[192.0.2.0/24]"' in text
    assert [] == [kind for kind in kinds if f"        - {kind}" not in text]


def test_classification_beside_the_rules_is_used(tmp_path: Path) -> None:
    """classification.config is taken from the folder of the rules file."""
    shelf, work = tmp_path / "shelf", tmp_path / "work"
    shelf.mkdir()
    work.mkdir()
    (shelf / "some.rules").write_bytes(RULES)
    (shelf / "classification.config").write_text("config classification: a,b,1\n", encoding="ascii")
    suricata.configure(
        suricata.Sensor("ns", "home0", ("192.0.2.0/24",), tmp_path, work, shelf / "some.rules")
    )

    assert "config classification: a,b,1\n" == (work / "classification.config").read_text(
        encoding="ascii"
    )
