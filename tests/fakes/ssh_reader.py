"""Reads a source of files on another host in the background, and waits until something holds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from ai_suricata.config.source import SourceSettings
from ai_suricata.source.ssh.tail import SshTail

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from ai_suricata.config.firewall import FirewallSettings
    from ai_suricata.core.position import Position
    from ai_suricata.source.base import Batch

AT_MOST = 30.0  # seconds


class Reader:
    """An SshTail that is read as long as the block lasts; what it gave stays."""

    def __init__(
        self,
        firewall: FirewallSettings,
        *paths: Path | str,
        position: Position | None = None,
        **changes: object,
    ) -> None:
        """Read from the beginning; `changes` are fields of SourceSettings."""
        values: dict[str, Any] = {
            "rotation_grace": 0.5,
            "poll_interval": 0.01,
            "start": "beginning",
            **changes,
        }
        settings = SourceSettings(paths=tuple(map(str, paths)), **values)
        self.tail = SshTail(settings, firewall, position)
        self.batches: list[Batch] = []
        self.position = position or {}
        """Behind the last batch, as a pipeline would store it."""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self.tail.stop()
        async with asyncio.timeout(AT_MOST):
            await self._task

    @property
    def lines(self) -> list[bytes]:
        """All lines so far, in order."""
        return [line for batch in self.batches for line in batch.lines]

    @property
    def rejected(self) -> int:
        """Lines that were rejected so far."""
        return sum(sum(batch.rejected.values()) for batch in self.batches)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until the condition holds; fails after a while, showing where the source stands."""
        assert self._task is not None
        try:
            async with asyncio.timeout(AT_MOST):
                while not condition() and not self._task.done():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(
                f"{len(self.lines)} lines, the last {self.lines[-3:]}; waiting for "
                f"{self.tail.waiting_for}; position {self.tail.position}"
            ) from None
        if self._task.done():
            await self._task

    async def has(self, *lines: bytes) -> None:
        """Wait until as many lines are there; fails where they are others."""
        await self.until(lambda: len(self.lines) >= len(lines))
        assert list(lines) == self.lines

    async def is_following(self) -> None:
        """Wait until the paths were looked at and all that stands there was handed out."""
        await self.until(lambda: self.tail.position and not self.tail.lag().bytes)

    async def _read(self) -> None:
        async for batch in self.tail.batches():
            self.batches.append(batch)
            self.position = batch.position
