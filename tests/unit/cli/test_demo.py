"""`ai-suricata demo` as a program."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from typer.testing import CliRunner

from ai_suricata.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path


def test_the_demo_ends_by_itself_with_a_summary_and_an_svg(tmp_path: Path) -> None:
    """Exit code 0; nothing is left behind but the picture."""
    svg = tmp_path / "demo.svg"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TMPDIR": str(tmp_path),
        "AUTO_BLOCK": "nonsense: the operator's own settings are not the demo's",
    }
    done = subprocess.run(
        [sys.executable, "-m", "ai_suricata", "demo", "--seconds", "1", "--svg", str(svg)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert "Against the labels" in done.stdout
    assert "brute force" in done.stdout
    assert "http://127.0.0.1:0/" not in done.stdout
    assert "{http://www.w3.org/2000/svg}svg" == ET.parse(svg).getroot().tag  # noqa: S314 - our own
    assert "Against the labels" in svg.read_text().replace("&#160;", " ")
    assert [svg] == list(tmp_path.iterdir())


def test_a_demo_that_is_too_long_is_refused() -> None:
    """It ends within two minutes, whatever is asked."""
    assert 2 == CliRunner().invoke(app, ["demo", "--seconds", "1000"]).exit_code
