"""Splits that can be believed: by source and time or by data set, never by row.

Rows of one source resemble each other, so that a model which has seen one of them knows the rest;
and an address that scans in two recordings is one source. A split therefore goes by address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ai_suricata.study.vector import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ai_suricata.classify.rows import TrainingRows


class Split(NamedTuple):
    """Rows to learn from and rows to judge by, which have no source in common."""

    name: str
    """What is judged."""
    training: TrainingRows
    test: TrainingRows


def by_time(rows: TrainingRows, share: float = 0.7) -> Split:
    """Return the sources that came first, and those that came in the later part of their set.

    `share`: how much of the sources of each data set comes first.
    """
    first: dict[str, tuple[int, str]] = {}
    for group, time, name in zip(rows.groups, rows.times.tolist(), rows.sets, strict=True):
        first[group] = min(first.get(group, (time, name)), (time, name))
    borders: dict[str, float] = {}
    for name in set(rows.sets):
        times = [time for time, of in first.values() if of == name]
        borders[name] = float(np.quantile(times, share))
    late = {group for group, (time, name) in first.items() if time > borders[name]}
    return _split("sources that came later", rows, np.array([g in late for g in rows.groups]))


def by_set(rows: TrainingRows) -> Iterator[Split]:
    """Yield a split for each data set: it is judged by what all the others taught.

    An address that occurs in it teaches nothing, in whichever set it was seen.
    """
    names = list(dict.fromkeys(rows.sets))
    for name in names if len(names) > 1 else []:
        yield _split(name, rows, np.array([of == name for of in rows.sets]))


def _split(name: str, rows: TrainingRows, judged: NDArray[np.bool_]) -> Split:
    test = rows.take(judged)
    seen = set(map(address_of, test.groups))
    strange = np.array([address_of(group) not in seen for group in rows.groups], dtype=np.bool_)
    return Split(name, rows.take(~judged & strange), test)
