"""The demonstration: the real daemon, the shipped sample, and what would have been done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from ai_suricata import demo as module
from ai_suricata.core.decision import Table
from ai_suricata.demo import Demo, Label, kind_of, read_labels
from ai_suricata.telemetry.health import Phase
from fakes.response import until

if TYPE_CHECKING:
    from pathlib import Path


async def test_it_blocks_attackers_and_harms_nobody(tmp_path: Path) -> None:
    """Over the whole sample, in three seconds; /metrics answers meanwhile."""
    demo = Demo(tmp_path, seconds=3)
    running = asyncio.create_task(demo.run())
    await until(lambda: demo.board.verdicts, 30)

    def scrape() -> str:
        with urlopen(f"http://127.0.0.1:{demo.port}/metrics") as answer:
            return str(answer.read().decode())

    assert "suricata_ai_events_total{" in await asyncio.to_thread(scrape)
    async with asyncio.timeout(60):
        await running

    assert demo.board.total == demo.board.written
    labels = demo.labels
    blocked, limited = demo.would_be(Table.BLOCK), demo.would_be(Table.LIMIT)
    assert blocked
    assert all(labels[ip].label == "malicious" and labels[ip].handshake for ip in blocked)
    assert all(labels[ip].label == "malicious" for ip in limited)
    scanners = {ip for ip, label in labels.items() if label.role == "syn-scanner"}
    assert scanners
    assert scanners <= limited - blocked
    assert sum(demo.summary().values()) == len(labels)


async def test_it_stops_when_the_daemon_does(tmp_path: Path) -> None:
    """Ctrl-C goes to the daemon: the playing ends with it."""
    demo = Demo(tmp_path, seconds=60)
    running = asyncio.create_task(demo.run())
    await until(lambda: demo.board.written)
    demo.daemon.stop()
    async with asyncio.timeout(20):
        await running

    assert Phase.STOPPED is demo.daemon.health.phase
    assert demo.board.written < demo.board.total


async def test_what_goes_wrong_in_playing_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the daemon is stopped before."""

    def broken(*_args: object) -> list[bytes]:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "ending_at", broken)
    demo = Demo(tmp_path, seconds=1)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(20):
            await demo.run()

    assert Phase.STOPPED is demo.daemon.health.phase


async def test_a_daemon_that_cannot_start_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the daemon's own error."""
    demo = Demo(tmp_path, seconds=60)

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(demo.daemon.assembly, "fleet", broken)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(20):
            await demo.run()


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        (Label("malicious", "web-scanner", handshake=True), "attackers, handshakes completed"),
        (Label("malicious", "syn-scanner", handshake=False), "attackers, half-open scans"),
        (Label("spoofed", "syn-flood", handshake=False), "forged sources"),
        (Label("benign", "monitor", handshake=True), "ordinary clients and servers"),
    ],
)
def test_a_label_has_its_kind(label: Label, kind: str) -> None:
    """The rows of the summary."""
    assert kind == kind_of(label)


def test_labels_are_read_by_address(tmp_path: Path) -> None:
    """As the lab writes them."""
    path = tmp_path / "labels.csv"
    path.write_text("ip,label,role,handshake,tool\n203.0.113.1,malicious,web-scanner,yes,curl\n")

    assert {"203.0.113.1": Label("malicious", "web-scanner", handshake=True)} == read_labels(path)
