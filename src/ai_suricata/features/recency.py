"""A bounded table in the order of use: what was used longest ago goes first.

What is kept beyond a row of behaviour (who offers what, what signatures are worth) is kept in
such tables. They change in the order of the events and in no other, so that a batch may end
anywhere, and their order is stored with them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

K = TypeVar("K")
V = TypeVar("V")


class Recency(Generic[K, V]):
    """Values by key, at most so many."""

    def __init__(self, most: int) -> None:
        """`most`: entries that are kept."""
        self._most = most
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._texts: dict[K, str] = {}  # of entries that have not changed since they were written
        self._exported: tuple[str, ...] | None = ()  # None: something has changed since

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """Return the value of a key without using it, or None."""
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        """Set the value of a key, which is now the last to go."""
        self._exported = None
        if self._entries.get(key) != value:
            self._texts.pop(key, None)
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            gone, _ = self._entries.popitem(last=False)
            self._texts.pop(gone, None)

    def export(self, write: Callable[[K, V], str]) -> tuple[str, ...]:
        """Return all entries as texts, the one to go first at the beginning.

        Only what has changed is written anew: a snapshot is asked for every few seconds.
        """
        if self._exported is None:
            texts = self._texts
            for key, value in self._entries.items():
                if key not in texts:
                    texts[key] = write(key, value)
            self._exported = tuple(map(texts.__getitem__, self._entries))
        return self._exported

    def restore(self, stored: Iterable[str], read: Callable[[str], tuple[K, V]]) -> None:
        """Take over what was exported; a text of another version is left out."""
        for text in stored:
            try:
                key, value = read(text)
            except (ValueError, TypeError):
                continue
            self.put(key, value)
