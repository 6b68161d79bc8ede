"""The lab, run as a user runs it: real Suricata, real tools, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab.__main__ import missing_tools
from lab.label import Role, read_labels
from lab.sample import addresses, read_events

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
LIMIT = 240.0
"""Seconds after which a hanging lab fails the test."""
SILENT = {Role.SERVER, Role.OUTSIDE_SERVER, Role.CONTROL_SERVER, Role.NOBODY}
"""Roles that open no connection."""
CERTAIN = {
    Role.SSH_BRUTE_FORCE,
    Role.WEB_BRUTE_FORCE,
    Role.WEB_SCANNER,
    Role.SYN_SCANNER,
    Role.NETWORK_SWEEPER,
    Role.WORM,
    Role.BEACON,
    Role.SYN_FLOOD,
    Role.UDP_FLOOD,
    Role.WEB_CLIENT,
    Role.SSH_USER,
    Role.DNS_CLIENT,
    Role.HOME_CLIENT,
    Role.ALLOWED_SCANNER,
}
pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def _means() -> None:
    """Skip where the lab can't run, with the reason; fail there in CI."""
    reasons = [] if os.geteuid() == 0 else ["needs root, for namespaces"]
    reasons += [f"{tool} is not installed" for tool in missing_tools()]
    if not reasons:
        return
    if os.environ.get("CI") == "true":
        pytest.fail("; ".join(reasons))
    pytest.skip("; ".join(reasons))


@pytest.fixture
def lab(tmp_path: Path) -> Callable[[str], subprocess.Popen[str]]:
    """Return a function that starts a lab of so many minutes, writing to `tmp_path`/out."""

    def start(minutes: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "lab", "--out", str(tmp_path / "out"), "--minutes", minutes]
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        return subprocess.Popen(
            words,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def namespaces(pid: int) -> list[str]:
    """Return the namespaces that the lab of this process has made."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if line.startswith(f"aisl-{pid}-")]


def identities(pid: int) -> set[str]:
    """Return what the kernel calls those namespaces: processes are found by it after the name."""
    names = [line.split()[0] for line in namespaces(pid)]
    return {f"net:[{Path('/run/netns', name).stat().st_ino}]" for name in names}


def inhabitants(nets: set[str]) -> list[int]:
    """Return the processes that live in one of these network namespaces."""
    found = []
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            if str(link.readlink()) in nets:
                found.append(int(link.parts[2]))
        except OSError:
            continue  # it has just ended
    return found


def await_step(process: subprocess.Popen[str], step: str) -> None:
    """Read the lab's progress until it names a step."""
    assert process.stdout is not None
    for line in process.stdout:
        if step in line:
            return
    pytest.fail(f"the lab ended before {step!r}: {process.communicate()[1]}")


def assert_nothing_left(pid: int, nets: set[str], folder: Path) -> None:
    """Check that the lab's namespaces, processes and temporary files are gone."""
    assert [] == namespaces(pid)
    assert [] == inhabitants(nets)
    assert [] == list(folder.glob("aisl-*"))


def test_short_run(lab: Callable[[str], subprocess.Popen[str]], tmp_path: Path) -> None:
    """A short run has labelled events of nearly every role, all packets, and leaves no more."""
    process = lab("0.5")
    await_step(process, "syn-flood")
    nets = identities(process.pid)
    assert inhabitants(nets)
    _, errors = process.communicate(timeout=LIMIT)
    assert (0, "") == (process.returncode, errors)
    assert_nothing_left(process.pid, nets, tmp_path)

    out = tmp_path / "out"
    actors = read_labels(out / "labels.csv")
    events = [event for _, event in read_events(out / "eve.json")]
    assert set() == {a for event in events for a in addresses(event)} - set(actors)
    flows = Counter(
        actors[str(ip_address(event["src_ip"]))].role
        for event in events
        if event["event_type"] == "flow"
    )
    missing = set(Role) - SILENT - set(flows)
    assert len(missing) <= 5  # half a minute is not enough for everybody
    assert set() == missing & CERTAIN
    assert (out / "capture.pcap").stat().st_size > 1_000_000


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_run_cleans_up(
    lab: Callable[[str], subprocess.Popen[str]], tmp_path: Path, ending: signal.Signals
) -> None:
    """A lab that is stopped in the middle of its traffic takes everything down and says so."""
    process = lab("5")
    await_step(process, "traffic")
    nets = identities(process.pid)
    assert inhabitants(nets)
    begin = time.monotonic()
    process.send_signal(ending)
    _, errors = process.communicate(timeout=LIMIT)

    assert 130 == process.returncode
    assert "stopped, and cleaned up" in errors
    assert 60 > time.monotonic() - begin
    assert_nothing_left(process.pid, nets, tmp_path)


def test_folder_with_a_run_is_not_overwritten(
    lab: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    """An earlier run is kept: the lab names the remedy and makes nothing."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "eve.json").write_text("earlier\n", encoding="ascii")
    process = lab("0.2")
    _, errors = process.communicate(timeout=LIMIT)

    assert 1 == process.returncode
    assert "name another folder" in errors
    assert "earlier\n" == (out / "eve.json").read_text(encoding="ascii")
