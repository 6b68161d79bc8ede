"""Benign callers that are many, or much, at once: crawlers, offices, caches, backups."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lab.account import AGENTS
from lab.page import ARCHIVE, BROKEN_LINKS, PAGES
from lab.web import Browser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.means import Means

_CRAWLERS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "CCBot/2.0 (https://commoncrawl.org/faq/)",
)
_HOST = "www.example.org"


async def crawl(means: Means) -> None:
    """Read robots.txt, then many pages, links that have gone among them."""
    rng = means.rng
    agent = _CRAWLERS[sum(means.source.encode()) % len(_CRAWLERS)]
    gone = [f"/blog/{rng.randint(2009, 2022)}/post-{n}" for n in range(rng.randint(2, 14))]
    links = rng.sample([*PAGES, *ARCHIVE, *BROKEN_LINKS, *gone], rng.randint(15, 40))
    tls = means.tls if rng.random() < 0.5 else None
    for begin in range(0, len(links), 8):
        async with Browser(means.source, means.web, agent=agent, host=_HOST, tls=tls) as page:
            for target in ("/robots.txt", *links[begin : begin + 8]):
                await page.get(target)
                await asyncio.sleep(rng.uniform(0.05, 0.8))


async def fetch_for_many(means: Means) -> None:
    """Fetch fresh copies over several connections at once, as a cache in front of a site does."""
    count = means.rng.randint(4, 16)
    parts = [means.rng.choices(PAGES, k=means.rng.randint(2, 8)) for _ in range(count)]
    async with asyncio.TaskGroup() as group:
        for targets in parts:
            group.create_task(_fetch(means, "cache/3.2", targets, pause=0.05))


async def browse_together(means: Means) -> None:
    """Let the people of an office browse, each with a browser of his own."""
    people = means.rng.randint(5, 20)
    async with asyncio.TaskGroup() as group:
        for _ in range(people):
            agent = means.rng.choice(AGENTS)
            pages = [*means.rng.choices(PAGES, k=means.rng.randint(1, 6))]
            if means.rng.random() < 0.2:
                pages.append(means.rng.choice(BROKEN_LINKS))
            group.create_task(_fetch(means, agent, pages, pause=2.0))


async def _fetch(means: Means, agent: str, targets: Sequence[str], *, pause: float) -> None:
    await asyncio.sleep(means.rng.uniform(0, pause * 3))
    tls = means.tls if means.rng.random() < 0.5 else None
    async with Browser(means.source, means.web, agent=agent, host=_HOST, tls=tls) as page:
        for target in targets:
            await page.get(target)
            await asyncio.sleep(means.rng.expovariate(1 / pause))


async def back_up(means: Means) -> None:
    """Hand in one long upload, or a few, as a night's backup does."""
    tls = means.tls if means.rng.random() < 0.7 else None
    async with Browser(means.source, means.web, agent="restic/0.16", host=_HOST, tls=tls) as store:
        for number in range(means.rng.randint(1, 3)):
            size = means.rng.randint(300_000, 4_000_000)
            await store.get(f"/upload/night{number}", body=means.rng.randbytes(size))
