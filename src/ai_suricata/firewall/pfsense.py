"""pf's tables on a pfSense host, over one SSH connection that stays open.

What is said and what the answers mean is `pfctl`'s business; this module carries it. sshd allows
10 sessions on a connection by default and frees a slot only a moment after the session's end, so
at most 4 commands run at once, and a session that was refused is asked for again.
"""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import asyncssh
import structlog

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError
from ai_suricata.firewall import pfctl
from ai_suricata.firewall.ssh import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ai_suricata.config.settings import FirewallSettings
    from ai_suricata.core.address import Address, Target
    from ai_suricata.firewall.pfctl import Command, Listing, Reply

    CommandObserver = Callable[[str, str], None]
    """Is told of each command: its label (`add`), and `ok`, `refused` or `unreachable`."""

_LOG = structlog.get_logger(__name__)
_CHANNELS = 4
_CHANNEL_ATTEMPTS = 6
_CHANNEL_PAUSE = 0.05  # seconds; doubles with each attempt
_TEST_AT_MOST = 1000  # past it the question is as long as the listing that `show` gives


class PfSense:
    """The tables of one pfSense firewall. A lost connection is made again by the next call.

    Implements `Firewall`; every command has `settings.command_timeout` seconds.
    """

    name = "pfsense"

    def __init__(self, settings: FirewallSettings, observe: CommandObserver | None = None) -> None:
        """`observe`: is told of each command and its result, for counters."""
        self._tables = {Table.BLOCK: settings.block_table, Table.LIMIT: settings.limit_table}
        self._shell = _Shell(settings)
        self._observe = observe

    async def open(self) -> None:
        """Connect; does nothing where the connection stands."""
        await self._shell.link.connected()

    async def close(self) -> None:
        """End the connection; what is in the tables stays there."""
        await self._shell.link.close()

    async def add(self, table: Table, targets: Collection[Target]) -> None:
        """Put the targets into the table, at most `pfctl.CHUNK` with one command."""
        name = self._tables[table]
        for command in pfctl.add(name, targets):
            pfctl.read_added(command, await self._run(command), name)

    async def delete(self, table: Table, targets: Collection[Target]) -> None:
        """Take the targets out of the table. None is in a table that does not exist."""
        name = self._tables[table]
        try:
            for command in pfctl.delete(name, targets):
                pfctl.read_deleted(command, await self._run(command), name)
        except pfctl.TableAbsentError:
            _LOG.warning("table does not exist", table=name)

    async def missing(self, table: Table, targets: Collection[Target]) -> set[Target]:
        """Return the targets that are not enforced; one inside a network of the table is."""
        name = self._tables[table]
        if not targets:
            return set()
        command = pfctl.rules()
        if not pfctl.read_refers(command, await self._run(command), name):
            raise pfctl.no_rule(name)
        wanted = {target: pfctl.canonical(target) for target in targets}
        try:
            lacking = await self._lacking(name, set(wanted.values()))
        except pfctl.TableAbsentError:
            return set(wanted)
        return {target for target, canonical in wanted.items() if canonical in lacking}

    async def entries(self, table: Table) -> set[Target]:
        """Return all that is in the table, entries of others included."""
        return set((await self._listing(self._tables[table])).entries)

    async def kill_states(self, targets: Collection[Target]) -> int:
        """End the targets' connections, both ways. Asks once for those that there are."""
        if not targets:
            return 0
        command = pfctl.states()
        reply = await self._run(command)
        hosts = await asyncio.to_thread(pfctl.read_state_hosts, command, reply)
        connected = pfctl.connected(targets, hosts)
        commands = [part for target in connected for part in pfctl.kill(target)]
        replies = await self._run_all(commands)
        return sum(map(pfctl.read_killed, commands, replies))

    def own_addresses(self) -> frozenset[Address]:
        """Return the firewall's address, and both ends of every SSH session that we had with it."""
        return self._shell.link.own

    async def _lacking(self, name: str, wanted: set[Target]) -> set[Target]:
        """Ask about few addresses by name (a short answer), and about many by listing all."""
        addresses = [one for one in wanted if isinstance(one, IPv4Address | IPv6Address)]
        if len(addresses) == len(wanted) <= _TEST_AT_MOST:
            [command] = pfctl.test(name, addresses)
            if pfctl.read_all_match(command, await self._run(command), name):
                return set()
        return (await self._listing(name)).lacks(wanted)

    async def _listing(self, name: str) -> Listing:
        command = pfctl.show(name)
        reply = await self._run(command)
        # Of 400,000 entries this takes a second: not in the loop that feeds the pipeline.
        listing = await asyncio.to_thread(pfctl.read_listing, command, reply, name)
        if listing.unread:
            _LOG.warning("lines of the table can't be read", table=name, lines=listing.unread)
        return listing

    async def _run_all(self, commands: Iterable[Command]) -> list[Reply]:
        """Run the commands side by side; where one fails, end the others before saying so."""
        tasks = [asyncio.create_task(self._run(command)) for command in commands]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, command: Command) -> Reply:
        try:
            reply = await self._shell.run(command)
        except FirewallUnreachableError:
            self._report(command, "unreachable")
            raise
        except FirewallRefusedError:
            self._report(command, "refused")
            raise
        self._report(command, "ok" if pfctl.answered(command, reply) else "refused")
        return reply

    def _report(self, command: Command, result: str) -> None:
        if self._observe is not None:
            self._observe(command.label, result)


class _Shell:
    """Commands on the connection: a few at once, each bounded."""

    def __init__(self, settings: FirewallSettings) -> None:
        self.link = Link(settings)
        self._limit = settings.command_timeout
        self._channels = asyncio.Semaphore(_CHANNELS)

    async def run(self, command: Command) -> Reply:
        """Send one command and wait for its end. The wait for a free channel is not counted."""
        connection = await self.link.connected()
        try:
            async with self._channels, asyncio.timeout(self._limit):
                return await _exchange(connection, command)
        except TimeoutError:
            reason = f"no answer in {self._limit:g} seconds, which PFSENSE_TIMEOUT sets"
        except (OSError, asyncssh.Error) as error:
            reason = str(error)
        self.link.drop(connection)  # sshd keeps the session of a command that hangs for good
        raise FirewallUnreachableError(
            f"{self.link.place} did not finish `{command.text}` ({reason}): whether it was carried "
            "out is unknown, and the next command connects again"
        )


async def _exchange(connection: asyncssh.SSHClientConnection, command: Command) -> Reply:
    """Run the command; OSError or asyncssh.Error where its end did not come back."""
    process = await _session(connection, command)
    try:
        result = await process.wait()
    finally:
        process.close()
    if result.exit_status is None or result.exit_status < 0:
        raise ConnectionError("it ended without an exit code")
    return pfctl.Reply(result.exit_status, str(result.stdout), str(result.stderr))


async def _session(
    connection: asyncssh.SSHClientConnection, command: Command
) -> asyncssh.SSHClientProcess[str]:
    """Open a session with the command; one that sshd refused was not carried out."""
    for attempt in range(1, _CHANNEL_ATTEMPTS + 1):
        try:
            return await connection.create_process(
                command.text, input=command.stdin or None, encoding="utf-8", errors="replace"
            )
        except asyncssh.ChannelOpenError:
            if connection.is_closed():
                break
        await asyncio.sleep(_CHANNEL_PAUSE * 2**attempt)
    raise ConnectionError("sshd opened no session for it")
