"""A daemon that tells a webhook what it does, and that waits for nobody while it does so."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from fakes.process import guesses, running, wait_for
from fakes.sshd import BLOCK_TABLE, running_pf
from fakes.webhook import Answer, webhook_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.process import DaemonProcess
    from fakes.webhook import WebhookServer

pytestmark = pytest.mark.system

ATTACKER, OTHER = "203.0.113.7", "198.51.100.9"
VARIABLES = {"AUTO_BLOCK": "true", "FLUSH_INTERVAL": "0.2", "PFSENSE_TIMEOUT": "5"}
SLACK = 5.0
"""Seconds for what takes well under one, on a machine that is busy."""


async def beside(scenario: Callable[[WebhookServer], None], *answers: Answer) -> None:
    """Run a scenario in a thread, and beside it the server that it is about."""
    async with webhook_server() as server:
        server.answers.extend(answers)
        await asyncio.to_thread(scenario, server)


def enforced(daemon: DaemonProcess) -> set[str]:
    """Return whose block is proved, as the ledger has it on disk."""
    found = daemon.ledger("pfsense").items()
    return {target for (target, _), state in found if state == "enforced"}


def told(server: WebhookServer) -> list[tuple[str, str]]:
    """Return kind and target of each notice that came, in order."""
    return [(one["kind"], one["details"].get("target", "")) for one in server.notices]


async def test_people_are_told_of_a_block_and_of_a_firewall_that_is_lost(tmp_path: Path) -> None:
    """With target, reasons and features; the URL, which is a secret, is in no log."""

    def scenario(server: WebhookServer) -> None:
        with running_pf(tmp_path / "pf") as pf:
            variables = {**VARIABLES, **pf.environment(), "WEBHOOK_URL": server.url}
            with running(tmp_path, variables=variables, RECONCILE_INTERVAL="1") as daemon:
                daemon.write(guesses(ATTACKER))
                wait_for(lambda: told(server) == [("blocked", ATTACKER)], "the block is told")
                is_what_the_ledger_knows(server.notices[0])

                pf.stop()
                wait_for(lambda: told(server)[1:] == [("firewall_down", "")], "the loss is told")
                assert str(pf.port) in server.notices[1]["lines"][0]
                pf.start()
                wait_for(lambda: told(server)[2:] == [("firewall_up", "")], "and the return")
                wait_for(lambda: counted(daemon, "sent") == 3)
                assert 0 == daemon.terminate()
                assert "PATHSECRET" not in daemon.text()

    await beside(scenario)


def is_what_the_ledger_knows(notice: dict[str, Any]) -> None:
    """Hold the notice of the block against what the attacker has done."""
    details = notice["details"]
    assert f"{ATTACKER} blocked for 10 minutes" == notice["title"]
    assert ("block", 600, False) == (
        details["table"],
        details["duration_seconds"],
        details["by_hand"],
    )
    assert notice["lines"] == details["reasons"] != []
    # The shipped model decides at the twelfth event, long before all 200 have come.
    attempts = details["features"]["login_attempts"]
    assert 10 < attempts < 200
    assert [line for line in notice["lines"] if f": {attempts:.0f}, usually" in line] != []


def counted(daemon: DaemonProcess, result: str) -> float:
    """Return how many notices of the webhook came to this result."""
    labels = rf'{{channel="webhook",result="{result}"}}'
    return max(0.0, daemon.metric(f"suricata_ai_notifications_total{labels}"))


async def test_a_webhook_that_hangs_delays_no_block(tmp_path: Path) -> None:
    """While the first POST waits for its answer, the next attacker is blocked as ever."""

    def scenario(server: WebhookServer) -> None:
        with running_pf(tmp_path / "pf") as pf:
            variables = {**VARIABLES, **pf.environment(), "WEBHOOK_URL": server.url}
            with running(tmp_path, variables=variables, NOTIFY_TIMEOUT="120") as daemon:
                daemon.write(guesses(ATTACKER))
                wait_for(lambda: len(server.requests) == 1, "the POST hangs")
                daemon.write(guesses(OTHER))
                wait_for(lambda: enforced(daemon) == {ATTACKER, OTHER}, limit=SLACK)
                assert {ATTACKER, OTHER} == pf.table(BLOCK_TABLE)
                assert 0 == counted(daemon, "sent")
                assert [("blocked", ATTACKER)] == told(server)

    await beside(scenario, Answer(never=True))


async def test_a_webhook_that_hangs_delays_an_exit_by_its_bound_alone(tmp_path: Path) -> None:
    """NOTIFY_TIMEOUT after SIGTERM; all else is finished, and what was not told is counted."""
    bound = 2.0

    def scenario(server: WebhookServer) -> None:
        with running_pf(tmp_path / "pf") as pf:
            variables = {**VARIABLES, **pf.environment(), "WEBHOOK_URL": server.url}
            with running(tmp_path, variables=variables, NOTIFY_TIMEOUT=f"{bound:g}") as daemon:
                daemon.write(guesses(ATTACKER))
                wait_for(lambda: len(server.requests) == 1, "the POST hangs")
                began = time.monotonic()
                assert 0 == daemon.terminate()
                assert time.monotonic() - began < bound + SLACK
                assert [1] == [e["count"] for e in daemon.told("notices were never sent")]
                assert {ATTACKER} == enforced(daemon)
                assert {ATTACKER: (200, 0)} == daemon.counted()

    await beside(scenario, *[Answer(never=True)] * 20)
