"""Why a path can't be read, in words that name the remedy."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path


def describe(path: str, error: OSError) -> str:
    """Return one sentence on why `path` could not be opened."""
    if isinstance(error, FileNotFoundError):
        return _absent(Path(path))
    if isinstance(error, PermissionError):
        return _forbidden(Path(path))
    return f"{path} can't be read: {error.strerror}"


def describe_pattern(pattern: str) -> str:
    """Return one sentence on why a glob matches nothing."""
    folder = Path(pattern.partition("*")[0].partition("?")[0].partition("[")[0] + "x").parent
    if folder.exists() and not _may(folder, os.R_OK | os.X_OK):
        return (
            f"{folder} can't be listed by uid {os.geteuid()}: grant read and search on that folder"
        )
    return f"no file matches {pattern} yet"


def _absent(path: Path) -> str:
    missing = [folder for folder in path.parents if not folder.exists()]
    if missing:
        return f"{path} does not exist yet: there is no folder {missing[-1]}"
    return f"{path} does not exist yet"


def _forbidden(path: Path) -> str:
    """Name the right that is missing, for whom, and where: on a folder above, or on the file."""
    user = f"uid {os.geteuid()}"
    for folder in reversed(path.parents):
        if not _may(folder, os.X_OK):
            remedy = f"grant search on folder {folder}{_group(folder)}"
            return f"{path} can't be reached by {user}: {remedy}"
    return f"{path} can't be read by {user}: grant read{_group(path)}"


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=True)


def _group(path: Path) -> str:
    """Return the shortest way to the right: its group where that has it, an ACL where not."""
    try:
        status = path.stat()
    except OSError:  # gone meanwhile: the next look says so
        return ""
    needed = stat.S_IXGRP if stat.S_ISDIR(status.st_mode) else stat.S_IRGRP
    if not status.st_mode & needed:
        right = "x" if needed == stat.S_IXGRP else "r"
        return f", e.g. setfacl -m u:{os.geteuid()}:{right} {path}"
    try:
        name = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        name = str(status.st_gid)
    return f", e.g. add the user to group {name}"
