"""A stop that people who can't be told do not hold up."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from ai_suricata.config.load import load
from ai_suricata.core.clock import ManualClock
from ai_suricata.sink.notify import dispatch as module
from ai_suricata.sink.notify.channel import DeliveryError
from ai_suricata.sink.notify.dispatch import Dispatch
from ai_suricata.sink.notify.lookup import Lookup
from ai_suricata.sink.notify.notice import Kind, Notice
from fakes.redis_client import until

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 1_700_000_000.0
NOTICE = Notice(Kind.BLOCKED, NOW, "203.0.113.7 blocked for 10 minutes")
CHANNELS = {
    "webhook": {"WEBHOOK_URL": "http://hooks.example/x"},
    "mail": {"MAIL_TO": "a@example.org", "MAIL_FROM": "b@example.org", "SMTP_HOST": "mx.example"},
}


class Resolver:
    """The system's resolver: it hangs until it is let go, then answers as it is told."""

    def __init__(self) -> None:
        self.asked = 0
        self.let_go = threading.Event()
        self.error: OSError = socket.gaierror(socket.EAI_NONAME, "unknown")

    def __call__(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - as getaddrinfo
        """Stand in for getaddrinfo."""
        self.asked += 1
        self.let_go.wait(30)
        raise self.error


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """Put a resolver that hangs in the place of the system's."""
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.let_go.set()


@pytest.mark.parametrize("channel", CHANNELS)
async def test_a_resolver_that_hangs_does_not_hold_the_stop(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    """Nor does the loop's pool of threads get it: that is waited for at the end."""
    monkeypatch.setattr(module, "PARTING", 0.1)
    settings = load(environment=CHANNELS[channel]).notify
    dispatch = Dispatch(settings, ManualClock(NOW))
    task = asyncio.create_task(dispatch.run())
    dispatch.take([NOTICE])
    await until(lambda: resolver.asked == 1)
    began = time.monotonic()
    with capture_logs() as logs:
        dispatch.stop()
        async with asyncio.timeout(5):
            await task
        await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), 5)

    assert time.monotonic() - began < 5
    assert ("notices were never sent", 1) in [(log["event"], log.get("count")) for log in logs]


async def test_a_name_is_asked_for_once_while_the_answer_is_out(resolver: Resolver) -> None:
    """However often it is tried: threads that hang do not pile up."""
    lookup = Lookup("hooks.example", 80)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await lookup.answered()
    assert 1 == resolver.asked

    resolver.let_go.set()
    async with asyncio.timeout(5):
        await lookup.answered()  # no such name, which is an answer
        await lookup.answered()
    assert 2 == resolver.asked


async def test_a_resolver_that_gives_up_is_no_answer(resolver: Resolver) -> None:
    """The library would ask again, and hang for as long once more."""
    resolver.error = socket.gaierror(socket.EAI_AGAIN, "try again")
    resolver.let_go.set()
    with pytest.raises(DeliveryError, match="its name can't be resolved"):
        await Lookup("hooks.example", 80).answered()


def test_a_program_ends_while_a_lookup_hangs() -> None:
    """The interpreter does not wait for the thread."""
    code = """
import asyncio, socket, threading
socket.getaddrinfo = lambda *_a, **_k: threading.Event().wait(60)
from ai_suricata.sink.notify.lookup import Lookup
async def main():
    try:
        async with asyncio.timeout(0.05):
            await Lookup("hooks.example", 80).answered()
    except TimeoutError:
        print("given up")
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert ("given up\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize(("seconds", "expected"), [("60", 5.0), ("2", 2.0)])
def test_patience_at_the_stop_is_short(seconds: str, expected: float) -> None:
    """Whatever one notification may take while the daemon runs."""
    settings = load(environment={**CHANNELS["webhook"], "NOTIFY_TIMEOUT": seconds}).notify
    [delivery] = Dispatch(settings, ManualClock(NOW)).deliveries

    assert expected == delivery.patience
