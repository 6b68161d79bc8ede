"""Where the control socket is, and how a long path to it is taken."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ai_suricata.config.load import load
from ai_suricata.control.address import short, socket_path


def test_the_socket_is_in_the_state_directory_unless_it_is_named() -> None:
    """CONTROL_SOCKET wins."""
    state = load(environment={"STATE_DIR": "/tmp/s"}).state  # noqa: S108 - nothing is made there
    assert Path("/tmp/s/control.sock") == socket_path(state)  # noqa: S108 - as above

    state = load(environment={"CONTROL_SOCKET": "/run/x.sock"}).state
    assert Path("/run/x.sock") == socket_path(state)


@pytest.mark.parametrize("length", [20, 200])
def test_what_was_bound_is_there_and_can_be_connected_to(tmp_path: Path, length: int) -> None:
    """Whatever the length of the path; and the descriptor of the folder is given back."""
    folder = tmp_path / ("x" * length)
    folder.mkdir()
    path = folder / "control.sock"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        with short(path) as at:
            server.bind(at)
        server.listen(1)
        assert path.is_socket()
        with short(path) as at:
            client.connect(at)
    assert not Path(at).exists() or at == str(path)


def test_a_folder_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    """Not as a path that is too long."""
    with pytest.raises(FileNotFoundError), short(tmp_path / ("x" * 200) / "control.sock"):
        pass
