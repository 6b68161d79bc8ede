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

from ai_suricata.core.address import Address, parse_address
from ai_suricata.core.decision import Table
from ai_suricata.core.errors import (
    AiSuricataError,
    FirewallRefusedError,
    FirewallUnreachableError,
)
from ai_suricata.firewall import pfctl

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ai_suricata.config.settings import FirewallSettings
    from ai_suricata.core.address import Target
    from ai_suricata.firewall.pfctl import Command, Listing, Reply

    CommandObserver = Callable[[str, str], None]
    """Is told of each command: its label (`add`), and `ok`, `refused` or `unreachable`."""

_LOG = structlog.get_logger(__name__)
_CHANNELS = 4
_CHANNEL_ATTEMPTS = 6
_CHANNEL_PAUSE = 0.05  # seconds; doubles with each attempt
_KEEPALIVE_INTERVAL = 10.0  # seconds of silence before the firewall is asked for a sign of life
_KEEPALIVE_COUNT = 2  # signs of life that may stay out before the connection counts as lost
_TEST_AT_MOST = 1000  # past it the question is as long as the listing that `show` gives

# asyncssh logs each command at INFO, which would drown the daemon's own lines.
asyncssh.set_log_level("WARNING")


class PfSense:
    """The tables of one pfSense firewall. A lost connection is made again by the next call.

    Implements `Firewall`; every command has `settings.command_timeout` seconds.
    """

    name = "pfsense"

    def __init__(self, settings: FirewallSettings, observe: CommandObserver | None = None) -> None:
        """`observe`: is told of each command and its result, for counters."""
        self._tables = {Table.BLOCK: settings.block_table, Table.LIMIT: settings.limit_table}
        self._link = _Link(settings)
        self._observe = observe

    async def open(self) -> None:
        """Connect; does nothing where the connection stands."""
        await self._link.connected()

    async def close(self) -> None:
        """End the connection; what is in the tables stays there."""
        await self._link.close()

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
        return self._link.own

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
            reply = await self._link.run(command)
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


class _Link:
    """The SSH connection: made when it is needed, one attempt at a time, and bounded."""

    def __init__(self, settings: FirewallSettings) -> None:
        self.own = _addresses(settings.host)
        self._settings = settings
        self._place = f"the firewall {settings.user}@{settings.host}:{settings.port}"
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()
        self._failures = 0
        self._failure: AiSuricataError | None = None
        self._channels = asyncio.Semaphore(_CHANNELS)

    async def connected(self) -> asyncssh.SSHClientConnection:
        """Return the connection, made anew if lost; all who wait for an attempt share its end."""
        failures = self._failures
        async with self._connecting:
            if self._connection is not None and not self._connection.is_closed():
                return self._connection
            if self._failure is not None and self._failures != failures:
                raise type(self._failure)(str(self._failure))
            try:
                self._connection = await self._connect()
            except AiSuricataError as error:
                self._failures += 1
                self._failure = error
                raise
            return self._connection

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.close()
        try:
            async with asyncio.timeout(self._settings.command_timeout):
                await connection.wait_closed()
        except TimeoutError:
            connection.abort()

    async def run(self, command: Command) -> Reply:
        """Send one command and wait for its end. The wait for a free channel is not counted."""
        connection = await self.connected()
        limit = self._settings.command_timeout
        try:
            async with self._channels, asyncio.timeout(limit):
                return await _exchange(connection, command)
        except TimeoutError:
            reason = f"no answer in {limit:g} seconds, which PFSENSE_TIMEOUT sets"
        except (OSError, asyncssh.Error) as error:
            reason = str(error)
        self._drop(connection)
        raise FirewallUnreachableError(
            f"{self._place} did not finish `{command.text}` ({reason}): whether it was carried out "
            "is unknown, and the next command connects again"
        )

    def _drop(self, connection: asyncssh.SSHClientConnection) -> None:
        """Give up on the connection: sshd keeps the session of a command that hangs for good."""
        connection.abort()
        if self._connection is connection:
            self._connection = None

    async def _connect(self) -> asyncssh.SSHClientConnection:
        known_hosts, keys = _known_hosts(self._settings), _client_keys(self._settings)
        try:
            connection = await asyncssh.connect(
                self._settings.host,
                self._settings.port,
                username=self._settings.user,
                known_hosts=known_hosts,
                client_keys=keys,
                agent_path=None if keys else (),
                config=[],  # the operator's ~/.ssh/config is not part of our settings
                preferred_auth="publickey",
                connect_timeout=self._settings.command_timeout,
                keepalive_interval=_KEEPALIVE_INTERVAL,
                keepalive_count_max=_KEEPALIVE_COUNT,
            )
        except (OSError, UnicodeError, asyncssh.Error) as error:
            raise self._not_connected(error) from error
        self.own |= _addresses(
            connection.get_extra_info("peername")[0], connection.get_extra_info("sockname")[0]
        )
        _LOG.info("connected to the firewall", host=self._settings.host, port=self._settings.port)
        return connection

    def _not_connected(self, error: Exception) -> AiSuricataError:
        if isinstance(error, asyncssh.HostKeyNotVerifiable | asyncssh.KeyExchangeFailed):
            return FirewallRefusedError(
                f"{self._place} shows a host key that PFSENSE_KNOWN_HOSTS does not hold ({error}): "
                "compare it with the firewall's own; only if it is the same, write it to that file"
            )
        if isinstance(error, asyncssh.PermissionDenied):
            return FirewallRefusedError(
                f"{self._place} refused to log us in ({error}): add the public key of "
                "PFSENSE_KEY_FILE to this user (System > User Manager), or set PFSENSE_USER"
            )
        reason = str(error) or "no answer in time"
        return FirewallUnreachableError(
            f"{self._place} can't be reached ({reason}): check PFSENSE_HOST and PFSENSE_PORT, and "
            "that Secure Shell is enabled (System > Advanced > Admin Access)"
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


def _known_hosts(settings: FirewallSettings) -> asyncssh.SSHKnownHosts:
    """Read the host keys. Without any, asyncssh would trust every host: that is never allowed."""
    path = settings.known_hosts
    if path is None:
        raise FirewallRefusedError(
            "PFSENSE_KNOWN_HOSTS is missing: set it to a file with the host key"
        )
    try:
        return asyncssh.read_known_hosts(str(path))
    except (OSError, ValueError) as error:
        raise FirewallRefusedError(
            f"PFSENSE_KNOWN_HOSTS can't be read ({error}): run `ssh-keyscan` against the firewall, "
            "compare the key with its own, and write it to that file"
        ) from error


def _client_keys(settings: FirewallSettings) -> list[asyncssh.SSHKeyPair]:
    """Read the private key; empty where none is set, for the agent and the user's own keys."""
    if settings.key_file is None:
        return []
    try:
        return list(asyncssh.load_keypairs(str(settings.key_file)))
    except (OSError, ValueError) as error:
        raise FirewallRefusedError(
            f"PFSENSE_KEY_FILE can't be used ({error}): name a readable private key without a "
            "passphrase, or leave it empty to use the ssh agent"
        ) from error


def _addresses(*texts: str) -> frozenset[Address]:
    """Return those of the texts that are addresses, in canonical form (a host name is none)."""
    found = set()
    for text in texts:
        try:
            found.add(parse_address(text))
        except ValueError:
            continue
    return frozenset(found)
