"""Servers that people log in to: FTP, IMAP, POP3, SMTP with AUTH, and the beginning of RDP.

RFC 959, RFC 9051, RFC 1939, RFC 5321, RFC 4954; [MS-RDPBCGR] 2.2.1.2. As much of each as clients
and guessers need to tell a right password from a wrong one.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import re
import shlex
import struct
from typing import TYPE_CHECKING

from lab.estate import PASSWORD, USERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_IDLE = 30.0  # seconds that a client may be silent
_TRIES = 4  # wrong passwords on one connection
_DELAY = 0.15  # seconds that a wrong password is thought about
_MESSAGE = b"Subject: list\r\n\r\n" + b"Good morning, here is the list.\r\n" * 40
_MAILBOXES = ("info", "sales", "office", "help")
_X224_CONFIRM = bytes.fromhex("03000013 0ed0 0000 1234 00 02 00 0800 00000000")
_TRANSFER_LIMIT = 5.0  # seconds until a data connection must be made


def _quietly(serve: Serve) -> Serve:
    """Return a server that closes the connection and forgives whoever leaves early."""

    @functools.wraps(serve)
    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (OSError, ValueError, TimeoutError):
            pass  # what scanners send is no protocol of ours: their connection just ends
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # left in the middle of a line, or never ended one
        finally:
            writer.close()

    return guarded


async def _line(reader: asyncio.StreamReader) -> str:
    async with asyncio.timeout(_IDLE):
        line = await reader.readuntil(b"\n")
    return line.decode("latin-1").rstrip("\r\n")


async def _is_right(name: str, password: str) -> bool:
    if name in USERS and password == PASSWORD:
        return True
    await asyncio.sleep(_DELAY)
    return False


async def _say(writer: asyncio.StreamWriter, line: str) -> None:
    writer.write(f"{line}\r\n".encode("latin-1", "replace"))
    await writer.drain()


@_quietly
async def ftp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one FTP control connection."""
    await _say(writer, "220 ftp.example.org FTP server ready")
    session = _Ftp(reader, writer)
    while await session.command():
        pass


class _Ftp:
    """One FTP session: logged in or not, and the passive data port if there is one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._name, self._known, self._tries = "", False, 0
        self._data: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] | None = None
        self._server: asyncio.Server | None = None

    async def command(self) -> bool:
        """Serve one command; return whether the session goes on."""
        verb, _, argument = (await _line(self._reader)).partition(" ")
        verb = verb.upper()
        if verb == "USER":
            self._name = argument
            await _say(self._writer, "331 Password required")
        elif verb == "PASS":
            await self._password(argument)
        elif verb in {"PASV", "EPSV"} and self._known:
            await self._passive(verb)
        elif verb in {"LIST", "NLST", "RETR", "STOR"} and self._known:
            await self._transfer(verb)
        else:
            await _say(self._writer, self._simple(verb))
        return verb != "QUIT" and self._tries < _TRIES

    def _simple(self, verb: str) -> str:
        if verb in {"QUIT", "SYST", "FEAT", "NOOP"}:
            replies = {"QUIT": "221 Goodbye", "SYST": "215 UNIX Type: L8", "FEAT": "211 None"}
            return replies.get(verb, "200 Ok")
        if not self._known:
            return "530 Please log in"
        return "200 Ok" if verb in {"TYPE", "MODE", "CWD", "PWD"} else "502 Not implemented"

    async def _password(self, password: str) -> None:
        self._known = await _is_right(self._name, password)
        self._tries += not self._known
        await _say(self._writer, "230 Logged in" if self._known else "530 Login incorrect")

    async def _passive(self, verb: str) -> None:
        address = self._writer.get_extra_info("sockname")[0]
        self._data = data = asyncio.get_running_loop().create_future()
        self._server = await asyncio.start_server(
            lambda reader, writer: None if data.done() else data.set_result((reader, writer)),
            address,
            0,
        )
        port = self._server.sockets[0].getsockname()[1]
        if verb == "EPSV":
            await _say(self._writer, f"229 Extended passive (|||{port}|)")
            return
        numbers = ",".join((*address.split("."), str(port >> 8), str(port & 255)))
        await _say(self._writer, f"227 Passive ({numbers})")

    async def _transfer(self, verb: str) -> None:
        if self._data is None or self._server is None:
            await _say(self._writer, "425 No data connection")
            return
        await _say(self._writer, "150 Here it comes")
        async with asyncio.timeout(_TRANSFER_LIMIT):
            reader, writer = await self._data
        if verb == "STOR":
            while await reader.read(65536):
                pass
        else:
            writer.write(b"report.txt\r\n" * (40 if verb == "RETR" else 3))
            await writer.drain()
        writer.close()
        self._server.close()
        self._data = None
        await _say(self._writer, "226 Transfer complete")


@_quietly
async def pop3(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one POP3 connection."""
    await _say(writer, "+OK pop3.example.org")
    name, tries, verb = "", 0, ""
    while verb != "QUIT" and tries < _TRIES:
        verb, _, argument = (await _line(reader)).partition(" ")
        verb = verb.upper()
        if verb == "USER":
            name = argument
        if verb == "PASS" and not await _is_right(name, argument):
            tries += 1
            await _say(writer, "-ERR [AUTH] wrong name or password")
        elif verb in {"AUTH", "APOP", "STLS"}:
            await _say(writer, "-ERR not supported")
        elif verb == "RETR":
            writer.write(b"+OK\r\n" + _MESSAGE + b".\r\n")
        elif verb == "CAPA":
            await _say(writer, "+OK\r\nUSER\r\nTOP\r\n.")
        else:
            await _say(writer, "+OK 3 4000" if verb == "STAT" else "+OK")


@_quietly
async def imap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one IMAP connection."""
    await _say(writer, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] imap.example.org")
    tries, verb = 0, ""
    while verb != "LOGOUT" and tries < _TRIES:
        tag, _, rest = (await _line(reader)).partition(" ")
        verb, _, argument = rest.partition(" ")
        verb = verb.upper()
        if verb == "LOGIN":
            name, password = (*shlex.split(argument), "", "")[:2]
            known = await _is_right(name, password)
        elif verb == "AUTHENTICATE":
            await _say(writer, "+ ")
            known = await _is_right(*_plain(await _line(reader)))
        else:
            await _say(writer, f"{_imap_data(verb)}{tag} OK {verb} done")
            continue
        tries += not known
        await _say(
            writer, f"{tag} OK logged in" if known else f"{tag} NO [AUTHENTICATIONFAILED] no"
        )


def _imap_data(verb: str) -> str:
    if verb == "CAPABILITY":
        return "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"
    if verb == "SELECT":
        return "* 3 EXISTS\r\n* FLAGS ()\r\n"
    if verb == "FETCH":
        text = _MESSAGE.decode("ascii")
        return f"* 1 FETCH (BODY[] {{{len(text)}}}\r\n{text})\r\n"
    return "* BYE\r\n" if verb == "LOGOUT" else ""


def _plain(line: str) -> tuple[str, str]:
    """Return name and password of a SASL PLAIN answer, empty where it is none (RFC 4616)."""
    try:
        parts = base64.b64decode(line).decode().split("\0")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (parts[1], parts[2]) if len(parts) == 3 else ("", "")


_SMTP = {
    "EHLO": "250-mail.example.org\r\n250-SIZE 10485760\r\n250 AUTH PLAIN LOGIN",
    "HELO": "250 mail.example.org",
    "MAIL": "250 2.1.0 Ok",
    "DATA": "354 End data with <CR><LF>.<CR><LF>",
    "RSET": "250 2.0.0 Ok",
    "NOOP": "250 2.0.0 Ok",
    "QUIT": "221 2.0.0 Bye",
}


@_quietly
async def smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take mail for the mailboxes that exist, and logins, on one connection."""
    await _say(writer, "220 mail.example.org ESMTP")
    tries, verb = 0, ""
    while verb != "QUIT" and tries < _TRIES:
        line = await _line(reader)
        verb = line[:4].upper()
        if verb == "AUTH":
            known = await _smtp_login(line, reader, writer)
            tries += not known
            await _say(writer, "235 2.7.0 Ok" if known else "535 5.7.8 Authentication failed")
        elif verb == "RCPT":
            known = any(f"<{name}@example.org>" in line for name in _MAILBOXES)
            await _say(writer, "250 2.1.5 Ok" if known else "550 5.1.1 No such mailbox")
        else:
            await _say(writer, _SMTP.get(verb, "502 5.5.2 Command not recognised"))
        if verb == "DATA":
            while await _line(reader) != ".":
                pass
            await _say(writer, "250 2.0.0 Ok: queued")


async def _smtp_login(
    line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    words = (*line.split(), "", "")[1:3]
    if words[0].upper() == "PLAIN":
        if not words[1]:
            await _say(writer, "334 ")
        return await _is_right(*_plain(words[1] or await _line(reader)))
    given = []
    for prompt in ("VXNlcm5hbWU6", "UGFzc3dvcmQ6"):
        await _say(writer, f"334 {prompt}")
        given.append(base64.b64decode(await _line(reader)).decode("latin-1"))
    return await _is_right(*given)


@_quietly
async def rdp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Agree to standard RDP security, read what comes next, and hang up."""
    async with asyncio.timeout(_IDLE):
        version, _, length = struct.unpack("!BBH", await reader.readexactly(4))
        request = await reader.readexactly(max(0, min(length, 512) - 4))
        if version != 3 or not re.match(rb".\xe0", request, re.DOTALL):
            return
        writer.write(_X224_CONFIRM)
        await writer.drain()
        await reader.read(4096)
    await asyncio.sleep(_DELAY)
