"""The firewall of a Linux gateway on which the daemon itself runs: sets of nftables.

What is said and what the answers mean is `nft`'s business; this module carries it, one process of
nft for each transaction, fed over its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError
from ai_suricata.firewall import nft
from ai_suricata.firewall.base import Sent
from ai_suricata.firewall.overlap import plan
from ai_suricata.firewall.pfctl import Listing, Reply, canonical
from ai_suricata.firewall.ruleset import FAMILY, absent, no_rule, set_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ai_suricata.config.firewall import FirewallSettings
    from ai_suricata.core.address import Address, Network, Target
    from ai_suricata.firewall.base import CommandObserver, Survey
    from ai_suricata.firewall.nft import Command
    from ai_suricata.firewall.ruleset import Elements, Ruleset

_LOG = structlog.get_logger(__name__)
PROGRAM = ("/usr/sbin/nft",)
MARGIN = 120.0
"""Seconds that an element outlives its decision in the kernel.

The daemon's own release comes first, is proved and told, also where a restart delays it. The
kernel's is the net under it, for the day when the daemon is gone.
"""
_LARGEST = 64 * 1024 * 1024  # bytes of an answer: some 700,000 elements
_READ = 1024 * 1024  # bytes at a time
_END = 2.0  # seconds for a process that was killed to be gone


class Nftables:
    """The sets of one table (family inet), which the operator has loaded with its rules."""

    name = "nftables"

    def __init__(
        self,
        settings: FirewallSettings,
        observe: CommandObserver | None = None,
        *,
        program: Sequence[str] = PROGRAM,
        margin: float = MARGIN,
    ) -> None:
        """`observe` is told of each command; `program`: nft, with what has to stand before it."""
        self.place = f"nftables table {FAMILY} {settings.nft_table}"
        self._table = settings.nft_table
        self._limit = settings.command_timeout
        self._observe = observe
        self._words = (*program, "-j", "-f", "-")
        self._margin = margin
        self._idle: dict[Table, set[str]] = {table: set() for table in Table}
        """Sets that no rule acts on, as was said already."""
        self._covered: dict[Table, set[Target]] = {table: set() for table in Table}
        """Networks that were asked for and are no elements, since a wider one holds them.

        Once that one goes, they are in force no longer: reconciling puts them in.
        """

    async def open(self) -> None:
        """See that nft answers. A table that is missing is said by the first use of it."""
        await self._ruleset()

    async def close(self) -> None:
        """Do nothing: there is no connection, and what is in the sets stays there."""

    async def add(self, table: Table, targets: Mapping[Target, float]) -> set[Target]:
        """Put the targets into the table's sets, at most `nft.CHUNK` with one transaction.

        A network in a wider one is not put in, and one that holds an entry of somebody else is
        left out with a warning: `missing` names it. Where one of the sets is gone, TableAbsentError
        says so after the others have got theirs. Returns the targets that somebody else had put in.
        """
        if not targets:
            return set()
        held = (await self._ruleset()).elements(table)
        addresses, networks = _by_set(table, targets, self._margin)
        for part in filter(held.__contains__, addresses):
            await self._run_all(nft.add(self._table, part, addresses[part], held[part]))
        for part in filter(held.__contains__, networks):
            await self._add_networks(table, part, networks[part], held[part])
        for part in sorted({*addresses, *networks} - held.keys()):
            raise absent(self._table, part)
        return {target for target in targets if _is_foreign(table, canonical(target), held)}

    async def delete(self, table: Table, targets: Collection[Target]) -> None:
        """Take the targets out of the table's sets. None is in a set that does not exist."""
        if not targets:
            return
        held = (await self._ruleset()).sets
        for kind in _by_set(table, dict.fromkeys(targets, 0.0)):
            for part, wanted in kind.items():
                await self._run_all(nft.delete(self._table, part, wanted, held.get(part, {})))
        self._covered[table] = self._covered[table].difference(map(canonical, targets))

    async def missing(self, table: Table, targets: Collection[Target]) -> set[Target]:
        """Return the targets that are not enforced; one inside a network of the table is."""
        if not targets:
            return set()
        wanted = {target: canonical(target) for target in targets}
        needed = {set_of(table, target) for target in wanted.values()}
        ruleset = await self._ruleset()
        enforced = ruleset.enforced(table, needed)
        self._tell(table, needed, ruleset)
        lacking = Listing(frozenset(enforced)).lacks(set(wanted.values()))
        return {target for target in wanted if wanted[target] in lacking}

    async def entries(self, table: Table) -> set[Target]:
        """Return all that is in the table, entries of others included; TableAbsentError without it.

        What was asked for and lies in a wider network of the table counts as being in it.
        """
        sets = (await self._ruleset()).elements(table)
        elements: set[Target] = set().union(*sets.values())
        covered = self._covered[table]
        covered -= Listing(frozenset(elements)).lacks(covered)
        return elements | covered

    async def kill_states(self, targets: Collection[Target]) -> int:  # noqa: ARG002 - of the protocol
        """Return 0: the rules stand before connection tracking, so that no connection lives on.

        What conntrack remembers of it goes by conntrack's own timeouts; until then nothing passes
        by it, and after a release it does no harm.
        """
        return 0

    async def survey(self) -> Survey:
        """Return nothing: the firewall is this machine, whose surroundings are asked elsewhere."""
        return {}

    def own_addresses(self) -> frozenset[Address]:
        """Return nothing, for the same reason; and there is no session that could be cut off."""
        return frozenset()

    def _tell(self, table: Table, needed: Collection[str], ruleset: Ruleset) -> None:
        """Warn of sets on which no rule acts, of each once until one does."""
        idle = ruleset.idle(table, needed)
        if idle - self._idle[table]:
            _LOG.warning("not all are stopped", problem=str(no_rule(ruleset, idle)))
        self._idle[table] = self._idle[table].difference(needed) | idle

    async def _add_networks(
        self, table: Table, part: str, wanted: Mapping[Network, float], held: Elements
    ) -> None:
        made = plan(wanted, held)
        for network, foreign in made.barred.items():
            _LOG.warning(
                "left out, since it holds an entry that somebody else put in: delete that entry",
                network=str(network),
                entry=str(foreign),
                set=part,
            )
        await self._run_all(nft.add(self._table, part, made.add, held, made.replaced))
        self._covered[table] |= {*made.covered, *made.replaced}

    async def _ruleset(self) -> Ruleset:
        command = nft.show(self._table)
        reply = await self._run(command)
        # Of 50,000 elements this takes a fifth of a second: not in the pipeline's loop.
        return await asyncio.to_thread(nft.read_ruleset, command, reply, self._table)

    async def _run_all(self, commands: Iterable[Command]) -> None:
        for command in commands:
            nft.check(command, await self._run(command), self._table)

    async def _run(self, command: Command) -> Reply:
        started = asyncio.get_running_loop().time()
        result = "unreachable"
        try:
            reply = await _carry(self._words, command, self._limit)
            result = "refused" if reply.exit_code else "ok"
        except FirewallRefusedError:
            result = "refused"
            raise
        finally:
            self._report(command, result, asyncio.get_running_loop().time() - started)
        return reply

    def _report(self, command: Command, result: str, seconds: float) -> None:
        if self._observe is not None:
            text = shlex.join(self._words)
            self._observe(Sent(self.place, command.label, text, command.size, result, seconds))


def _by_set(
    table: Table, targets: Mapping[Target, float], margin: float = 0.0
) -> tuple[dict[str, dict[Address, float]], dict[str, dict[Network, float]]]:
    """Return addresses and networks with their seconds, canonical, by the set that takes them."""
    addresses: dict[str, dict[Address, float]] = {}
    networks: dict[str, dict[Network, float]] = {}
    for given, seconds in targets.items():
        target = canonical(given)
        part = set_of(table, target)
        if isinstance(target, IPv4Network | IPv6Network):
            networks.setdefault(part, {})[target] = seconds + margin
        else:
            addresses.setdefault(part, {})[target] = seconds + margin
    return addresses, networks


def _is_foreign(table: Table, target: Target, held: Mapping[str, Elements]) -> bool:
    found = held[set_of(table, target)].get(target)
    return found is not None and not found.ours


# -- the process ----------------------------------------------------------------------------------


async def _carry(words: Sequence[str], command: Command, limit: float) -> Reply:
    """Run nft to its end, at most `limit` seconds."""
    try:
        async with asyncio.timeout(limit):
            reply = await _exchange(words, command.stdin.encode())
    except TimeoutError as error:
        raise FirewallUnreachableError(
            f"nft did not answer `{command.label}` in {limit:g} seconds, which PFSENSE_TIMEOUT "
            "sets: whether it was carried out is unknown"
        ) from error
    except (FileNotFoundError, PermissionError) as error:
        raise FirewallRefusedError(
            f"nft can't be run ({error}): install the package nftables, which brings {words[0]}"
        ) from error
    except OSError as error:
        raise FirewallUnreachableError(f"nft could not be started ({error})") from error
    if reply.exit_code < 0:
        raise FirewallUnreachableError(
            f"nft was ended by signal {-reply.exit_code} at `{command.label}`: whether it was "
            "carried out is unknown"
        )
    return reply


async def _exchange(words: Sequence[str], stdin: bytes) -> Reply:
    """Feed a process and read it. FirewallRefusedError where it says more than can be meant."""
    process = await _start(words, stdin)
    try:
        stdout, stderr = await asyncio.gather(_read(process.stdout), _read(process.stderr))
        exit_code = await process.wait()
    finally:
        await _end(process)
    if max(len(stdout), len(stderr)) > _LARGEST:
        raise FirewallRefusedError(
            f"nft said more than {_LARGEST} bytes: look at what fills the table, and take out "
            "what is not needed"
        )
    return Reply(exit_code, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


async def _start(words: Sequence[str], stdin: bytes) -> asyncio.subprocess.Process:
    """Start a process that reads this.

    From a file in memory: nft opens /dev/stdin anew, which can't be done with a socket, and that
    is what uvloop makes of a pipe to a process.
    """
    with os.fdopen(os.memfd_create("nft"), "w+b") as file:
        file.write(stdin)
        file.seek(0)
        return await asyncio.create_subprocess_exec(
            *words,
            stdin=file.fileno(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"LC_ALL": "C"},  # its messages are read here; our passwords are not its business
        )


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    """Read to the end, and keep one byte more than is allowed, so that it shows."""
    kept = bytearray()
    while stream is not None and (part := await stream.read(_READ)):
        kept += part[: _LARGEST + 1 - len(kept)]
    return bytes(kept)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the process where it still runs, and wait a moment for it to be gone."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END):
            await process.wait()
