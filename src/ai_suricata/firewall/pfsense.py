"""pf's tables on a pfSense host, over one SSH connection that stays open.

What is said and what the answers mean is `pfctl`'s business; this module carries it. sshd allows
10 sessions on a connection by default and frees a slot only a moment after the session's end, so
at most 4 commands run at once, and a session that was refused is asked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import asyncssh
import structlog

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import (
    FirewallRefusedError,
    FirewallUnreachableError,
    TableAbsentError,
)
from ai_suricata.firewall import pfctl, survey
from ai_suricata.firewall.base import Sent
from ai_suricata.firewall.ssh import Link

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ai_suricata.config.firewall import FirewallSettings
    from ai_suricata.core.address import Address, Target
    from ai_suricata.firewall.base import CommandObserver, Survey
    from ai_suricata.firewall.pfctl import Command, Listing, Reply

_LOG = structlog.get_logger(__name__)
_CHANNELS = 4
_KILLS = 2
"""Kills at once: a thousand of them must not keep the channels from the next block."""
_CHANNEL_ATTEMPTS = 6
_CHANNEL_PAUSE = 0.05  # seconds; doubles with each attempt
_READ_AT_ONCE = 1024 * 1024  # characters
_MOST_TEXT = 256 * 1024 * 1024  # a million states, with room to spare
_TEST_AT_MOST = 1000  # past it the question is as long as the listing that `show` gives


class PfSense:
    """The tables of one pfSense firewall. A lost connection is made again by the next call.

    Implements `Firewall`; every command has `settings.command_timeout` seconds.
    """

    name = "pfsense"

    def __init__(self, settings: FirewallSettings, observe: CommandObserver | None = None) -> None:
        """Take `settings` of one host; `observe` is told of each command and its result."""
        self._tables = {Table.BLOCK: settings.block_table, Table.LIMIT: settings.limit_table}
        self._killing = asyncio.Semaphore(_KILLS)
        self._shell = _Shell(settings)
        self._observe = observe
        self._learn = settings.learn
        self.place = self._shell.link.name

    async def open(self) -> None:
        """Connect; does nothing where the connection stands."""
        await self._shell.link.connected()

    async def close(self) -> None:
        """End the connection; what is in the tables stays there."""
        await self._shell.link.close()

    async def add(self, table: Table, targets: Mapping[Target, float]) -> set[Target]:
        """Put the targets into the table, at most `pfctl.CHUNK` with one command.

        pf's entries have no end of their own, so the seconds are not used. Where the tables become
        full, what fits is in the table when FirewallRefusedError says how much is not.
        """
        name = self._tables[table]
        left_out = asked = 0
        present: set[Target] = set()
        for command in pfctl.add(name, targets):
            asked += command.size
            there = await self._put(command, name)
            if there is None:
                left_out += await self._fill(command, name) if not left_out else command.size
            else:
                present |= there
        if left_out:
            raise pfctl.full(left_out, asked)
        return {target for target in targets if present and pfctl.canonical(target) in present}

    async def delete(self, table: Table, targets: Collection[Target]) -> None:
        """Take the targets out of the table. None is in a table that does not exist."""
        name = self._tables[table]
        try:
            for command in pfctl.delete(name, targets):
                pfctl.read_deleted(command, await self._run(command), name)
        except TableAbsentError:
            _LOG.warning("table does not exist", table=name)

    async def missing(self, table: Table, targets: Collection[Target]) -> set[Target]:
        """Return the targets that are not enforced; one inside a network of the table is."""
        wanted = {target: pfctl.canonical(target) for target in targets}
        if not wanted:
            return set()
        lacking = await self._lacking(table, set(wanted.values()))
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
        replies = await self._run_all(commands, self._killing)
        return sum(map(pfctl.read_killed, commands, replies))

    def own_addresses(self) -> frozenset[Address]:
        """Return the firewall's address, and both ends of every SSH session that we had with it."""
        return self._shell.link.own

    async def survey(self) -> Survey:
        """Return what the firewall lives by; FirewallRefusedError where it does not tell.

        With PFSENSE_LEARN=false nothing is asked, and only our own session is in it.
        """
        found = survey.Found()
        if self._learn:
            replies = await self._run_all(survey.COMMANDS)
            # A firewall that speaks BGP has a million routes: not in the loop of the pipeline.
            found = await asyncio.to_thread(survey.read, replies)
        if found.unread or found.wide:
            _LOG.warning(
                "the survey is incomplete",
                firewall=self.place,
                unread=found.unread,
                wide=found.wide,
            )
        found.add("SSH session", *self.own_addresses())
        return found.ordered()

    async def _put(self, command: Command, name: str) -> set[Target] | None:
        """Add; return what was there before. None: there is no room for all, and none went in."""
        reply = await self._run(command)
        try:
            new = pfctl.read_added(command, reply, name)
        except pfctl.TableFullError:
            return None
        return pfctl.read_present(command, reply, new)

    async def _fill(self, command: Command, name: str) -> int:
        """Add as many as there is room for, by halving: 15 commands for 30,000 addresses.

        Returns how many are left out.
        """
        done = 0
        for size in pfctl.steps(command.size):
            part = pfctl.part(command, done, size)
            if part.size and await self._put(part, name) is not None:
                done += part.size
        return command.size - done

    async def _lacking(self, table: Table, wanted: set[Target]) -> set[Target]:
        """Return what the table lacks.

        Asks for the rules, for pf's state, and for the table side by side: about few addresses by
        name (a short answer), about many, or where some are lacking, by listing all.
        """
        name = self._tables[table]
        question = _question(name, wanted)
        rules, info = pfctl.rules(), pfctl.info()
        replies = await self._run_all((rules, info, question))
        if not pfctl.read_enabled(info, replies[1]):
            raise pfctl.disabled()
        families = pfctl.read_families(rules, replies[0], name, table)
        passing = {target for target in wanted if target.version not in families}
        if passing == wanted:
            raise pfctl.no_rule(name, families)
        if passing:
            _LOG.warning("not all are blocked", problem=str(pfctl.no_rule(name, families)))
        try:
            if question.label == "show":
                listing = await self._read_listing(question, replies[2], name)
            elif pfctl.read_all_match(question, replies[2], name):
                return passing
            else:
                listing = await self._listing(name)
        except TableAbsentError:
            return wanted
        return listing.lacks(wanted) | passing

    async def _listing(self, name: str) -> Listing:
        command = pfctl.show(name)
        return await self._read_listing(command, await self._run(command), name)

    async def _read_listing(self, command: Command, reply: Reply, name: str) -> Listing:
        # Of 400,000 entries this takes a second: not in the loop that feeds the pipeline.
        listing = await asyncio.to_thread(pfctl.read_listing, command, reply, name)
        if listing.unread:
            _LOG.warning("lines of the table can't be read", table=name, lines=listing.unread)
        return listing

    async def _run_all(
        self, commands: Iterable[Command], few: asyncio.Semaphore | None = None
    ) -> list[Reply]:
        """Run the commands side by side; where one fails, end the others before saying so.

        `few`: lets so many of them at once queue for a channel, so that others find one free.
        """
        tasks = [asyncio.create_task(self._run_among(command, few)) for command in commands]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run_among(self, command: Command, few: asyncio.Semaphore | None) -> Reply:
        async with few or contextlib.nullcontext():
            return await self._run(command)

    async def _run(self, command: Command) -> Reply:
        begun = time.monotonic()
        result = "unreachable"
        try:
            reply = await self._shell.run(command)
            result = "ok" if pfctl.answered(command, reply) else "refused"
        except FirewallRefusedError:
            result = "refused"
            raise
        finally:
            self._report(command, result, time.monotonic() - begun)
        return reply

    def _report(self, command: Command, result: str, seconds: float) -> None:
        if self._observe is not None:
            self._observe(
                Sent(self.place, command.label, command.text, command.size, result, seconds)
            )


def _question(name: str, wanted: set[Target]) -> Command:
    """Return the command that asks whether the table has all of these."""
    addresses = [one for one in wanted if isinstance(one, IPv4Address | IPv6Address)]
    if len(addresses) == len(wanted) <= _TEST_AT_MOST:
        [command] = pfctl.test(name, addresses)
        return command
    return pfctl.show(name)


class _Shell:
    """Commands on the connection: a few at once, each bounded."""

    def __init__(self, settings: FirewallSettings) -> None:
        self.link = Link(settings, paced=True)
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
        said = await asyncio.gather(_text(process.stdout), _text(process.stderr))
        result = await process.wait()
    finally:
        process.close()
    if result.exit_status is None or result.exit_status < 0:
        raise ConnectionError("it ended without an exit code")
    return pfctl.Reply(result.exit_status, *said)


async def _text(stream: asyncssh.SSHReader[str]) -> str:
    """Read a stream to its end; ConnectionError where it has none within bounds."""
    parts: list[str] = []
    size = 0
    while part := await stream.read(_READ_AT_ONCE):
        parts.append(part)
        size += len(part)
        if size > _MOST_TEXT:
            raise ConnectionError(f"it says more than {_MOST_TEXT} characters")
    return "".join(parts)


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
