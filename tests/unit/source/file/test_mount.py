"""Which file system a folder is on, as mountinfo tells it (proc_pid_mountinfo(5))."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ai_suricata.source.file import mount
from ai_suricata.source.file.mount import filesystem_of, is_remote

if TYPE_CHECKING:
    from pathlib import Path

MOUNTINFO = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/sda rw
30 27 0:40 / /log rw - nfs4 nas:/export rw
31 30 0:41 / /log/local rw - xfs /dev/sdb rw
32 27 0:42 / /with\040space rw - fuse.sshfs host:/ rw
33 27 0:43 / /twice rw - nfs nas:/a rw
34 27 0:44 / /twice rw - tmpfs tmpfs rw
a line of another kind
"""


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/", "ext4"),
        ("/logs", "ext4"),
        ("/log", "nfs4"),
        ("/log/suricata", "nfs4"),
        ("/log/local/suricata", "xfs"),
        ("/with space/x", "fuse.sshfs"),
        ("/twice/x", "tmpfs"),
    ],
)
def test_longest_mount_point_counts(
    folder: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole names are compared, blanks are escaped, and a later mount hides an earlier one."""
    (tmp_path / "mountinfo").write_text(MOUNTINFO)
    monkeypatch.setattr(mount, "MOUNTS", tmp_path / "mountinfo")
    assert expected == filesystem_of(folder, mount.mounts())


def test_own_machine() -> None:
    """The folder of all processes is on the file system of that name."""
    assert "proc" == filesystem_of("/proc/self", mount.mounts())


def test_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be told is not taken for remote."""
    monkeypatch.setattr(mount, "MOUNTS", tmp_path / "none")
    assert not is_remote(filesystem_of("/", mount.mounts()))


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse", "ceph"]
)
def test_remote(kind: str) -> None:
    """Others can write there without this kernel's knowledge."""
    assert is_remote(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", ""])
def test_local(kind: str) -> None:
    """All changes are made by this kernel."""
    assert not is_remote(kind)
