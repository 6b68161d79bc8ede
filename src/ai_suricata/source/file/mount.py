"""Which file system a folder is on: whether the kernel sees every change to it."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
"""The mounts that this process sees (proc_pid_mountinfo(5))."""

_NETWORK = ["afs", "beegfs", "cifs", "coda", "davfs", "nfs", "nfs4", "smb2", "smb3", "smbfs"]
_CLUSTER = ["ceph", "gfs2", "glusterfs", "gpfs", "lustre", "ocfs2", "orangefs"]
_HOST = ["9p", "prl_fs", "vboxsf", "virtiofs"]
_REMOTE = frozenset(_NETWORK + _CLUSTER + _HOST)
_ESCAPED = re.compile(r"\\([0-7]{3})")


Mount = tuple[str, str]
"""Where something is mounted, and the type of its file system."""


def mounts() -> list[Mount]:
    """Return what is mounted, in the order of mounting; nothing where that can't be told."""
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:  # no /proc
        return []
    return [_parse(line) for line in lines]


def filesystem_of(folder: str, mounted: list[Mount]) -> str:
    """Return the type of the file system of an existing folder, empty where it can't be told."""
    real = os.path.realpath(folder)
    found, longest = "", -1
    for place, kind in mounted:
        # Of two mounts on one place the later one hides the other.
        if len(place) >= longest and _is_below(real, place):
            found, longest = kind, len(place)
    return found


def is_remote(kind: str) -> bool:
    """Whether files of such a file system can change without this kernel: polling is needed.

    Network file systems, those shared by machines or with a host, and those in user space.
    inotify(7) reports "no events for files on a remote file system" that others change.
    """
    return kind in _REMOTE or kind.startswith("fuse")


def _parse(mount: str) -> Mount:
    """Return where a line of mountinfo says that something is mounted, and its type."""
    before, _, behind = mount.partition(" - ")
    fields = before.split(" ")
    place = fields[4] if len(fields) > 4 else ""  # noqa: PLR2004 - the fifth field: mount point
    return _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), place), behind.partition(" ")[0]


def _is_below(path: str, folder: str) -> bool:
    return bool(folder) and (path == folder or path.startswith(folder.rstrip("/") + "/"))
