"""The connection to a real sshd: who may answer, who logs in, what is lost and made again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

import asyncssh
import pytest

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import (
    AiSuricataError,
    FirewallRefusedError,
    FirewallUnreachableError,
)
from ai_suricata.firewall import pfsense, ssh
from ai_suricata.firewall.pfsense import PfSense
from ai_suricata.firewall.ssh import Link
from fakes.ssh_process import descendants
from fakes.sshd import BLOCK_TABLE, PfStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ai_suricata.core.address import Target

pytestmark = pytest.mark.system

ATTACKER = ip_address("203.0.113.7")
BATCH: dict[Target, float] = {ATTACKER: 600.0}


async def opened(firewall: PfSense, limit: float = 20.0) -> None:
    """Wait until the pause after a failed attempt is over and the next one succeeds."""
    async with asyncio.timeout(limit):
        while True:
            with suppress(FirewallRefusedError, FirewallUnreachableError):
                return await firewall.open()
            await asyncio.sleep(0.01)


@contextmanager
def agent_at(path: Path) -> Iterator[None]:
    """Run an ssh agent at this socket."""
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while not path.exists():
            assert time.monotonic() < until, "ssh-agent does not start"
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait()


async def test_a_changed_host_key_is_refused(pf: PfStandIn, firewall: PfSense) -> None:
    """Nothing is sent to a host that is not the one we know, until the operator says so."""
    pf.change_host_key()
    pf.restart()

    with pytest.raises(FirewallRefusedError, match=r"PFSENSE_KNOWN_HOSTS does not hold"):
        await firewall.add(Table.BLOCK, BATCH)
    assert pf.logins() == 0

    pf.trust_host_key()
    await opened(firewall)
    await firewall.add(Table.BLOCK, BATCH)
    assert {str(ATTACKER)} == pf.table(BLOCK_TABLE)


@pytest.mark.parametrize("text", ["", "# nobody\n", "other.example ssh-ed25519 AAAA\n"])
async def test_an_unknown_host_key_is_refused(pf: PfStandIn, firewall: PfSense, text: str) -> None:
    """A file without this host's key trusts nobody, neither does one that can't be read."""
    pf.known_hosts.write_text(text)

    with pytest.raises(FirewallRefusedError, match="PFSENSE_KNOWN_HOSTS"):
        await firewall.open()
    assert pf.logins() == 0


async def test_a_missing_known_hosts_file_is_refused(pf: PfStandIn, firewall: PfSense) -> None:
    """The text names the setting."""
    pf.known_hosts.unlink()

    with pytest.raises(FirewallRefusedError, match=r"PFSENSE_KNOWN_HOSTS can't be read"):
        await firewall.open()


async def test_a_key_that_the_firewall_does_not_know_is_refused(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """The text names the setting, and nothing of the key is in it."""
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    stranger.write_private_key(pf.key_file)

    with pytest.raises(FirewallRefusedError, match="PFSENSE_KEY_FILE") as refused:
        await firewall.open()
    assert "PRIVATE KEY" not in str(refused.value)


@pytest.mark.parametrize("content", [None, "no key at all"])
async def test_a_key_file_that_cannot_be_used_is_refused(
    pf: PfStandIn, firewall: PfSense, content: str | None
) -> None:
    """Missing or broken: the text names the setting."""
    pf.key_file.unlink()
    if content:
        pf.key_file.write_text(content)

    with pytest.raises(FirewallRefusedError, match=r"PFSENSE_KEY_FILE can't be used"):
        await firewall.open()


async def test_a_passphrase_on_the_key_is_refused(pf: PfStandIn, firewall: PfSense) -> None:
    """A daemon can't be asked for it; the text says what to do."""
    key = asyncssh.read_private_key(pf.key_file)
    key.write_private_key(pf.key_file, "pkcs8-pem", pf.user)  # any passphrase will do

    with pytest.raises(FirewallRefusedError, match="without a passphrase"):
        await firewall.open()


async def test_a_restarted_firewall_is_connected_to_again(pf: PfStandIn, firewall: PfSense) -> None:
    """One login, however many calls wait for it."""
    await firewall.add(Table.BLOCK, BATCH)
    pf.restart()
    with suppress(FirewallUnreachableError):  # where the loss was not yet noticed
        await firewall.entries(Table.BLOCK)

    listings = await asyncio.gather(*(firewall.entries(Table.BLOCK) for _ in range(8)))

    assert [{ATTACKER}] * 8 == listings
    assert pf.logins() == 2


async def test_a_stopped_firewall_is_unreachable_until_it_is_back(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """Every call says so at once and names the settings; none waits for ever."""
    await firewall.open()
    pf.stop()

    for _ in range(3):
        with pytest.raises(FirewallUnreachableError):
            await firewall.entries(Table.BLOCK)
    with pytest.raises(FirewallUnreachableError, match="check PFSENSE_HOST and PFSENSE_PORT"):
        await firewall.open()

    pf.start()
    await opened(firewall)
    assert set() == await firewall.entries(Table.BLOCK)


async def test_own_addresses_are_both_ends_of_the_session(pf: PfStandIn) -> None:
    """What must never be blocked, or we lock ourselves out; a host name tells it once connected."""
    firewall = PfSense(pf.settings().model_copy(update={"host": "localhost"}))
    assert frozenset() == firewall.own_addresses()

    await firewall.open()

    assert frozenset({ip_address("127.0.0.1")}) == firewall.own_addresses()
    await firewall.close()


async def test_without_a_key_file_the_agent_is_asked(
    pf: PfStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key with a passphrase is used that way."""
    agent = tmp_path / "agent"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    monkeypatch.setenv("HOME", str(tmp_path))  # the user's own keys must not log us in
    firewall = PfSense(pf.settings().model_copy(update={"key_file": None}))

    with pytest.raises(FirewallRefusedError, match="PFSENSE_KEY_FILE"):
        await firewall.open()
    with agent_at(agent):
        async with asyncssh.connect_agent(str(agent)) as keeper:
            await keeper.add_keys([str(pf.key_file)])
        await opened(firewall)
        assert set() == await firewall.entries(Table.BLOCK)
    await firewall.close()


async def test_a_connection_that_gives_no_sign_of_life_is_lost(
    pf: PfStandIn, firewall: PfSense, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the firewall's host hangs, nothing closes the connection: silence has to tell."""
    monkeypatch.setattr(ssh, "_KEEPALIVE_INTERVAL", 0.05)
    await firewall.open()
    connection = await firewall._shell.link.connected()
    assert pf.process is not None
    for pid in descendants(pf.process):
        os.kill(pid, signal.SIGSTOP)

    async with asyncio.timeout(10):
        await connection.wait_closed()

    assert set() == await firewall.entries(Table.BLOCK)
    assert 2 == pf.logins()


async def test_after_a_failed_attempt_the_error_is_told_again_without_another(
    pf: PfStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers do not wait, and a firewall that is down is not asked a hundred times a second."""
    monkeypatch.setattr(ssh, "_FIRST_PAUSE", 30.0)
    monkeypatch.setattr(ssh, "_LONGEST_PAUSE", 30.0)
    firewall = PfSense(pf.settings())
    pf.stop()
    with pytest.raises(FirewallUnreachableError) as first:
        await firewall.open()
    pf.start()

    begun = time.monotonic()
    for _ in range(100):
        with pytest.raises(FirewallUnreachableError, match="can't be reached") as again:
            await firewall.add(Table.BLOCK, BATCH)
        assert str(first.value) == str(again.value)

    assert 1 > time.monotonic() - begun
    assert 0 == pf.logins()
    await firewall.close()


async def test_the_pause_doubles_up_to_its_limit_and_ends_with_a_login(
    pf: PfStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jittered between half and all of it, never below the first."""
    monkeypatch.setattr(ssh, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(ssh, "_LONGEST_PAUSE", 0.08)
    link = Link(pf.settings(), paced=True)
    pf.stop()

    pauses = [await failed(link) for _ in range(6)]
    longest = [0.01, 0.02, 0.04, 0.08, 0.08, 0.08]
    for most, pause in zip(longest, pauses, strict=True):
        assert max(0.01, most / 2) - 0.001 <= pause <= most + 0.001
    pf.start()
    async with asyncio.timeout(10):
        while link._connection is None:
            with suppress(AiSuricataError):
                await link.connected()
            await asyncio.sleep(0.005)
    await link.close()
    pf.stop()

    assert 0.011 >= await failed(link)


async def failed(link: Link) -> float:
    """Let one attempt fail, waiting out the pause before it; return the pause after it."""
    loop = asyncio.get_running_loop()
    attempts = link._attempts
    async with asyncio.timeout(10):
        while link._attempts == attempts:
            with pytest.raises(FirewallUnreachableError):
                await link.connected()
            begun = loop.time()
            await asyncio.sleep(0)
    return link._not_before - begun


async def test_a_link_without_pauses_of_its_own_tries_at_once(pf: PfStandIn) -> None:
    """The source of events keeps pauses itself."""
    link = Link(pf.settings())
    pf.stop()
    with pytest.raises(FirewallUnreachableError):
        await link.connected()
    pf.start()

    await link.connected()
    assert 1 == pf.logins()
    await link.close()


async def test_an_answer_without_end_is_cut_off(
    pf: PfStandIn, firewall: PfSense, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, whatever the other side sends; the next call connects again."""
    monkeypatch.setattr(pfsense, "_MOST_TEXT", 50_000)
    pf.put(BLOCK_TABLE, *(f"198.18.{number // 250}.{number % 250}" for number in range(10_000)))

    with pytest.raises(FirewallUnreachableError, match="says more than 50000 characters"):
        await firewall.entries(Table.BLOCK)
    pf.empty(BLOCK_TABLE)
    assert set() == await firewall.entries(Table.BLOCK)
