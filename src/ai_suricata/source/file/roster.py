"""Which paths are followed: those that the settings name, and those that globs match by now."""

from __future__ import annotations

import glob
import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.position import files_of
from ai_suricata.source.file.chain import Chain
from ai_suricata.source.file.obstacle import describe_pattern
from ai_suricata.source.file.registry import Registry
from ai_suricata.source.identity import COMPRESSED, inode_of, is_rotated_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.core.position import Position
    from ai_suricata.source.base import Losses
    from ai_suricata.source.identity import Inode

GLOB_INTERVAL = 1.0
"""Seconds between two looks at the globs: new files are rarer than new lines."""

MANY = 64
"""Paths from which on quiet files of an earlier run are not opened: descriptors are limited."""

_log = structlog.get_logger(__name__)


class Roster:
    """The chains of all followed paths."""

    def __init__(self, settings: SourceSettings, losses: Losses) -> None:
        """`losses`: where those of all paths are counted."""
        self.patterns = tuple(path for path in settings.paths if _is_pattern(path))
        self._settings = settings
        self._losses = losses
        self._registry = Registry()
        self._chains: dict[str, Chain] = {}
        self._vain: set[str] = set()
        """Globs that matched nothing when they were last looked at."""
        self._dropped_rotations = 0
        self._matched_at = 0.0

    def __iter__(self) -> Iterator[Chain]:
        return iter(self._chains.values())

    @property
    def is_shared(self) -> bool:
        """Whether there can be more than one path."""
        return len(self._settings.paths) > 1 or bool(self.patterns)

    @property
    def position(self) -> Position:
        """The places in the files of each path; of each glob, and each path without a file, none.

        They were followed, so what a later run finds there is new.
        """
        position: Position = dict.fromkeys(self.patterns, ())
        for path, chain in self._chains.items():
            places = chain.position
            is_named = path in self._settings.paths
            if not chain.is_empty or (chain.is_new and (is_named or places)):
                position[path] = places
        return position

    @property
    def rotations(self) -> int:
        """Rotations, truncations and re-creations seen so far."""
        return self._dropped_rotations + sum(chain.rotations for chain in self)

    @property
    def open_files(self) -> int:
        """How many files are open."""
        return sum(len(chain.files) for chain in self)

    def begin(self, known: Position, now: float) -> None:
        """Find the files of an earlier run first: only then is it clear which others are new."""
        for path in self._settings.paths:
            if path not in self.patterns:
                self._follow(path, globbed=False, at_end=path not in known)
        for path in known:
            if path not in self._chains and path not in self.patterns and self._is_matched(path):
                self._follow(path, globbed=True, at_end=False)
        for path, chain in self._chains.items():
            sparing = len(self._chains) > MANY and path not in self._settings.paths
            chain.backlog.origin = None if sparing else self._origin(path)
            chain.resume(files_of(known, path), now, sparing=sparing)
        self._settle(known)
        for chain in self:
            chain.look(now)
        for pattern in self.patterns:
            self._match(pattern, now, at_end=pattern not in known)
        self._settle()
        self._matched_at = now
        for reason in self.unmatched():
            _log.warning("waiting for a file", reason=reason)

    def look(self, now: float, *, has_notice: bool) -> None:
        """See what stands at each path, and at times, or on a notice, what the globs match."""
        for chain in self:
            chain.look(now)
        if has_notice or now - self._matched_at >= GLOB_INTERVAL:
            self.match(now)

    def match(self, now: float) -> None:
        """Look at the globs again, and forget the paths that are gone."""
        self._matched_at = now
        matched = {path for pattern in self.patterns for path in self._match(pattern, now)}
        self._settle()
        for path, chain in [*self._chains.items()]:
            is_over = path not in matched or chain.is_rotation
            is_over = is_over and path not in self._settings.paths
            if chain.is_empty and is_over and not chain.is_awaited:
                self._drop(path)
        inodes = {inode for path in matched if (inode := _inode(path))}
        self._registry.history.forget(inodes, self._chains)

    def unmatched(self) -> list[str]:
        """Return a sentence on each glob that matches nothing."""
        return [describe_pattern(pattern) for pattern in self.patterns if pattern in self._vain]

    def _follow(self, path: str, *, globbed: bool, at_end: bool) -> Chain:
        at_end = at_end and self._settings.start == "end"
        chain = self._chains[path] = Chain(
            path, self._settings, self._registry, self._losses, globbed=globbed, at_end=at_end
        )
        if len(self._chains) <= MANY:  # of more, none is taken for a rotation of another
            self._judge_again(path)
        return chain

    def _judge_again(self, origin: str) -> None:
        """Look anew at what was met before its origin: it is no log with rotations of its own."""
        for other in self:
            if other.path not in self._settings.paths and is_rotated_path(other.path, origin):
                other.is_settled = False

    def _drop(self, path: str) -> None:
        self._dropped_rotations += self._chains.pop(path).rotations
        origin = self._origin(path)
        if origin is not None:
            self._registry.history.hand_over(path, origin)

    def _settle(self, known: Collection[str] | None = None) -> None:
        """Let the paths look for rotated files that nobody has read: the `known` ones, or all.

        Not those of many dated files, which are not rotated, nor what a rotation has made of
        another followed path, which is looked after there.
        """
        for path, chain in self._chains.items():
            if chain.is_settled or (known is not None and path not in known):
                continue
            if path not in self._settings.paths:
                is_one_of_many = len(self._chains) > MANY
                chain.is_rotation = not is_one_of_many and self._origin(path) is not None
                if chain.is_rotation or is_one_of_many:
                    continue
            chain.settle(is_first=known is None)

    def _origin(self, path: str) -> str | None:
        """Return the followed path of which a rotation has made this one, None for none."""
        return next((other for other in self._chains if is_rotated_path(path, other)), None)

    def _is_matched(self, path: str) -> bool:
        return any(PurePath(path).match(pattern) for pattern in self.patterns)

    def _match(self, pattern: str, now: float, *, at_end: bool = False) -> list[str]:
        """Follow the matching paths that nobody reads yet; return all that match."""
        found = sorted(glob.glob(pattern))  # noqa: PTH207 - Path.glob takes no absolute pattern
        matched = [path for path in found if not path.endswith(COMPRESSED)]
        for path in matched:
            if path not in self._chains and not self._is_taken(path):
                self._follow(path, globbed=True, at_end=at_end).look(now)
        self._vain = (self._vain | {pattern}) if not matched else self._vain - {pattern}
        return matched

    def _is_taken(self, path: str) -> bool:
        """Whether the file is being read, or was read under the name that it had before."""
        try:
            status = Path(path).stat()
            taken = self._registry.is_taken(inode_of(status))
            return taken or self._registry.history.is_read(path, status)
        except FileNotFoundError:  # gone since it was matched
            return True
        except OSError:  # the look at it says what stands in the way
            return False


def _inode(path: str) -> Inode | None:
    try:
        return inode_of(Path(path).stat())
    except OSError:  # gone since it was matched
        return None


def _is_pattern(path: str) -> bool:
    """Whether the path is a glob; a file may have brackets in its name."""
    return glob.has_magic(path) and not os.path.lexists(path)
