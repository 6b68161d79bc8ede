"""What the doctor says of a socket that Suricata is to connect to."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ai_suricata.config.load import load
from ai_suricata.doctor import arrival
from ai_suricata.doctor.finding import Status

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.doctor.finding import Finding


def examined(path: Path, kind: str = "stream") -> Finding:
    """Return the one finding on a socket at the path."""
    variables = {"EVE_SOURCE": "socket", "EVE_SOCKET": str(path), "EVE_SOCKET_TYPE": kind}
    [found] = arrival.over_socket(load(environment=variables).source)
    return found


def test_a_socket_that_can_be_made_comes_with_what_suricata_needs(tmp_path: Path) -> None:
    """Its filetype and its filename, for suricata.yaml."""
    path = tmp_path / "eve.sock"

    assert Status.OK == examined(path).status
    assert f"`filetype: unix_stream` and `filename: {path}`" in examined(path).sentence
    assert "`filetype: unix_dgram`" in examined(path, "datagram").sentence


def test_a_missing_folder_is_named_with_how_to_make_it(tmp_path: Path) -> None:
    """The unit's RuntimeDirectory makes it at each boot."""
    found = examined(tmp_path / "run" / "eve.sock")

    assert Status.WRONG == found.status
    assert str(tmp_path / "run") in found.remedy
    assert "RuntimeDirectory=" in found.remedy


def test_another_kind_of_file_is_in_the_way(tmp_path: Path) -> None:
    """It is never deleted, so somebody has to move it."""
    path = tmp_path / "eve.sock"
    path.write_text("a log that somebody keeps here")

    assert Status.WRONG == examined(path).status
    assert "move it away" in examined(path).remedy


def test_a_socket_that_is_there_is_the_daemons_own_or_taken_over(tmp_path: Path) -> None:
    """No fault: the doctor is often asked while the daemon runs."""
    path = tmp_path / "eve.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))

        assert Status.OK == examined(path).status
