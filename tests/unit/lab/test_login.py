"""Each login server tells the right password from a wrong one, and survives rubbish."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from lab import login
from lab.estate import PASSWORD, USERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

USER = USERS[0]
SERVERS = [login.ftp, login.imap, login.pop3, login.smtp, login.rdp]


@asynccontextmanager
async def connection(
    serve: login.Serve,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve on a loopback port and connect to it."""
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()


async def dialogue(serve: login.Serve, *lines: str) -> list[str]:
    """Say all lines, and return those of the server until it closes the connection."""
    async with connection(serve) as (reader, writer):
        writer.write("".join(f"{line}\r\n" for line in lines).encode("ascii"))
        answer = await asyncio.wait_for(reader.read(), 5)
    return answer.decode("latin-1").splitlines()


def plain(password: str) -> str:
    """Return the SASL PLAIN word of the user and a password."""
    return base64.b64encode(f"\0{USER}\0{password}".encode()).decode()


@pytest.mark.parametrize(("password", "code"), [("wrong", "530"), (PASSWORD, "230")])
async def test_ftp(password: str, code: str) -> None:
    """FTP says 230 to the right password, 530 to another."""
    lines = await dialogue(login.ftp, f"USER {USER}", f"PASS {password}", "QUIT")

    assert ["220", "331", code, "221"] == [line[:3] for line in lines]


@pytest.mark.parametrize(("password", "sign"), [("wrong", "-ERR"), (PASSWORD, "+OK")])
async def test_pop3(password: str, sign: str) -> None:
    """POP3 says +OK to the right password, -ERR to another."""
    lines = await dialogue(login.pop3, f"USER {USER}", f"PASS {password}", "QUIT")

    assert ["+OK", "+OK", sign, "+OK"] == [line.split()[0] for line in lines]


@pytest.mark.parametrize(("password", "word"), [("wrong", "NO"), (PASSWORD, "OK")])
async def test_imap(password: str, word: str) -> None:
    """IMAP says OK to the right password, NO to another, by LOGIN and by AUTHENTICATE."""
    lines = await dialogue(
        login.imap,
        f'a LOGIN "{USER}" "{password}"',
        "b AUTHENTICATE PLAIN",
        plain(password),
        "c LOGOUT",
    )
    tagged = [line.split()[:2] for line in lines if line[:1] in "abc"]

    assert [["a", word], ["b", word], ["c", "OK"]] == tagged


@pytest.mark.parametrize(("password", "code"), [("wrong", "535"), (PASSWORD, "235")])
async def test_smtp(password: str, code: str) -> None:
    """SMTP says 235 to the right password, 535 to another, by PLAIN and by LOGIN."""
    words = [base64.b64encode(word.encode()).decode() for word in (USER, password)]
    lines = await dialogue(
        login.smtp, f"AUTH PLAIN {plain(password)}", "AUTH LOGIN", *words, "QUIT"
    )

    assert ["220", code, "334", "334", code, "221"] == [line[:3] for line in lines]


async def test_guesser_is_cut_off() -> None:
    """After four wrong passwords the server hangs up."""
    lines = await dialogue(login.ftp, *[f"USER {USER}", "PASS wrong"] * 9)

    assert 4 == sum(line.startswith("530") for line in lines)


async def test_rdp_agrees_and_hangs_up() -> None:
    """A connection request gets a confirm of 19 bytes ([MS-RDPBCGR] 2.2.1.2), then the end."""
    request = bytes.fromhex("03000013 0ee0 0000 0000 00 01 00 0800 03000000")
    async with connection(login.rdp) as (reader, writer):
        writer.write(request + b"rest")
        answer = await asyncio.wait_for(reader.read(), 5)

    assert (19, 0xD0) == (len(answer), answer[5])


@pytest.mark.parametrize("serve", SERVERS)
@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01\x02\xff\n", b"a LOGIN 'open\n", b"AUTH LOGIN\n\xff\n\n"]
)
async def test_rubbish_harms_nobody(serve: login.Serve, rubbish: bytes) -> None:
    """What is no line of the protocol ends the connection at worst, and no error escapes."""
    errors: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    async with connection(serve) as (reader, writer):
        writer.write(rubbish)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 5)

    assert [] == errors
