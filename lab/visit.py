"""What benign clients do on one visit, with the pauses and mistakes of real ones."""

from __future__ import annotations

import asyncio
import os
import smtplib
from pathlib import Path
from typing import TYPE_CHECKING

from lab import dns, estate
from lab.account import AGENTS, attempts
from lab.page import BROKEN_LINKS, PAGES
from lab.web import Browser

if TYPE_CHECKING:
    import random

    from lab.means import Means

_API_AGENTS = ("python-requests/2.31.0", "curl/7.88.1")
_SEARCHES = (
    "/search?q=select+user+manual",  # looks like SQL to a rule, and is none
    "/search?q=what+is+/etc/passwd",
    "/search?q=order+status",
    "/search?q=water+tank",
)
_ASKPASS = """\
#!/bin/sh
head -n 1 "$LAB_PASSWORDS"
sed -i 1d "$LAB_PASSWORDS"
"""
_WATCHED = (
    (estate.SSH, 22),
    (estate.MAIL, 25),
    (estate.FTP, 21),
    (estate.MAIL, 143),
    (estate.MAIL, 110),
)
_CLOSED = (8080, 8443, 993, 21, 3389, 8000, 22, 2222, 5432, 465, 81, 1723, 9000)
_SSH_LIMIT = 60.0  # seconds of one login


async def browse(means: Means) -> None:
    """Read some pages of the protected site, now and then by a broken link."""
    await _read(means, means.web, "www.example.org", pages=means.rng.randint(2, 7))


async def go_out(means: Means) -> None:
    """Look a name up outside and read a page or two there, as people at home do."""
    name = means.rng.choice(("news.example.net", "shop.example.com", "maps.example.com"))
    await dns.ask(means.source, estate.OUTSIDE_DNS, dns.question(means.rng, name, dns.A))
    server = means.rng.choice(estate.OUTSIDE_WEB)
    await _read(means, server, name, pages=means.rng.randint(1, 3))


async def _read(means: Means, server: str, host: str, *, pages: int) -> None:
    rng = means.rng
    tls = means.tls if rng.random() < 0.4 else None
    async with Browser(means.source, server, agent=rng.choice(AGENTS), host=host, tls=tls) as page:
        for _ in range(pages):
            await page.get(_next_page(rng))
            await asyncio.sleep(rng.expovariate(0.8))


def _next_page(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.06:
        return rng.choice(BROKEN_LINKS)
    return rng.choice(_SEARCHES if draw < 0.10 else PAGES)


async def call_api(means: Means) -> None:
    """Make a handful of calls, as a program does every few seconds."""
    agent = _API_AGENTS[hash_of(means.source) % len(_API_AGENTS)]
    async with Browser(means.source, estate.API, agent=agent, host="api.example.org") as api:
        for _ in range(means.rng.randint(1, 4)):
            body = b'{"state": "ready"}' if means.rng.random() < 0.3 else None
            await api.get(f"/api/v1/items/{means.rng.randint(1, 500)}", body=body)


def hash_of(text: str) -> int:
    """Return a number that is the same in every process (unlike `hash`)."""
    return sum(text.encode())


async def check(means: Means) -> None:
    """Look whether web, SSH and mail answer, as a monitoring station does."""
    agent = "check_http/v2.3.3 (monitoring-plugins 2.3.3)"
    async with Browser(means.source, estate.WEB, agent=agent, host="www.example.org") as page:
        await page.get("/status")
    for server, port in means.rng.sample(_WATCHED, 3):
        await _read_banner(means.source, server, port)


async def _read_banner(source: str, server: str, port: int) -> None:
    reader, writer = await asyncio.open_connection(server, port, local_addr=(source, 0))
    try:
        async with asyncio.timeout(5):
            await reader.readline()
            writer.write(b"SSH-2.0-check_ssh_2.3.3\r\n" if port == 22 else b"QUIT\r\n")
            await writer.drain()
    finally:
        writer.close()


async def resolve(means: Means) -> None:
    """Ask the protected name server something, sometimes for a name that it has not got."""
    names = ("www.example.org", "mail.example.org", "example.org", "missing.example.org")
    name = means.rng.choices(names, (6, 3, 2, 1))[0]
    kind = means.rng.choice((dns.A, dns.A, dns.AAAA, dns.MX, dns.TXT))
    server = estate.DNS_V6 if means.is_v6 else estate.DNS
    await dns.ask(means.source, server, dns.question(means.rng, name, kind))


async def knock(means: Means) -> None:
    """Try a port that nobody listens on, always the same, as often as the program does it."""
    port = means.habits.choice(_CLOSED)
    for _ in range(means.rng.randint(1, 4)):
        try:
            _, writer = await asyncio.open_connection(
                estate.API, port, local_addr=(means.source, 0)
            )
            writer.close()
        except ConnectionRefusedError:
            await asyncio.sleep(means.rng.uniform(0.2, 3))


async def wait_in_vain(means: Means) -> None:
    """Call a host that is gone, always the same: SYNs come after 1, 3, 7 and 15 seconds again."""
    habits = means.habits
    patience = habits.choice((2.5, 5, 10, 21))
    server, port = habits.choice(estate.SILENT), habits.choice((80, 443, 443, 22, 25, 8443))
    async with asyncio.timeout(patience):
        await asyncio.open_connection(server, port, local_addr=(means.source, 0))


async def send_mail(means: Means) -> None:
    """Hand in one message; one in six goes to a mailbox that doesn't exist."""
    name = "nobody" if means.rng.random() < 1 / 6 else means.rng.choice(("info", "sales"))
    lines = "Good morning,\r\nplease send us your list.\r\n" * means.rng.randint(1, 20)
    message = f"Subject: list {means.rng.randint(1, 99)}\r\n\r\n{lines}"
    await asyncio.to_thread(_send, means.source, f"{name}@example.org", message)


def _send(source: str, recipient: str, message: str) -> None:
    try:
        with smtplib.SMTP(
            estate.MAIL, 25, "relay.example.net", timeout=15, source_address=(source, 0)
        ) as server:
            server.sendmail("orders@example.net", recipient, message)
    except smtplib.SMTPRecipientsRefused:
        pass  # the mailbox doesn't exist: that is what some senders meet


async def log_in(means: Means) -> None:
    """Log in over SSH, mistyping the password up to twice, and work for a few seconds."""
    commands = "; ".join(f"date; sleep {means.rng.uniform(0.2, 2):.1f}" for _ in range(3))
    await run_ssh(means, means.rng.choice(estate.USERS), attempts(means), commands)


async def run_job(means: Means) -> None:
    """Log in as a program does, which mistypes nothing, and leave at once."""
    await run_ssh(means, estate.USERS[0], [estate.PASSWORD], "date")


async def run_ssh(means: Means, user: str, passwords: list[str], commands: str) -> None:
    """Run commands over SSH, trying the passwords in turn; raises OSError where none is right."""
    process = await asyncio.create_subprocess_exec(
        "ssh",
        *_ssh_options(means),
        f"{user}@{estate.SSH}",
        commands,
        env=_ssh_environment(means, passwords),
    )
    try:
        async with asyncio.timeout(_SSH_LIMIT):
            status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    if status != 0:
        raise ConnectionError(f"ssh ended with {status}")


def _ssh_options(means: Means) -> list[str]:
    options = (
        "IdentityFile=none",
        "PreferredAuthentications=password",
        "NumberOfPasswordPrompts=3",
        f"UserKnownHostsFile={means.known_hosts}",
        "GlobalKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
    )
    return ["-F", "/dev/null", "-b", means.source, *(w for o in options for w in ("-o", o))]


def _ssh_environment(means: Means, passwords: list[str]) -> dict[str, str]:
    """Return an environment in which ssh asks a script, which gives one line of a file a time."""
    folder = Path(means.work)
    script = folder / "ask-password"
    if not script.exists():
        script.write_text(_ASKPASS, encoding="ascii")
        script.chmod(0o700)
    answers = folder / f"passwords-{means.source}"
    answers.write_text("".join(f"{password}\n" for password in passwords), encoding="ascii")
    return {
        "PATH": os.environ["PATH"],
        "SSH_ASKPASS": str(script),
        "SSH_ASKPASS_REQUIRE": "force",
        "LAB_PASSWORDS": str(answers),
    }
