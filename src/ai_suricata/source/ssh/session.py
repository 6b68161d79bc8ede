"""Files of another host, read by SFTP over one SSH connection: each request bounded in time.

SFTP (draft-ietf-secsh-filexfer-02, version 3, which OpenSSH speaks) carries names and numbers, not
commands: nothing here passes a shell, whatever a path holds. sftp-server(8) answers the requests of
a session in their order, and a handle stays on its file whatever becomes of the file's name.
"""

from __future__ import annotations

import asyncio
import errno
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import asyncssh

from ai_suricata.core.errors import FirewallRefusedError
from ai_suricata.firewall.ssh import Link

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ai_suricata.config.firewall import FirewallSettings

T = TypeVar("T")

MOST_ENTRIES = 100_000
"""Entries of a folder that are looked at."""

_SETTLE = 1.0  # seconds
_LOST = (
    asyncssh.SFTPNoConnection,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPBadMessage,
)
_KINDS = {
    asyncssh.FILEXFER_TYPE_REGULAR: "file",
    asyncssh.FILEXFER_TYPE_DIRECTORY: "folder",
    asyncssh.FILEXFER_TYPE_SYMLINK: "symlink",
}


class SessionLostError(Exception):
    """The session does not answer any more, or answers what is no SFTP. The text says what."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the other host says of a file."""

    size: int
    written: int
    """Time of the last change, whole seconds since the epoch on the other host's clock."""
    kind: str
    """`file`, `folder`, `symlink` or `other`."""


class RemoteFile:
    """An open file of the other host."""

    def __init__(self, session: Session, file: asyncssh.SFTPClientFile) -> None:
        self._session = session
        self._file = file

    async def read(self, offset: int, size: int) -> bytes:
        """Return at most `size` bytes from `offset` on, none at the end; raises as `Session`."""
        # Bytes, since the file was opened without an encoding; asyncssh types it for both.
        block = cast("bytes", await self._session.ask(self._file.read(size, offset)))
        return block[:size]

    async def status(self) -> Status:
        """Return what the host says of the open file, whatever its name is now."""
        return _status(await self._session.ask(self._file.stat()))

    async def close(self) -> None:
        """Give the handle back; one that can't be given back ends with the session."""
        with suppress(OSError, SessionLostError):
            await self._session.ask(self._file.close())


class Session:
    """One SFTP session.

    Raises FileNotFoundError, PermissionError or another OSError for what concerns one file, and
    SessionLostError where the session is of no use any more.
    """

    def __init__(self, settings: FirewallSettings) -> None:
        """Take from `settings` whom to log in to, and how many seconds each answer may take."""
        self._limit = settings.command_timeout
        self._link = Link(settings, compressed=True)
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None
        self.place = self._link.place

    async def open(self) -> None:
        """Connect and begin; raises SessionLostError, or what `Link` raises.

        A host that answers and has no SFTP is a FirewallRefusedError.
        """
        self._connection = await self._link.connected()
        try:
            self._client = await self.ask(
                self._connection.start_sftp_client(path_errors="surrogateescape")
            )
        except (OSError, SessionLostError) as error:
            if await self._is_closed():
                raise SessionLostError(str(error)) from error
            raise FirewallRefusedError(
                f"{self.place} offers no SFTP ({error}): let its sshd have the sftp subsystem "
                "(`Subsystem sftp` in sshd_config), give the user the right to copy files, and "
                "put no command= before the key"
            ) from error

    def close(self) -> None:
        """End the session and its connection; what hangs on it is given up."""
        self._client = None
        if self._connection is not None:
            self._link.drop(self._connection)
            self._connection = None

    async def open_file(self, path: str) -> RemoteFile:
        """Open a regular file for reading; anything else is an OSError (EINVAL).

        Looked at before, since sftp-server would wait for the writer of a FIFO.
        """
        if (await self.status(path)).kind != "file":
            raise OSError(errno.EINVAL, "it is not a regular file")
        # One request for each read: asyncssh's own splitting fills gaps with NUL bytes where a
        # file is truncated while it is read.
        return RemoteFile(self, await self.ask(self._sftp.open(path, block_size=0, encoding=None)))

    async def status(self, path: str) -> Status:
        """Return what the host says of a path; of a symlink's target."""
        return _status(await self.ask(self._sftp.stat(path)))

    async def entries(self, folder: str) -> dict[str, Status]:
        """Return the names in a folder, a symlink among them as `symlink`; not `.` and `..`."""
        return await self.ask(self._entries(folder))

    async def ask(self, request: Awaitable[T]) -> T:
        """Wait for an answer, as long as it may take, and tell errors apart."""
        try:
            async with asyncio.timeout(self._limit):
                return await request
        except TimeoutError as error:
            reason = f"no answer in {self._limit:g} seconds, which PFSENSE_TIMEOUT sets"
            raise SessionLostError(reason) from error
        except asyncssh.SFTPError as error:
            raise _translated(error) from error
        # An answer that can't be decoded is a ValueError in asyncssh.
        except (OSError, ValueError, asyncssh.Error) as error:
            raise SessionLostError(str(error) or type(error).__name__) from error

    async def _is_closed(self) -> bool:
        """Whether the connection has ended: an error of its session may arrive a little before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE):
                if self._connection is not None:
                    await self._connection.wait_closed()
                return True
        return False

    async def _entries(self, folder: str) -> dict[str, Status]:
        found: dict[str, Status] = {}
        async for entry in self._sftp.scandir(folder):
            name = entry.filename
            if isinstance(name, str) and name not in {".", ".."} and "/" not in name:
                found[name] = _status(entry.attrs)
            if len(found) >= MOST_ENTRIES:
                break
        return found

    @property
    def _sftp(self) -> asyncssh.SFTPClient:
        if self._client is None:
            raise SessionLostError("the session is not open")
        return self._client


def _status(attributes: asyncssh.SFTPAttrs) -> Status:
    kind = _KINDS.get(attributes.type, "other")
    return Status(attributes.size or 0, int(attributes.mtime or 0), kind)


def _translated(error: asyncssh.SFTPError) -> Exception:
    """Return the error as what open(2) would raise here."""
    if isinstance(error, asyncssh.SFTPNoSuchFile):
        return FileNotFoundError(errno.ENOENT, "no such file or directory")
    if isinstance(error, asyncssh.SFTPPermissionDenied):
        return PermissionError(errno.EACCES, "permission denied")
    if isinstance(error, _LOST):
        return SessionLostError(str(error))
    return OSError(errno.EIO, str(error))


def describe(path: str, error: OSError) -> str:
    """Return one sentence on why a remote path can't be read, with the remedy."""
    if isinstance(error, PermissionError):
        return (
            f"{path} on the firewall can't be read by PFSENSE_USER: grant read on the file and "
            "search on its folders, or log in as another user"
        )
    return f"{path} on the firewall can't be read: {error.strerror or error}"
