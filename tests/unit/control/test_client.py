"""The operator's end of the control socket, against the daemon's and against others."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ai_suricata.control.client import ControlError, NoDaemonError, ask, listens
from ai_suricata.control.order import Allowances, Lift, Pause, Resume, Status
from ai_suricata.control.protocol import Failure
from ai_suricata.respond.order import Outcome, Standing
from ai_suricata.state.allowance import Allowance
from ai_suricata.state.hold import Hold
from fakes.control import Served, as_nobody, open_folder
from fakes.privilege import need_root
from fakes.response import ATTACKER, NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return where the socket is."""
    return tmp_path / "control.sock"


@contextmanager
def peer(place: Path, *parts: bytes) -> Iterator[None]:
    """Answer one connection with these bytes, and close it."""

    def answer() -> None:
        accepted, _ = listening.accept()
        with accepted:
            accepted.recv(65536)
            for part in parts:
                accepted.sendall(part)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        listening.settimeout(10)
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield
        thread.join(10)


def test_answers_come_as_what_they_are(place: Path, tmp_path: Path) -> None:
    """Each order's own."""
    with Served(tmp_path, place):
        assert Hold("maintenance", NOW) == ask(place, Pause("maintenance"), Hold)
        standing = ask(place, Status(), Standing)
        assert [] == ask(place, Allowances(), list[Allowance])
        assert Hold("maintenance", NOW) == ask(place, Resume(), Hold)
    assert Hold("maintenance", NOW) == standing.paused


def test_a_refusal_is_raised_with_its_kind(place: Path, tmp_path: Path) -> None:
    """And in the daemon's words."""
    with Served(tmp_path, place), pytest.raises(ControlError, match="in neither table") as caught:
        ask(place, Lift(ATTACKER), Outcome)
    assert Failure.REFUSED is caught.value.failure


def test_no_daemon_is_told_from_a_daemon_that_fails(place: Path) -> None:
    """Without a socket, and with one that a killed daemon has left."""
    assert not listens(place)
    with pytest.raises(NoDaemonError, match="no daemon listens"):
        ask(place, Status(), Standing)

    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
        left.listen()
        assert listens(place)
    assert not listens(place)
    with pytest.raises(NoDaemonError, match="no daemon listens"):
        ask(place, Status(), Standing)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((), "breaks off"),
        ((b'{"version": 1, "resul',), "breaks off"),
        ((b"hello\n",), "another version"),
        ((b'{"version": 1, "result": 7}\n',), "another version"),
        ((b'{"version": 2, "result": {}}\n',), "speaks version 2"),
        ((b'{"version": 1, "problem": {"failure": "busy", "text": "later"}}\n',), "later"),
    ],
)
def test_an_answer_that_is_none_is_named(place: Path, parts: tuple[bytes, ...], words: str) -> None:
    """Nothing else is raised."""
    with peer(place, *parts), pytest.raises(ControlError, match=words):
        ask(place, Status(), Standing)


def test_who_is_turned_away_at_once_hears_why(place: Path) -> None:
    """Before his order was sent, and after: it is said in both cases."""
    refusal = b'{"version": 1, "problem": {"failure": "busy", "text": "try again"}}\n'
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        listening.settimeout(10)

        def turn_away() -> None:
            for _ in range(50):
                accepted, _ = listening.accept()
                with accepted:
                    accepted.sendall(refusal)

        thread = threading.Thread(target=turn_away, daemon=True)
        thread.start()
        for _ in range(50):
            with pytest.raises(ControlError, match="try again"):
                ask(place, Status(), Standing)
        thread.join(10)


def test_an_answer_may_come_in_pieces(place: Path) -> None:
    """A line is over where it ends."""
    with peer(place, b'{"version": 1, "resu', b'lt": {"reason": "r", ', b'"since": 1}}', b"\n"):
        assert Hold("r", 1.0) == ask(place, Pause(), Hold)


def test_a_daemon_that_does_not_answer_is_waited_for_in_bounds(place: Path) -> None:
    """It may hang."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(place))
        silent.listen()
        with pytest.raises(ControlError, match="does not answer: timed out"):
            ask(place, Status(), Standing, seconds=0.1)


def test_a_socket_that_is_not_for_us_is_named() -> None:
    """With the remedy; that a daemon is there, everybody may know."""
    need_root("for another user")
    with open_folder() as folder, socket.socket(socket.AF_UNIX) as closed:
        place = folder / "control.sock"
        closed.bind(str(place))
        closed.listen()
        place.chmod(0o600)

        def try_it() -> bool:
            with pytest.raises(ControlError, match="run this as that user or root"):
                ask(place, Status(), Standing)
            return listens(place)

        assert as_nobody(try_it)
