"""Which of the paths that globs match are read: dated files are many, and handles are not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ai_suricata.source.ssh.folder import matches
from ai_suricata.source.ssh.past import Past

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ai_suricata.core.position import Place
    from ai_suricata.source.ssh.session import Session

MOST_PATHS = 64
"""Matched paths that are read at once: each is an open file on the firewall."""

MOST_RESTING = 1024
"""Paths whose places are kept while they are not read."""

DAY = 86_400
"""Seconds for which a file counts as one that is written to."""


@dataclass(frozen=True, slots=True)
class Rest:
    """A path that is not read for now."""

    places: Sequence[Place] | None
    """Where its reading stood; None where it was there before the first start, and never read."""
    written: int
    """Its last change back then, whole seconds since the epoch on the firewall's clock."""


class Roster:
    """Knows what the globs match, and where those paths stand that rest."""

    def __init__(self, patterns: Sequence[str], known: Collection[str]) -> None:
        """`known`: those of the patterns that an earlier run has looked at."""
        self.known_patterns = set(known)
        self._patterns = patterns
        self._written: dict[str, int] = {}
        self._resting: dict[str, Rest] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._written

    async def look(self, session: Session, followed: Collection[str]) -> None:
        """See what the globs match now; raises SessionLostError.

        What a glob finds at its very first look, and is not `followed`, begins as EVE_START says.
        """
        written: dict[str, int] = {}
        for pattern in self._patterns:
            found = await matches(session, pattern)
            written.update(found)
            if pattern not in self.known_patterns:
                for path in found.keys() - self._resting.keys() - set(followed):
                    self._resting[path] = Rest(None, found[path])
            self.known_patterns.add(pattern)
        self._written = written
        self._forget()

    def newest(self) -> list[str]:
        """Return the paths that were changed last, as many as may be read, the latest first."""
        return self._ordered(self._written)[:MOST_PATHS]

    def written(self, path: str) -> int:
        """Return when a matched path was changed last, on the firewall's clock."""
        return self._written[path]

    def rest(self, path: str, places: Sequence[Place] | None) -> None:
        """Keep where the reading of a path stands."""
        self._resting[path] = Rest(places, self._written.get(path, 0))

    def wake(self, path: str) -> Sequence[Place] | None:
        """Return where the reading of a path stands, which is up to the caller from now on.

        Nowhere for one that is new, and None for one that was there before the first start. One
        that has changed since, unread, is read whole: nobody knows where its new lines begin, and
        old ones do less harm than lost ones.
        """
        rest = self._resting.pop(path, None)
        if rest is None or (rest.places is None and self._written.get(path) != rest.written):
            return ()
        return rest.places

    def places(self) -> Iterator[tuple[str, tuple[Place, ...]]]:
        """Yield the resting paths with where they stand."""
        for path, rest in self._resting.items():
            if rest.places:
                yield path, tuple(rest.places)

    def unread(self, followed: Collection[str]) -> int:
        """Return how many files that were changed lately are neither followed nor read."""
        since = max(self._written.values(), default=0) - DAY
        alive = [path for path, written in self._written.items() if written >= since]
        if len(alive) <= MOST_PATHS:
            return 0
        return sum(path not in followed and not self._is_read(path) for path in alive)

    def unmatched(self) -> list[str]:
        """Return a sentence on each glob that matches nothing."""
        return [
            f"no file on the firewall matches {pattern} yet"
            for pattern in self._patterns
            if not any(PurePosixPath(path).match(pattern) for path in self._written)
        ]

    def _is_read(self, path: str) -> bool:
        """Whether it was read to its end, and has not changed since."""
        rest = self._resting.get(path)
        return rest is not None and bool(rest.places) and rest.written == self._written[path]

    def _forget(self) -> None:
        """Forget what is gone from a folder, and the oldest where too many rest.

        A folder in which nothing is found may be out of reach for a moment.
        """
        folders = {PurePosixPath(path).parent for path in self._written}
        for path in list(self._resting):
            if path not in self._written and PurePosixPath(path).parent in folders:
                del self._resting[path]
        times = {path: rest.written for path, rest in self._resting.items()}
        for path in self._ordered(times)[MOST_PATHS + MOST_RESTING :]:
            del self._resting[path]

    @staticmethod
    def _ordered(times: Mapping[str, int]) -> list[str]:
        """Return the paths, the latest first; of one second the later name, which may be a date."""
        return sorted(times, key=lambda path: (times[path], path), reverse=True)


def latest_first(known: Mapping[str, Sequence[Place]]) -> list[str]:
    """Return paths by the last change that their places name, the latest first."""
    return sorted(known, key=lambda path: (Past(path, known[path]).since or 0, path), reverse=True)
