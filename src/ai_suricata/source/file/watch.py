"""Waiting until followed files may have changed: the kernel's notices, or a look now and then."""

from __future__ import annotations

import asyncio
import errno
import math
from typing import TYPE_CHECKING

import structlog

from ai_suricata.source.file.folder import folders_of
from ai_suricata.source.file.inotify import Notices
from ai_suricata.source.file.mount import filesystem_of, is_remote, mounts

if TYPE_CHECKING:
    from ai_suricata.config.source import SourceSettings

SLOW_LOOK = 1.0
"""Seconds between two looks where the kernel tells of changes: a safety net, nothing more."""

LEAST_GAP = 0.01
"""Seconds between two looks at least: lines that are written one by one are read together."""

ARM_INTERVAL = 30.0
"""Seconds after which it is looked anew which folders there are, and on which file systems."""

_REMEDIES = {
    errno.ENOSPC: "no inotify watches are left: raise fs.inotify.max_user_watches",
    errno.EMFILE: "no inotify instances are left: raise fs.inotify.max_user_instances",
}

_log = structlog.get_logger(__name__)


class Watch:
    """Awaited while nothing waits to be read. To be closed."""

    def __init__(self, settings: SourceSettings) -> None:
        """Of the settings it takes `paths`, `watch` and `poll_interval`."""
        self._paths = settings.paths
        self._interval = settings.poll_interval
        self._may_notice = settings.watch == "auto"
        self._wake = asyncio.Event()
        self._stopped = False
        self._notices: Notices | None = None
        self._reason: str | None = None
        """Why files are polled, though the kernel could tell."""
        self._arm_at = self._look_at = -math.inf
        self._has_notice = False

    @property
    def stopped(self) -> bool:
        """Whether the waiting is over for good."""
        return self._stopped

    def stop(self) -> None:
        """End the present wait and all later ones at once."""
        self._stopped = True
        self._wake.set()

    def take_notice(self) -> bool:
        """Whether files have come or gone since this was last asked, as far as the kernel tells."""
        notice, self._has_notice = self._has_notice, False
        return notice

    async def changed(self) -> None:
        """Return when files may have changed, or when told to stop."""
        now = asyncio.get_running_loop().time()
        if self._may_notice and now >= self._arm_at:
            self._arm(now)  # what came before is not told of: look at once
        elif self._notices is None:
            await self._sleep(self._interval)
        else:
            await self._noticed(self._notices)

    async def pause(self) -> None:
        """Return when the next look may follow: a file written steadily has more by then."""
        loop = asyncio.get_running_loop()
        await self._sleep(self._look_at + LEAST_GAP - loop.time())
        self._look_at = loop.time()

    def close(self) -> None:
        """End the watching. The next wait begins it anew."""
        if self._notices is not None:
            self._notices.close()
        self._notices, self._arm_at = None, -math.inf

    async def _noticed(self, notices: Notices) -> None:
        """Wait for the next notice, the time for a look anyway, or the stop."""
        loop = asyncio.get_running_loop()
        loop.add_reader(notices.fileno(), self._wake.set)
        try:
            slow = SLOW_LOOK if self._reason is None else min(SLOW_LOOK, self._interval)
            await self._sleep(slow)
        finally:
            loop.remove_reader(notices.fileno())
        if not self._stopped:
            self._wake.clear()
            await self.pause()
        if notices.take():
            self._has_notice = True
            self._arm(self._look_at)

    async def _sleep(self, seconds: float) -> None:
        """Wait for so long, but not beyond the next notice or the stop."""
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _arm(self, now: float) -> None:
        """Watch the folders that there are now; note why some must be polled."""
        self._arm_at = now + ARM_INTERVAL
        folders, mounted = folders_of(self._paths), mounts()
        kinds = {folder: filesystem_of(folder, mounted) for folder in folders}
        remote = [folder for folder, kind in kinds.items() if is_remote(kind)]
        near = {folder: mask for folder, mask in folders.items() if folder not in remote}
        reason = self._watch(near) if near else None
        if remote:
            reason = f"{remote[0]} is on {kinds[remote[0]]}, whose changes the kernel does not see"
        self._tell(reason)

    def _watch(self, folders: dict[str, int]) -> str | None:
        """Watch these folders; return why some can't be, or None."""
        try:
            self._notices = self._notices or Notices()
        except OSError as error:
            return _REMEDIES.get(error.errno or 0, f"inotify can't be used: {error.strerror}")
        failed = self._notices.watch(folders)
        if not failed:
            return None
        remedy = _REMEDIES.get(failed[0].errno or 0)
        return remedy or f"a folder can't be watched: {failed[0].strerror}"

    def _tell(self, reason: str | None) -> None:
        """Say that files are polled, and that they are no more, once each."""
        if reason is not None and reason != self._reason:
            _log.warning("files are polled", reason=reason, interval=self._interval)
        elif reason is None and self._reason is not None:
            _log.info("files are polled no more: the kernel tells of changes")
        self._reason = reason
