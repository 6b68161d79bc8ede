"""Rotated files that nobody has read: created, rotated and perhaps compressed between two looks."""

from __future__ import annotations

import math
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from ai_suricata.core.position import FilePosition
from ai_suricata.source.file.candidate import Candidate
from ai_suricata.source.file.history import KEPT
from ai_suricata.source.file.loss import COMPRESSED
from ai_suricata.source.file.sibling import rotated
from ai_suricata.source.file.unpacker import is_packed
from ai_suricata.source.identity import fingerprint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ai_suricata.source.file.loss import LossLog
    from ai_suricata.source.file.registry import Registry
    from ai_suricata.source.file.sibling import Sibling
    from ai_suricata.source.identity import Inode

Written = tuple[int, FilePosition]
"""When a file was last written, nanoseconds since the epoch, and where to begin in it."""


class Discovery:
    """Tells, of what lies beside one followed path, what is new from what has been read."""

    def __init__(self, path: str, registry: Registry, losses: LossLog) -> None:
        self._path = path
        self._registry = registry
        self._history = registry.history
        self._losses = losses
        self._looked_at: list[Sibling] = []

    def note(self) -> None:
        """Take the newest rotated files that are there now for read: they are from before.

        Raises OSError where the folder can't be listed.
        """
        for sibling in rotated(self._path)[-KEPT:]:
            if not self._registry.is_taken(sibling.inode):
                self._history.add(self._path, _end(sibling))

    def unread(self, passed_over: Collection[Inode | None], since: float) -> list[FilePosition]:
        """Return the places to begin at in files that were not read to their end, oldest first.

        `passed_over`: files that are looked after elsewhere. `since`: when the newest file that is
        open was written, nanoseconds since the epoch. Raises OSError where one can't be opened.
        """
        found = rotated(self._path)
        if found == self._looked_at:
            return []
        beside = self._names(found)
        again: list[Written] = []
        new: list[Written] = []
        known: dict[FilePosition, int] = {}
        for sibling in self._free(found, passed_over):
            position, before = self._place(sibling, beside)
            if before is not None:
                known[before] = sibling.written_ns
            if position is not None:
                (new if before is None else again).append((sibling.written_ns, position))
        newest = max(known.values(), default=-math.inf)
        if len(self._history.of(self._path)) >= KEPT:  # some are forgotten: better none twice
            new = [(written, position) for written, position in new if written > newest]
        self._tell_unreadable(found, max(newest, since))
        self._history.retain(self._path, {*known})
        self._looked_at = found
        return [position for _, position in sorted(again + new, key=itemgetter(0))]

    def _names(self, found: list[Sibling]) -> set[str]:
        """Return the paths of all that gzip may be at work on: a dated file is the path itself."""
        own = {self._path} if Path(self._path).is_file() else set()
        return own | {sibling.path for sibling in found}

    def _free(
        self, found: list[Sibling], passed_over: Collection[Inode | None]
    ) -> Iterator[Sibling]:
        for sibling in found:
            is_taken = sibling.inode in passed_over or self._registry.is_taken(sibling.inode)
            if sibling.is_readable and not is_taken:
                yield sibling

    def _place(
        self, sibling: Sibling, beside: Collection[str]
    ) -> tuple[FilePosition | None, FilePosition | None]:
        """Return where to begin in a file, None for nowhere, and where it was left, if it was."""
        try:
            candidate = Candidate.open(sibling.path)
        except PermissionError:
            before = self._history.by_inode(sibling.inode)
            return (_beginning(sibling) if before is None else None), before
        with candidate:
            if _is_being_compressed(candidate, sibling, beside):
                return None, None
            before = self._history.match(candidate, self._path)
            if before is None:
                is_copy = self._registry.is_copy(sibling.path, candidate.head, self._path)
                return (None if is_copy else candidate.position(0)), None
            more = candidate.has_more(before)
            return (candidate.position(before.offset) if more else None), before

    def _tell_unreadable(self, found: list[Sibling], since: float) -> None:
        """Say what was rotated unseen and compressed in a format that can't be read, once each."""
        if since == -math.inf and self._history.of(self._path):
            return  # it may be any of the files that have been read
        for sibling in found:
            is_new = sibling.written_ns > since and self._history.by_inode(sibling.inode) is None
            if is_new and not sibling.is_readable:
                self._losses.tell(
                    COMPRESSED,
                    "a rotated file was compressed before it was read: only gzip, bzip2 and xz "
                    "can be read, its lines are lost",
                    file=sibling.path,
                    packed_bytes=sibling.size,
                )
                self._history.add(self._path, _beginning(sibling))


def _is_being_compressed(candidate: Candidate, sibling: Sibling, beside: Collection[str]) -> bool:
    """Whether a file is the half-made copy of another one, which is there until it is done."""
    if not candidate.packing:
        return is_packed(candidate.head)  # under a temporary name
    original = sibling.path.removesuffix(candidate.packing)
    if original not in beside:
        return False
    with Candidate.open(original) as other:
        return other.head.startswith(candidate.head)


def _beginning(sibling: Sibling) -> FilePosition:
    """Return the beginning of a file of which only the inode is known."""
    return FilePosition(*sibling.inode, fingerprint(b""), 0, 0)


def _end(sibling: Sibling) -> FilePosition:
    """Return the end of a file, as far as it can be opened."""
    if not sibling.is_readable:
        return _beginning(sibling)
    try:
        with Candidate.open(sibling.path) as candidate:
            return candidate.position(candidate.length())
    except OSError:  # it is known by its inode then
        return _beginning(sibling)
