"""The rotation test, short: a writer, a reader that is killed, and the account at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 120.0
"""Seconds that a short run may take on a busy machine."""


def test_a_short_run_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Every kind of step takes place, the reader is killed, and each line comes once."""
    command = [sys.executable, "benchmarks/rotation.py", "--steps", "150", "--seed", "7"]
    path = os.pathsep.join(str(ROOT / part) for part in ("src", "", "tests"))
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path)}
    run = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (0, "") == (run.returncode, run.stderr), run.stdout
    assert ["0", "0", "0"] == [figure(run.stdout, n) for n in ("lost", "doubled", "out of order")]
    assert "0" != figure(run.stdout, "SIGKILLs of the reader")
    assert figure(run.stdout, "lines read") != "0"
    assert [] == [*tmp_path.iterdir()]


def figure(table: str, name: str) -> str:
    """Return the number that stands behind `name` in a row of the table."""
    rows = [line.strip("│ ").split("│") for line in table.splitlines()]
    return next(row[1].strip() for row in rows if len(row) > 1 and row[0].strip() == name)
