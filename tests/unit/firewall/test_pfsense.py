"""PfSense where there is no server to talk to: what it refuses, and what it can't reach."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import asyncssh
import pytest

from ai_suricata.config.firewall import FirewallSettings
from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError
from ai_suricata.firewall.pfsense import PfSense

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ATTACKER = ip_address("203.0.113.7")


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Return a socket whose backlog takes connections that nobody answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield server


def settings_for(folder: Path, host: str, port: int) -> FirewallSettings:
    """Return settings with a key of our own and no known host."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "key")
    (folder / "known_hosts").write_text("")
    return FirewallSettings(
        firewall="pfsense",
        host=host,
        port=port,
        key_file=folder / "key",
        known_hosts=folder / "known_hosts",
        command_timeout=0.2,
    )


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.mark.parametrize("host", ["127.0.0.1", "no..host"])
async def test_a_host_that_does_not_answer_is_unreachable(tmp_path: Path, host: str) -> None:
    """Refused, or no host name at all: the text names the settings to check."""
    firewall = PfSense(settings_for(tmp_path, host, closed_port()))

    with pytest.raises(FirewallUnreachableError, match="check PFSENSE_HOST and PFSENSE_PORT"):
        await firewall.open()


async def test_a_host_that_accepts_and_says_nothing_is_unreachable(
    tmp_path: Path, silent: socket.socket
) -> None:
    """The attempt ends at the time limit."""
    firewall = PfSense(settings_for(tmp_path, "127.0.0.1", silent.getsockname()[1]))

    with pytest.raises(FirewallUnreachableError, match="no answer in time"):
        await firewall.open()


async def test_calls_that_wait_for_one_attempt_share_its_end(
    tmp_path: Path, silent: socket.socket
) -> None:
    """Ten calls at once make one connection, and fail together instead of one after another."""
    firewall = PfSense(settings_for(tmp_path, "127.0.0.1", silent.getsockname()[1]))

    ended = await asyncio.gather(
        *(firewall.add(Table.BLOCK, {ATTACKER: 600.0}) for _ in range(10)), return_exceptions=True
    )

    assert {FirewallUnreachableError} == set(map(type, ended))
    silent.setblocking(False)  # noqa: FBT003 (the standard library's signature)
    silent.accept()[0].close()
    with pytest.raises(BlockingIOError):
        silent.accept()


async def test_without_known_hosts_no_host_is_trusted(tmp_path: Path) -> None:
    """Settings that were not checked must not turn the check of the host key off."""
    unchecked = settings_for(tmp_path, "127.0.0.1", closed_port()).model_copy(
        update={"known_hosts": None}
    )

    with pytest.raises(FirewallRefusedError, match="PFSENSE_KNOWN_HOSTS is missing"):
        await PfSense(unchecked).open()


async def test_closing_what_was_never_open_is_no_error(tmp_path: Path) -> None:
    """A start that failed ends like any other."""
    await PfSense(settings_for(tmp_path, "127.0.0.1", closed_port())).close()


@pytest.mark.parametrize(
    ("host", "place"),
    [("192.0.2.1", "root@192.0.2.1:22"), ("2001:db8::1", "root@[2001:db8::1]:22")],
)
def test_a_place_names_user_host_and_port(tmp_path: Path, host: str, place: str) -> None:
    """Each of a pair has its own; an IPv6 address stands in brackets."""
    settings = settings_for(tmp_path, host, 22).model_copy(update={"user": "root"})

    assert place == PfSense(settings).place


async def test_without_learning_nothing_is_asked(tmp_path: Path) -> None:
    """The survey is what we know of the session: no connection is made for it."""
    settings = settings_for(tmp_path, "192.0.2.1", closed_port())
    firewall = PfSense(settings.model_copy(update={"learn": False}))

    assert {"SSH session": (ip_network("192.0.2.1/32"),)} == await firewall.survey()


def test_the_configured_address_is_its_own_before_any_connection(tmp_path: Path) -> None:
    """Never-block holds from the first verdict on."""
    firewall = PfSense(settings_for(tmp_path, "::ffff:192.168.1.1", 22))

    assert frozenset({ip_address("192.168.1.1")}) == firewall.own_addresses()
