"""The SSH connection to a pfSense host: who may answer, who logs in, and what went wrong.

Used by `firewall.pfsense` for commands and by `source.ssh.tail` for files, each on a connection of
its own, since one that hangs is given up with all that runs on it.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import asyncssh
import structlog

from ai_suricata.core.address import Address, parse_address
from ai_suricata.core.errors import (
    AiSuricataError,
    FirewallRefusedError,
    FirewallUnreachableError,
)

if TYPE_CHECKING:
    from ai_suricata.config.firewall import FirewallSettings

_LOG = structlog.get_logger(__name__)
_KEEPALIVE_INTERVAL = 10.0  # seconds of silence before the firewall is asked for a sign of life
_KEEPALIVE_COUNT = 2  # signs of life that may stay out before the connection counts as lost
_FIRST_PAUSE = 0.25  # seconds after a failed attempt in which none is made; doubles
_LONGEST_PAUSE = 5.0
_COMPRESSION = ("zlib@openssh.com", "none")  # the first that sshd has too

# asyncssh logs each command at INFO, which would drown the daemon's own lines.
asyncssh.set_log_level("WARNING")


class Link:
    """One SSH connection: made when it is needed, one attempt at a time, and bounded.

    Errors are sentences with the remedy: `FirewallRefusedError` where only the operator can change
    something (host key, login, files of keys), `FirewallUnreachableError` for all else.
    """

    def __init__(
        self, settings: FirewallSettings, *, compressed: bool = False, paced: bool = False
    ) -> None:
        """Take from `settings` whom to log in to; nothing is opened yet.

        `compressed`: for much text over a slow line; commands are too short to gain by it.
        `paced`: after a failed attempt the next is not made at once, but answered with the same
        error, for callers who keep no pauses of their own.
        """
        self.own = _addresses(settings.host)
        """The firewall's address, and both ends of every connection there was."""
        self.name = f"{settings.user}@{_bracketed(settings.host)}:{settings.port}"
        """Whom it logs in to: `admin@192.0.2.1:22`."""
        self.place = f"the firewall {self.name}"
        """What errors call it."""
        self._settings = settings
        self._compression = _COMPRESSION if compressed else ("none",)
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()
        self._paced = paced
        self._attempts = 0  # that failed, in all
        self._failures = 0  # that failed since the last that did not
        self._failure: AiSuricataError | None = None
        self._not_before = 0.0

    async def connected(self) -> asyncssh.SSHClientConnection:
        """Return the connection, made anew if lost; all who wait for an attempt share its end."""
        attempts = self._attempts
        async with self._connecting:
            if self._connection is not None and not self._connection.is_closed():
                return self._connection
            if self._failure is not None and (self._attempts != attempts or self._is_pause()):
                raise type(self._failure)(str(self._failure))
            try:
                self._connection = await self._connect()
            except AiSuricataError as error:
                self._take(error)
                raise
            self._failures = 0
            return self._connection

    def _is_pause(self) -> bool:
        return self._paced and asyncio.get_running_loop().time() < self._not_before

    def _take(self, error: AiSuricataError) -> None:
        """Take note of an attempt that failed, and of when the next one may be made."""
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 30))
        shortest = max(_FIRST_PAUSE, longest / 2)
        pause = random.uniform(shortest, longest)  # noqa: S311 - no secret
        self._not_before = asyncio.get_running_loop().time() + pause
        self._attempts += 1
        self._failures += 1
        self._failure = error

    async def close(self) -> None:
        """End the connection; does nothing where there is none."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.close()
        try:
            async with asyncio.timeout(self._settings.command_timeout):
                await connection.wait_closed()
        except TimeoutError:
            connection.abort()

    def drop(self, connection: asyncssh.SSHClientConnection) -> None:
        """Give up on the connection at once; the next call makes another."""
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
                compression_algs=self._compression,
                connect_timeout=self._settings.command_timeout,
                keepalive_interval=_KEEPALIVE_INTERVAL,
                keepalive_count_max=_KEEPALIVE_COUNT,
            )
        except (OSError, UnicodeError, asyncssh.Error) as error:
            raise self._not_connected(error) from error
        self.own |= _ends(connection)
        _LOG.info("connected to the firewall", host=self._settings.host, port=self._settings.port)
        return connection

    def _not_connected(self, error: Exception) -> AiSuricataError:
        if isinstance(error, asyncssh.HostKeyNotVerifiable | asyncssh.KeyExchangeFailed):
            return FirewallRefusedError(
                f"{self.place} shows a host key that PFSENSE_KNOWN_HOSTS does not hold ({error}): "
                "compare it with the firewall's own; only if it is the same, write it to that file"
            )
        if isinstance(error, asyncssh.PermissionDenied):
            return FirewallRefusedError(
                f"{self.place} refused to log us in ({error}): add the public key of "
                "PFSENSE_KEY_FILE to this user (System > User Manager), or set PFSENSE_USER"
            )
        reason = str(error) or "no answer in time"
        return FirewallUnreachableError(
            f"{self.place} can't be reached ({reason}): check PFSENSE_HOST and PFSENSE_PORT, and "
            "that Secure Shell is enabled (System > Advanced > Admin Access)"
        )


def _bracketed(host: str) -> str:
    """Return an IPv6 address in brackets, so that a port can follow; all else as it is."""
    return f"[{host}]" if ":" in host else host


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


def _ends(connection: asyncssh.SSHClientConnection) -> frozenset[Address]:
    """Return both ends of a connection; none where it was lost at once."""
    ends = (connection.get_extra_info("peername"), connection.get_extra_info("sockname"))
    return _addresses(*(end[0] for end in ends if end))


def _addresses(*texts: str) -> frozenset[Address]:
    """Return those of the texts that are addresses, in canonical form (a host name is none)."""
    found = set()
    for text in texts:
        try:
            found.add(parse_address(text))
        except ValueError:
            continue
    return frozenset(found)
