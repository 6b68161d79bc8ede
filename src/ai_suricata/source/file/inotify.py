"""The kernel's notices of changes in folders (inotify(7)), as far as a follower of files needs."""

from __future__ import annotations

import os
from contextlib import suppress

from inotify_simple import INotify, flags, parse_events

COMINGS = (
    flags.CREATE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.DELETE
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ATTRIB
)
"""What happens to names: files come and go, and rights change."""

EVERYTHING = COMINGS | flags.MODIFY
"""The same, and writing or truncating."""

_NOTICES_BYTES = 64 * 1024  # some thousand notices: read at once, more wait for the next look
_NAMES = COMINGS | flags.IGNORED | flags.UNMOUNT | flags.Q_OVERFLOW


class Notices:
    """Watches folders for changes. To be closed."""

    def __init__(self) -> None:
        """Ask the kernel for an instance; raises OSError where it gives none (EMFILE)."""
        self._inotify = INotify(nonblocking=True)
        self._folders: dict[str, int] = {}

    def fileno(self) -> int:
        """Return the descriptor, which is readable while there are notices."""
        return int(self._inotify.fileno())

    def watch(self, folders: dict[str, int]) -> list[OSError]:
        """Watch these folders and no others, each for a mask; return why some can't be.

        No folder may be named twice, under a second name either.

        An error of ENOSPC says that the user has no watches left (fs.inotify.max_user_watches).
        """
        for folder in self._folders.keys() - folders.keys():
            self._end(self._folders.pop(folder))
        failed = []
        for folder, mask in folders.items():
            try:
                # Again each time: a folder that was replaced has the same name and another inode.
                number = self._inotify.add_watch(folder, mask | flags.ONLYDIR)
            except OSError as error:
                failed.append(error)
                continue
            before = self._folders.get(folder, number)
            self._folders[folder] = number
            if before != number:
                self._end(before)
        return failed

    def take(self) -> bool:
        """Take the notices that wait; return whether names have come, gone or changed."""
        try:
            notices = os.read(self.fileno(), _NOTICES_BYTES)
        except BlockingIOError:
            return False
        return any(notice.mask & _NAMES for notice in parse_events(notices))

    def close(self) -> None:
        """End all watching."""
        self._inotify.close()

    def _end(self, number: int) -> None:
        with suppress(OSError):  # the folder is gone, and its watch with it
            self._inotify.rm_watch(number)
