"""What benign people and programs do with logins: they mistype, retry, and renew what expired."""

from __future__ import annotations

import asyncio
import ftplib
from typing import TYPE_CHECKING, Self

from lab import estate
from lab.web import Browser

if TYPE_CHECKING:
    from types import TracebackType

    from lab.means import Means

AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
)
_PROGRAMS = ("python-requests/2.31.0", "curl/7.88.1", "okhttp/4.12.0", "Java/17.0.9")
_LIMIT = 15.0


def attempts(means: Means) -> list[str]:
    """Return the passwords that somebody types: up to two wrong ones, then the right one."""
    mistakes = means.rng.choice((0, 0, 0, 1, 1, 2))
    return [*(estate.mistyped(means.rng) for _ in range(mistakes)), estate.PASSWORD]


async def fill_form(means: Means) -> None:
    """Log in on the site's form, look around, and leave."""
    agent, user = means.rng.choice(AGENTS), means.rng.choice(estate.USERS)
    tls = means.tls if means.rng.random() < 0.5 else None
    async with Browser(
        means.source, means.web, agent=agent, host="www.example.org", tls=tls
    ) as page:
        await page.get("/login")
        for password in attempts(means):
            await asyncio.sleep(means.rng.uniform(1, 5))
            kind = "Content-Type: application/x-www-form-urlencoded\r\n"
            body = f"user={user}&password={password}".encode("ascii")
            await page.get("/login", body=body, extra=kind)
        for _ in range(means.rng.randint(1, 4)):
            await page.get(means.rng.choice(("/account", "/news", "/products")))
            await asyncio.sleep(means.rng.uniform(0.3, 3))


async def renew_token(means: Means) -> None:
    """Call the API with a token that has expired, get a new one, and go on.

    Some never do, and some go on calling pages that have moved.
    """
    version = means.rng.choice(("v1", "v1", "v0"))
    stubborn = means.rng.random() < 0.3
    agent = _PROGRAMS[sum(means.source.encode()) % len(_PROGRAMS)]
    token = "old"  # noqa: S105 - what has expired
    async with Browser(means.source, estate.API, agent=agent, host="api.example.org") as api:
        for _ in range(means.rng.randint(2, 8)):
            extra = f"Authorization: Bearer {token}\r\n"
            status = await api.get(f"/api/{version}/items/{means.rng.randint(1, 500)}", extra=extra)
            if status == 401 and not stubborn:
                await api.get("/api/v1/token", body=b'{"refresh": true}')
                token = estate.TOKEN
            await asyncio.sleep(means.rng.uniform(0.2, 2))


async def use_ftp(means: Means) -> None:
    """Fetch or store a few files, in passive mode."""
    await asyncio.to_thread(_ftp, means, attempts(means), means.rng.randint(1, 4))


def _ftp(means: Means, passwords: list[str], files: int) -> None:
    user = means.rng.choice(estate.USERS)
    with ftplib.FTP(timeout=_LIMIT, source_address=(means.source, 0)) as session:  # noqa: S321 - that is the protocol of these users
        session.connect(estate.FTP, 21)
        for password in passwords:
            try:
                session.login(user, password)
            except ftplib.error_perm:
                continue  # mistyped: the next one may be right
        for number in range(files):
            session.retrbinary(f"RETR report-{number}.txt", lambda _: None)


async def read_imap(means: Means) -> None:
    """Look into the mailbox, as a mail program does every few minutes."""
    user, tries = means.rng.choice(estate.USERS), attempts(means)
    async with Dialogue(means.source, estate.MAIL, 143) as box:
        for number, password in enumerate(tries):
            await box.ask(f"a{number} LOGIN {user} {password}", f"a{number} ")
        await box.ask("b SELECT INBOX", "b ")
        for number in range(means.rng.randint(0, 3)):
            await box.ask(f"c{number} FETCH 1 (BODY[])", f"c{number} ")
            await asyncio.sleep(means.rng.uniform(0.1, 2))
        await box.ask("d LOGOUT", "d ")


async def read_pop3(means: Means) -> None:
    """Fetch what has come; after a wrong password the program asks and calls again."""
    user = means.rng.choice(estate.USERS)
    for password in attempts(means):
        async with Dialogue(means.source, estate.MAIL, 110) as box:
            await box.ask(f"USER {user}", "+")
            if (await box.ask(f"PASS {password}", ("+", "-"))).startswith("+"):
                await box.ask("STAT", "+")
                await box.ask("RETR 1", ".")
            await box.ask("QUIT", "+")
        await asyncio.sleep(means.rng.uniform(1, 6))


class Dialogue:
    """A connection on which one line asks and another one answers."""

    def __init__(self, source: str, server: str, port: int) -> None:
        """`source`: the caller's address; the server speaks first."""
        self._source, self._server, self._port = source, server, port

    async def __aenter__(self) -> Self:
        """Connect and read the greeting; raises OSError or TimeoutError."""
        async with asyncio.timeout(_LIMIT):
            self._reader, self._writer = await asyncio.open_connection(
                self._server, self._port, local_addr=(self._source, 0)
            )
            await self._reader.readuntil(b"\n")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._writer.close()

    async def ask(self, line: str, beginning: str | tuple[str, ...]) -> str:
        """Say a line and return the first one of the reply that begins so; raises as connecting."""
        self._writer.write(f"{line}\r\n".encode("ascii"))
        async with asyncio.timeout(_LIMIT):
            while True:
                reply = (await self._reader.readuntil(b"\n")).decode("latin-1")
                if reply.startswith(beginning):
                    return reply
