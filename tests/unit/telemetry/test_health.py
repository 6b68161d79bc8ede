"""Phase, parts, and what is logged of them."""

from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs

from ai_suricata import __version__
from ai_suricata.core.clock import ManualClock
from ai_suricata.telemetry.health import Health, Phase, Status


@pytest.fixture
def clock() -> ManualClock:
    """Give a wall clock that the test moves."""
    return ManualClock(1_700_000_000.0)


@pytest.fixture
def health(clock: ManualClock) -> Health:
    """Measure health on that clock."""
    return Health(clock)


def test_only_the_phase_ready_is_ready(health: Health) -> None:
    """Before it is ready and while it drains, a daemon is not."""
    seen = {}
    for phase in Phase:
        health.enter(phase)
        seen[phase] = health.ready

    assert {phase: phase is Phase.READY for phase in Phase} == seen


def test_a_degraded_part_degrades_the_whole_and_leaves_it_ready(health: Health) -> None:
    """Something is missing and the work goes on."""
    health.enter(Phase.READY)
    health.set("source", Status.OK, "reads 2 files")
    health.set("firewall", Status.DEGRADED, "192.0.2.1 does not answer")

    assert Status.DEGRADED == health.status
    assert health.ready


def test_the_worst_part_says_how_the_whole_does(health: Health) -> None:
    """Failed outweighs degraded, in whichever order they come."""
    health.set("state", Status.FAILED, "no right to write")
    health.set("firewall", Status.DEGRADED, "192.0.2.1 does not answer")

    assert Status.FAILED == health.status


def test_parts_that_are_well_again_are_forgiven(health: Health) -> None:
    """Health is of now: what was wrong before does not count."""
    health.set("state", Status.FAILED, "no right to write")
    health.set("state", Status.OK, "stores")

    assert Status.OK == health.status


def test_a_failed_daemon_has_failed_whatever_its_parts_say(health: Health) -> None:
    """The phase FAILED alone is enough."""
    health.set("source", Status.OK, "reads 2 files")
    health.enter(Phase.FAILED)

    assert Status.FAILED == health.status


def test_a_snapshot_says_since_when(health: Health, clock: ManualClock) -> None:
    """`since` is the moment of the latest change of status: another sentence does not move it."""
    health.set("source", Status.DEGRADED, "eve.json does not exist yet")
    clock.advance(5)
    health.set("source", Status.DEGRADED, "eve.json can't be read")
    clock.advance(1)

    assert {
        "status": "degraded",
        "phase": "starting",
        "version": __version__,
        "started": "2023-11-14T22:13:20.000+00:00",
        "uptime_seconds": 6.0,
        "parts": {
            "source": {
                "status": "degraded",
                "detail": "eve.json can't be read",
                "since": "2023-11-14T22:13:20.000+00:00",
            }
        },
    } == health.snapshot()


def test_a_change_is_logged_once(health: Health) -> None:
    """The same word said again is no news; another status or sentence is."""
    with capture_logs() as logs:
        for _ in range(100):
            health.set("firewall", Status.DEGRADED, "192.0.2.1 does not answer")
        for _ in range(100):
            health.set("firewall", Status.OK, "answers")

    assert [
        ("warning", "degraded", "192.0.2.1 does not answer"),
        ("info", "ok", "answers"),
    ] == [(log["log_level"], log["status"], log["detail"]) for log in logs]


def test_a_part_that_begins_well_is_no_news(health: Health) -> None:
    """A start without trouble logs no line for each part."""
    with capture_logs() as logs:
        health.set("state", Status.OK, "stores")

    assert [] == logs


def test_a_snapshot_is_whole_while_others_write(health: Health) -> None:
    """Readers in other threads see parts with status and sentence that belong together."""
    done = threading.Event()

    def write() -> None:
        words = {Status.OK: "answers", Status.DEGRADED: "does not answer"}
        while not done.is_set():
            for number in range(50):
                for status, detail in words.items():
                    health.set(f"part {number}", status, detail)

    def parts() -> set[tuple[str, str]]:
        return {(p["status"], p["detail"]) for p in health.snapshot()["parts"].values()}

    writer = threading.Thread(target=write)
    with capture_logs():
        writer.start()
        seen = set().union(*(parts() for _ in range(200)))
        done.set()
        writer.join()

    assert seen <= {("ok", "answers"), ("degraded", "does not answer")}
