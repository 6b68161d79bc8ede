"""Attackers who send little each: worms, probes, and attacks spread over many addresses."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import TYPE_CHECKING

from lab import estate, visit, webattack
from lab.account import AGENTS, Dialogue
from lab.forger import syn
from lab.web import Browser

if TYPE_CHECKING:
    from lab.means import Means

_WORM_PORTS = (23, 23, 23, 445, 445, 2323, 5555, 7547, 8080, 37215, 22, 3389, 1433, 6379, 81, 80)
_PROBES = {
    161: bytes.fromhex(
        "302602010104067075626c6963a019020400000001020100020100300b300906052b060102010500"
    ),
    1900: b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 3\r\n'
    b"ST: upnp:rootdevice\r\n\r\n",
    123: bytes.fromhex("17000203") + bytes(4),
    5060: b"OPTIONS sip:100@192.0.2.10 SIP/2.0\r\nUser-Agent: friendly-scanner\r\n"
    b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
    11211: bytes.fromhex("0001000000010000") + b"stats\r\n",
    389: bytes.fromhex("30840000002d02010163840000002404000a01000a0100020100020100010100870b")
    + b"objectClass",
    53413: b"AA\0\0AAAA echo\0",
    137: bytes.fromhex("80f00010000100000000000020") + b"CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0!\0\1",
    53: bytes.fromhex("000a010000010000000000000776657273696f6e0462696e640000100003"),
}
"""Requests that look for open services: SNMP, SSDP, NTP, SIP, memcached, LDAP, NetBIOS, DNS."""
_PATIENCE = 4.0  # seconds for a connection


async def infect(means: Means) -> None:
    """Send one to three SYNs to a port that a worm looks for, to any address of the network.

    One in three connects as programs do, and says a line where somebody listens.
    """
    port = means.rng.choice(_WORM_PORTS)
    hosts = [*estate.SILENT, *estate.STREAMS[:1], estate.SSH, estate.MAIL]
    targets = means.rng.sample(hosts, means.rng.choice((1, 1, 1, 2, 3)))
    connects = means.rng.random() < 0.33
    for target in targets:
        if connects:
            await _connect(means.source, target, port)
        else:
            _send_syn(means.rng, means.source, target, port)
        await asyncio.sleep(means.rng.uniform(0, 3))


async def probe(means: Means) -> None:
    """Send one request over UDP to one host or a few, asking who is there."""
    port = means.rng.choice(tuple(_PROBES))
    hosts = (*estate.SILENT[:40], estate.WEB, estate.DNS, estate.VPN, estate.API)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((means.source, 0))
        for target in means.rng.sample(hosts, means.rng.choice((1, 1, 2, 5))):
            sender.sendto(_PROBES[port], (target, port))
            await asyncio.sleep(means.rng.uniform(0.01, 1))


async def share_scan(means: Means) -> None:
    """Take a few ports out of a scan: those of one campaign look at the same host."""
    shared = random.Random(means.campaign)
    target = shared.choice((estate.WEB, estate.MAIL, estate.API))
    ports = shared.sample(range(1, 9000), 150)
    connects = shared.random() < 0.5
    for port in means.rng.sample(ports, means.rng.randint(3, 9)):
        if connects:
            await _connect(means.source, target, port)
        else:
            _send_syn(means.rng, means.source, target, port)
        await asyncio.sleep(means.rng.uniform(0.2, 4))


async def stuff_form(means: Means) -> None:
    """Try a stolen name and password on the site's form, once or twice."""
    shared = random.Random(means.campaign)
    agent = shared.choice((*AGENTS, "python-requests/2.28.1"))
    kind = "Content-Type: application/x-www-form-urlencoded\r\n"
    tls = means.tls if shared.random() < 0.4 else None
    async with Browser(
        means.source, estate.WEB, agent=agent, host="www.example.org", tls=tls
    ) as page:
        if shared.random() < 0.5:
            await page.get("/login")
        for name, password in _stolen(means.rng):
            body = f"user={name}&password={password}".encode("ascii")
            await page.get("/login", body=body, extra=kind)
            await asyncio.sleep(means.rng.uniform(0.3, 3))


async def stuff_imap(means: Means) -> None:
    """Try a stolen name and password on the mail server, once or twice."""
    async with Dialogue(means.source, estate.MAIL, 143) as box:
        for name, password in _stolen(means.rng):
            await box.ask(f"a LOGIN {name} {password}", "a ")
        await box.ask("b LOGOUT", "b ")


async def stuff_ssh(means: Means) -> None:
    """Try a stolen name and password over SSH, once or twice; raises OSError, as none is right."""
    pairs = _stolen(means.rng)
    await visit.run_ssh(means, pairs[0][0], [password for _, password in pairs], "true")


async def look_in(means: Means) -> None:
    """Ask a web server for one to five things that others have left open, and go."""
    agent = means.rng.choice((*webattack.AGENTS, *AGENTS))
    targets = webattack.targets(means.rng)[: means.rng.choice((1, 1, 2, 3, 5))]
    server = means.web if means.is_v6 else means.rng.choice((estate.WEB, estate.API))
    for target in targets:
        async with Browser(means.source, server, agent=agent, host=server) as page:
            await page.get(target.replace(" ", "%20"))
        await asyncio.sleep(means.rng.uniform(0.1, 2))


def _stolen(rng: random.Random) -> list[tuple[str, str]]:
    names = (f"{rng.choice('abcdefgh')}.{word}" for word in rng.sample(("hill", "may", "lake"), 2))
    pairs = [
        (name, f"{rng.choice(('sun', 'rose', 'blue'))}{rng.randrange(10_000)}") for name in names
    ]
    return pairs[: rng.randint(1, 2)]


def _send_syn(rng: random.Random, source: str, target: str, port: int) -> None:
    """Send one SYN by hand: the kernel refuses the answer, as it never asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(syn(rng, source, target, port), (target, 0))


async def _connect(source: str, target: str, port: int) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(target, port, local_addr=(source, 0))
        writer.write(b"\r\n")
        await asyncio.sleep(0.2)
        writer.close()
    except (OSError, TimeoutError):
        return  # closed, or nobody there
