"""Which folders have to be watched so that no change of the followed files goes unnoticed."""

from __future__ import annotations

import glob
import os
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ai_suricata.source.file.inotify import COMINGS, EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_FOLDERS = 1024
"""Folders that are watched; what more a glob leads to is looked at once in a while."""

_MOST_LINKS = 40  # as many as the kernel follows (path_resolution(7))


def folders_of(paths: Iterable[str]) -> dict[str, int]:
    """Return the existing folders to watch for these paths and globs, each with its mask.

    Where a folder is not there yet, the nearest one above it tells when it comes.
    """
    masks: dict[str, int] = {}
    for path in paths:
        for folder, mask in islice(_of(path), MOST_FOLDERS):
            nearest = _nearest(folder)
            wanted = mask if nearest == folder else COMINGS
            real = os.path.realpath(nearest)
            masks[real] = masks.get(real, 0) | wanted
    return dict(islice(masks.items(), MOST_FOLDERS))


def _of(path: str) -> Iterator[tuple[Path, int]]:
    """Yield the folders of one path: of all that a glob matches, and where symlinks lead."""
    if not glob.has_magic(path) or os.path.lexists(path):
        for link in _links(Path(path)):
            yield link.parent, EVERYTHING
        return
    mask = EVERYTHING
    for pattern in PurePath(path).parents:
        if not glob.has_magic(str(pattern)):
            yield Path(pattern), mask
            return
        for folder in glob.iglob(str(pattern)):  # noqa: PTH207 - Path.glob takes no absolute one
            yield Path(folder), mask
        mask = COMINGS


def _links(path: Path) -> Iterator[Path]:
    """Yield the path, and one after the other what its symlinks lead to."""
    for _ in range(_MOST_LINKS):
        yield path
        try:
            path = path.parent / path.readlink()
        except OSError:  # no symlink, or nothing at all
            return


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists and can be reached."""
    places = (folder, *folder.parents)
    return next((place for place in places if os.path.isdir(place)), Path("/"))  # noqa: PTH112 - is_dir raises
