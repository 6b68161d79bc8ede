"""The operator's run-time list, as a file."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.errors import StateError
from ai_suricata.state.allowance import Allowance, AllowanceFile

if TYPE_CHECKING:
    from pathlib import Path

LIST = [Allowance("198.51.100.0/28", "the branch office", 1.0), Allowance("2001:db8::/48", "", 2.0)]


async def test_the_list_is_kept_in_order(tmp_path: Path) -> None:
    """For its owner alone; without a file it is empty."""
    file = AllowanceFile(tmp_path / "allow.json")
    assert [] == await file.load()

    await file.save(LIST)
    assert LIST == await AllowanceFile(file.path).load()
    assert ip_network("198.51.100.0/28") == LIST[0].parsed
    assert 0o600 == file.path.stat().st_mode & 0o777

    await file.save(LIST[1:])
    assert LIST[1:] == file.read()


@pytest.mark.parametrize(
    "content",
    [b"", b"[", b"{}", b'[{"network": "nowhere", "comment": "", "since": 0}]', b"\xff"],
)
async def test_a_list_that_can_not_be_read_stops_the_start(tmp_path: Path, content: bytes) -> None:
    """Whom the operator protects must be known before anything is blocked."""
    path = tmp_path / "allow.json"
    path.write_bytes(content)
    with pytest.raises(StateError, match=r"allow\.json can't be read .*move it away"):
        await AllowanceFile(path).load()


async def test_a_file_out_of_reach_is_named(tmp_path: Path) -> None:
    """With the remedy."""
    with pytest.raises(StateError, match="can't be read: Is a directory; grant the right"):
        await AllowanceFile(tmp_path).load()
