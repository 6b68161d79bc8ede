"""The daemon on a Linux gateway: real packets of an attacker, from the line in eve.json on."""

from __future__ import annotations

import asyncio
import ctypes
import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lab.network import inside

from ai_suricata.core.decision import Table
from fakes.namespace import FILE, HOME, HOME_6, need_nftables, running_gateway, socket_in
from fakes.process import DaemonProcess, guesses, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.namespace import Gateway

pytestmark = pytest.mark.system

ATTACKER, ATTACKER_6 = "203.0.113.7", "2001:db8:bad::7"
CLIENT, FOREIGN = "203.0.113.200", "203.0.113.66"
VARIABLES = {
    "AUTO_BLOCK": "true",
    "FIREWALL": "nftables",
    "FLUSH_INTERVAL": "0.2",
    "RECONCILE_INTERVAL": "1",
}
SILENCE = 0.4
"""Seconds after which what did not come counts as dropped: on these cables all takes under 1 ms."""
LIMIT = 15.0
"""Seconds for what has to come."""
_CLONE_NEWNET = 0x40000000


@pytest.fixture(scope="module")
def made() -> Iterator[Gateway]:
    """Make the namespaces once: each test begins with the ruleset loaded anew."""
    need_nftables()
    with running_gateway() as gateway:
        yield gateway


@pytest.fixture
def gateway(made: Gateway) -> Gateway:
    """Return the gateway with empty sets."""
    made.load()
    return made


class GatewayDaemon(DaemonProcess):
    """A daemon that lives on the gateway; its metrics are on the gateway's own loopback."""

    def __init__(self, folder: Path, gateway: Gateway) -> None:
        self.namespace = gateway.namespace
        entering = partial(enter, self.namespace)
        super().__init__(folder, VARIABLES, preexec_fn=entering)

    def get(self, path: str) -> str:
        """Ask over HTTP in a thread that has entered the namespace, and ends there."""
        with ThreadPoolExecutor(1, initializer=enter, initargs=(self.namespace,)) as pool:
            return pool.submit(super().get, path).result()

    def states(self) -> dict[str, str]:
        """Return how far the block of each target has come, as the ledger has it on disk."""
        return {target: state for (target, _), state in self.ledger("nftables").items()}

    def are_enforced(self, *targets: str) -> bool:
        """Whether the blocks of all of them are proved."""
        held = self.states()
        return all(held.get(target) == "enforced" for target in targets)

    def command(self, *words: str) -> list[dict[str, Any]]:
        """Run a command of the operator's on the gateway; return its lines as objects."""
        program = inside(self.namespace, sys.executable, "-m", "ai_suricata", *words)
        done = subprocess.run(
            program,
            env=self.variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (0, "") == (done.returncode, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]


def enter(namespace: str) -> None:
    """Move this thread, or the process that has but one, into the namespace: setns(2)."""
    with Path("/run/netns", namespace).open("rb") as entered:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(entered.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns into {namespace}")


@pytest.fixture
def daemon(tmp_path: Path, gateway: Gateway) -> Iterator[GatewayDaemon]:
    """Return a daemon that is not started yet; it is killed at the end."""
    made = GatewayDaemon(tmp_path, gateway)
    try:
        yield made
    finally:
        made.kill()


def passes(gateway: Gateway, source: str, limit: float = LIMIT) -> bool:
    """Say whether a connection from the source to the protected host comes about."""
    home = HOME_6 if ":" in source else HOME
    with (
        socket_in(gateway.home, socket.SOCK_STREAM, home) as listening,
        socket_in(gateway.outside, socket.SOCK_STREAM, source) as client,
    ):
        listening.listen()  # the kernel answers
        client.settimeout(limit)
        try:
            client.connect(listening.getsockname()[:2])
        except TimeoutError:
            return False
        return True


def blocked(gateway: Gateway) -> set[str]:
    """Return what the block sets hold."""
    return set(map(str, asyncio.run(gateway.firewall().entries(Table.BLOCK))))


def put(gateway: Gateway, address: str) -> None:
    """Add an element as somebody else does."""
    gateway.nft("add", "element", "inet", "ai_suricata", "block4", f"{{ {address} }}")


def take_out(gateway: Gateway, address: str) -> None:
    """Take an element out by hand."""
    gateway.nft("delete", "element", "inet", "ai_suricata", "block4", f"{{ {address} }}")


def test_an_attacker_is_cut_off_until_the_operator_lets_it_in_again(
    gateway: Gateway, daemon: GatewayDaemon
) -> None:
    """Of both IP versions; whoever did nothing is not touched."""
    daemon.start_ready()
    assert [True, True] == [passes(gateway, one) for one in (ATTACKER, ATTACKER_6)]

    daemon.write([*guesses(ATTACKER), *guesses(ATTACKER_6)])
    wait_for(lambda: daemon.are_enforced(ATTACKER, ATTACKER_6))
    assert [False, False] == [passes(gateway, one, SILENCE) for one in (ATTACKER, ATTACKER_6)]
    assert passes(gateway, CLIENT)
    assert ("ok", "answers") == daemon.health("firewall")

    [lifted] = daemon.command("blocks", "remove", ATTACKER, "--reason", "a colleague")
    assert (ATTACKER, "watched") == (lifted["target"], lifted["state"])
    assert passes(gateway, ATTACKER)
    assert not passes(gateway, ATTACKER_6, SILENCE)


def test_after_a_kill_and_a_restart_the_sets_are_right(
    gateway: Gateway, daemon: GatewayDaemon
) -> None:
    """What was taken out meanwhile is back, what others have put in stays, attackers stay out."""
    daemon.start_ready()
    daemon.write([*guesses(ATTACKER), *guesses(ATTACKER_6)])
    wait_for(lambda: daemon.are_enforced(ATTACKER, ATTACKER_6))
    daemon.kill()
    assert not passes(gateway, ATTACKER, SILENCE)
    take_out(gateway, ATTACKER)
    put(gateway, FOREIGN)
    assert passes(gateway, ATTACKER)

    daemon.start_ready()
    wait_for(lambda: blocked(gateway) == {ATTACKER, ATTACKER_6, FOREIGN}, "the sets are right")
    wait_for(lambda: daemon.are_enforced(ATTACKER, ATTACKER_6))
    assert [False, False] == [passes(gateway, one, SILENCE) for one in (ATTACKER, ATTACKER_6)]
    wait_for(lambda: daemon.metric("suricata_ai_put_back_total") == 1)


def test_what_ended_while_the_daemon_was_dead_is_out_after_its_start(
    gateway: Gateway, daemon: GatewayDaemon
) -> None:
    """Before the kernel would let go of it by itself."""
    daemon.variables["BLOCK_DURATION"] = "10"
    daemon.start_ready()
    daemon.write(guesses(ATTACKER))
    wait_for(lambda: daemon.are_enforced(ATTACKER))
    end = time.time() + 10
    daemon.kill()
    wait_for(lambda: time.time() > end, "its time has ended")
    assert {ATTACKER} == blocked(gateway)

    daemon.start_ready()
    wait_for(lambda: daemon.states() == {ATTACKER: "watched"})
    assert set() == blocked(gateway)
    assert passes(gateway, ATTACKER)


def test_without_a_daemon_a_release_empties_what_is_ours(
    gateway: Gateway, daemon: GatewayDaemon
) -> None:
    """And leaves what others have put in, for the day on which the daemon is removed."""
    daemon.start_ready()
    daemon.write([*guesses(ATTACKER), *guesses(ATTACKER_6)])
    wait_for(lambda: daemon.are_enforced(ATTACKER, ATTACKER_6))
    put(gateway, FOREIGN)
    daemon.kill()

    released = daemon.command("blocks", "release", "--all")
    assert {ATTACKER, ATTACKER_6} == {one["target"] for one in released}
    assert {FOREIGN} == blocked(gateway)
    assert [True, True] == [passes(gateway, one) for one in (ATTACKER, ATTACKER_6)]
    assert {"watched"} == set(daemon.states().values())


def test_without_the_ruleset_health_names_the_remedy_and_it_heals(
    gateway: Gateway, daemon: GatewayDaemon
) -> None:
    """Not loaded at the start, and lost later: what can't be blocked is never called a block."""
    remedy = "the table inet ai_suricata does not exist: run `nft -f nftables/ai-suricata.nft`"
    gateway.nft("flush ruleset")
    daemon.start_ready()
    daemon.write(guesses(ATTACKER))
    wait_for(lambda: daemon.states() == {ATTACKER: "failed"})
    wait_for(lambda: daemon.health("firewall")[0] == "degraded")
    assert remedy in daemon.health("firewall")[1]
    assert 0 == daemon.metric("suricata_ai_blocks_total")
    assert passes(gateway, ATTACKER)

    for _ in range(2):
        gateway.nft("-f", str(FILE))
        wait_for(lambda: daemon.are_enforced(ATTACKER), "it is blocked", LIMIT)
        assert not passes(gateway, ATTACKER, SILENCE)
        wait_for(lambda: daemon.health("firewall") == ("ok", "answers"))
        gateway.nft("flush ruleset")
        wait_for(lambda: remedy in daemon.health("firewall")[1], "it is told", LIMIT)
        assert not daemon.are_enforced(ATTACKER)
