"""SshTail where there is no host: what it says, and how long it waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from ai_suricata.config.firewall import FirewallSettings
from ai_suricata.config.source import SourceSettings
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError
from ai_suricata.core.position import FilePosition
from ai_suricata.source.ssh.roster import MOST_PATHS
from ai_suricata.source.ssh.session import SessionLostError
from ai_suricata.source.ssh.tail import FIRST_PAUSE, LONGEST_PAUSE, SshTail

if TYPE_CHECKING:
    from ai_suricata.core.position import Position

PATH = "/var/log/suricata/suricata_em0/eve.json"
GLOB = "/var/log/suricata/*/eve.json"


def new_tail(*paths: str, position: Position | None = None) -> SshTail:
    """Return a tail that has not connected."""
    return SshTail(SourceSettings(paths=paths), FirewallSettings(host="192.0.2.1"), position)


@pytest.mark.parametrize(
    "error", [SessionLostError("lost"), FirewallUnreachableError("away")], ids=str
)
def test_pauses_grow_up_to_a_minute(error: Exception) -> None:
    """Each is up to twice as long as the one before, and never a constant: many may be waiting."""
    tail = new_tail(PATH)
    pauses = [tail._pause(error) for _ in range(2000)]
    for number, pause in enumerate(pauses[:7]):
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2**number)
        assert longest / 2 <= pause <= longest
    assert LONGEST_PAUSE / 2 <= min(pauses[7:])
    assert LONGEST_PAUSE >= max(pauses)
    assert len(set(pauses)) > 1000


def test_what_only_the_operator_can_change_is_tried_seldom() -> None:
    """A refused login every second would be an attack in the eyes of the firewall."""
    tail = new_tail(PATH)
    assert LONGEST_PAUSE / 2 <= tail._pause(FirewallRefusedError("no"))
    assert "no" == tail.waiting_for


def test_a_connection_that_serves_begins_the_pauses_anew() -> None:
    """The next outage has nothing to do with the last one."""
    tail = new_tail(PATH)
    for _ in range(10):
        tail._pause(SessionLostError("lost"))
    tail._recover()
    assert FIRST_PAUSE >= tail._pause(SessionLostError("lost"))


def test_the_position_is_that_of_the_earlier_run_until_it_has_been_looked_at() -> None:
    """Also of the files that a glob had found; what is of another source is not."""
    known: Position = {
        f"ssh://192.0.2.1{PATH}": (FilePosition(0, 0, "ab", 1024, 5), "since 7"),
        f"ssh://192.0.2.1{GLOB}": (),
    }
    others: Position = {PATH: (FilePosition(1, 2, "ab", 1024, 5),), f"ssh://192.0.2.2{PATH}": ()}
    assert known == new_tail(GLOB, position={**known, **others}).position
    assert {} == new_tail(GLOB, PATH).position
    assert {} == new_tail(PATH, position=others).position


def test_of_many_files_of_an_earlier_run_the_latest_are_followed() -> None:
    """The places of all stay in the position: what is written to later is read on from there."""
    keys = [f"ssh://192.0.2.1/var/log/suricata/{n}/eve.json" for n in range(MOST_PATHS + 5)]
    known: Position = {
        key: (FilePosition(0, 0, "ab", 1024, 5), f"since {(7 * n) % len(keys)}")
        for n, key in enumerate(keys)
    }
    known[f"ssh://192.0.2.1{GLOB}"] = ()
    tail = new_tail(GLOB, position=known)
    assert known == tail.position
    since = sorted(chain._past.since or 0 for chain in tail._chains.values())
    assert list(range(5, MOST_PATHS + 5)) == since


async def test_stopped_before_it_begins_it_ends_at_once() -> None:
    """No connection is made for it."""
    tail = new_tail(PATH)
    tail.stop()
    started = time.monotonic()
    assert [] == [batch async for batch in tail.batches()]
    assert 1 > time.monotonic() - started
