"""What one command an address costs, as others block: on one connection, one after the other.

Beside it the two parts of that cost: sshd's session alone, and with the start of the stand-in.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncssh

from ai_suricata.firewall import pfctl
from fakes.sshd import BLOCK_TABLE, Sshd

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from fakes.sshd import PfStandIn

_LIMIT = 10.0  # seconds for one command
_ROUNDS = 50


@dataclass(frozen=True)
class Baseline:
    """Seconds for each command of a kind, one after the other."""

    bare: list[float]
    """`true`, in a session of sshd's own."""
    rules: list[float]
    """`pfctl -sr` of the stand-in: a session, and the start of a process that reads its file."""
    adds: list[float]
    """`pfctl -T add`, of one address each; nothing is proved by it."""


def measure(folder: Path, pf: PfStandIn, addresses: Sequence[str]) -> Baseline:
    """Measure on a server that nobody else asks meanwhile. `folder`: for a second sshd."""
    plain = Sshd(folder, command=None)
    plain.start()
    try:
        bare = asyncio.run(_one_by_one(plain, ["true"] * _ROUNDS))
    finally:
        plain.stop()
    rules = asyncio.run(_one_by_one(pf, [pfctl.rules().text] * _ROUNDS))
    add = f"/sbin/pfctl -t {BLOCK_TABLE} -T add "
    return Baseline(bare, rules, asyncio.run(_one_by_one(pf, [add + one for one in addresses])))


async def _one_by_one(server: Sshd, commands: Iterable[str]) -> list[float]:
    """Return the seconds of each; the first, which warms things up, is not among them."""
    seconds: list[float] = []
    async with asyncssh.connect(
        server.host,
        server.port,
        username=server.user,
        known_hosts=str(server.known_hosts),
        client_keys=[str(server.key_file)],
        config=[],
    ) as connection:
        for command in ("true", *commands):
            started = time.perf_counter()
            async with asyncio.timeout(_LIMIT):
                await connection.run(command)
            seconds.append(time.perf_counter() - started)
    return seconds[1:]
