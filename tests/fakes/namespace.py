"""A Linux gateway in network namespaces: strangers on one side, a protected host on the other.

Real packets on virtual cables, and the real nft. What the lab uses for its traffic is used here:
its router is the gateway.

Sockets are made inside a namespace by a thread that has entered it (setns(2)) and stay there, so
that a test speaks for every host itself.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab.network import Network, inside, network
from lab.process import run

from ai_suricata.config.firewall import FirewallSettings
from ai_suricata.firewall.nftables import MARGIN, PROGRAM, Nftables
from fakes.privilege import need_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from ai_suricata.firewall.base import CommandObserver

ROOT = Path(__file__).parents[2]
FILE = ROOT / "nftables" / "ai-suricata.nft"
TABLE = "ai_suricata"
HOME, HOME_6 = "192.0.2.10", "2001:db8:1::10"
"""The protected host."""
STRANGERS, STRANGERS_6 = "203.0.113.0/24", "2001:db8:bad::/64"
"""Each address in them can be spoken for."""
_REFUSALS = ("not permitted", "not supported", "Invalid argument")
_CLONE_NEWNET = 0x40000000
_numbers = itertools.count(1)


@cache
def need_nftables() -> None:
    """Skip the test where it can't run; fail in CI, unless it is the kernel that refuses.

    A missing program or missing rights are the fault of whoever set up the machine. The kernel's
    refusal is told from these by asking it as root, with the programs there: a namespace of its
    own that can't be made, or one that takes no table.
    """
    need_root("for network namespaces")
    missing = [word for word in ("ip", "unshare", PROGRAM[0]) if shutil.which(word) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    words = ["unshare", "--net", *PROGRAM, "add", "table", "inet", TABLE]
    probe = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    if probe.returncode and any(words in probe.stderr for words in _REFUSALS):
        pytest.skip(f"the kernel permits no nftables in a namespace: {probe.stderr.strip()}")
    assert probe.returncode == 0, probe.stderr


class Host:
    """A namespace with a ruleset, and nft inside it."""

    def __init__(self, namespace: str) -> None:
        """Begin without any rules."""
        self.namespace = namespace

    @property
    def program(self) -> tuple[str, ...]:
        """What runs nft inside it."""
        ip, *words = inside(self.namespace, *PROGRAM)
        return (shutil.which(ip) or ip, *words)

    def firewall(
        self,
        observe: CommandObserver | None = None,
        margin: float = MARGIN,
        program: Sequence[str] = (),
    ) -> Nftables:
        """Return the backend for its table; `program`: another way to run nft there."""
        settings = FirewallSettings(firewall="nftables", command_timeout=10)
        return Nftables(settings, observe, program=program or self.program, margin=margin)

    def nft(self, *words: str) -> str:
        """Run nft as the operator does; return what it prints."""
        return run([*self.program, *words])

    def load(self) -> None:
        """Begin anew with the ruleset file of the repository."""
        self.nft("flush ruleset")
        self.nft("-f", str(FILE))


class Gateway(Host):
    """One with a host behind it, and strangers before it."""

    def __init__(self, made: Network) -> None:
        """`made`: with a router, which is the gateway."""
        super().__init__(made.router)
        self.home = made.attach_home([HOME, HOME_6])
        self.outside = made.attach_strangers("outside", [STRANGERS, STRANGERS_6])


@contextmanager
def running_gateway() -> Iterator[Gateway]:
    """Make a gateway with its hosts and its ruleset; delete all of it on leaving."""
    with _made() as network_of_ours:
        gateway = Gateway(network_of_ours)
        gateway.load()
        yield gateway


@contextmanager
def running_host() -> Iterator[Host]:
    """Make a host with its ruleset that is connected to nobody; delete it on leaving."""
    with _made() as network_of_ours:
        host = Host(network_of_ours.router)
        host.load()
        yield host


def _made() -> AbstractContextManager[Network]:
    return network(f"aisn-{os.getpid()}-{next(_numbers)}")


def socket_in(namespace: str, kind: socket.SocketKind, address: str) -> socket.socket:
    """Return a socket that lives in the namespace, bound to the address; it does not block."""

    def make() -> socket.socket:
        with Path("/run/netns", namespace).open("rb") as entered:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(entered.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns into {namespace}")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(family, kind)
        made.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        made.bind((address, 0))
        return made

    with ThreadPoolExecutor(1) as pool:  # its thread ends here: no other code enters the namespace
        return pool.submit(make).result()
