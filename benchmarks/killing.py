"""The moments at which the daemon is killed: each is brought about, seen to be there, and used."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from benchmarks.feeder import Feeder

    from fakes.process import DaemonProcess
    from fakes.redis_proxy import Proxy
    from fakes.sshd import PfStandIn

PATIENCE = 60.0
"""Seconds within which each moment must come."""
_NOTICE = 0.1  # seconds: the daemon looks at the path every 0.05
_HALF = 0.5
_JUST = 1.0  # seconds: the rest of RECONCILE_INTERVAL is for one attacker to be seen and sent
_LITTLE = 100_000  # bytes: a third of a second of the feed
_PROOF = ("test", "info")
"""Questions that are part of each proof, whose end the ledger waits for; the connections are ended
beside it."""


class MissedError(Exception):
    """A moment did not come: what was to be proved has not been."""


@dataclass(frozen=True)
class Scene:
    """All that plays a part."""

    daemon: DaemonProcess
    pf: PfStandIn
    feeder: Feeder
    proxy: Proxy | None
    """Between the daemon and Redis; None where there is no Redis."""
    random: random.Random

    def state_of(self, address: str) -> str:
        """Return the state of an address's block in the stored ledger; empty where it has none."""
        return self.daemon.ledger("pfsense").get((address, "block"), "")

    def are_blocked(self) -> bool:
        """Whether the stored ledger has the block of every attacker as enforced."""
        ledger = self.daemon.ledger("pfsense")
        attackers = self.feeder.expected.attackers
        return all(ledger.get((address, "block")) == "enforced" for address in attackers)

    def is_reconciled(self) -> bool:
        """Whether the daemon has just held the tables against the ledger: that of limits is last.

        It has none of our entries here, so nothing more is asked about it.
        """
        look = f"-t {LIMIT_TABLE} -T show"
        looks = [one.time for one in self.pf.commands() if look in one.command]
        time.sleep(_NOTICE)  # the commands are thousands in the end
        return bool(looks) and time.time() - looks[-1] < _JUST

    def is_up_to_date(self) -> bool:
        """Whether the daemon has read nearly all: who attacks now is seen at once."""
        return 0 <= self.daemon.metric("suricata_ai_source_lag_bytes") < _LITTLE

    def is_running(self) -> bool:
        """Whether the daemon has been started and not ended since."""
        return self.daemon.process is not None and self.daemon.process.poll() is None


def reach(reached: Callable[[], object], what: str, limit: float = PATIENCE) -> None:
    """Wait for it; raises `MissedError` after `limit` seconds."""
    until = time.monotonic() + limit
    while not reached():
        if time.monotonic() > until:
            raise MissedError(f"not within {limit:g} s: {what}")
        time.sleep(0.005)


@contextmanager
def quiet(scene: Scene) -> Iterator[None]:
    """Have the firewall asked about nobody but who attacks now.

    A proof that hangs makes the daemon give up the firewall for the round, and each further round
    begins with the proof of what was enforced before: whoever has not been sent by then never is.
    So no other attacker may wait for a proof, and no reconciling be due before who attacks now is
    sent: behind all that was fed during a start he would be seen seconds later.
    """
    with scene.feeder.held_back():
        reach(scene.are_blocked, "all attackers so far are blocked")
        reach(
            lambda: scene.is_reconciled() and scene.is_up_to_date(),
            "a reconciling when nearly all is read",
        )
        yield


def wish_stored(scene: Scene) -> None:
    """Kill when the wish is in the ledger and the firewall has not carried out the command."""
    scene.pf.fault("hang", verb="add", times=-1)
    attacker = scene.feeder.attack()
    reach(lambda: scene.state_of(attacker) == "requested", f"the wish to block {attacker}")
    scene.daemon.kill()
    if attacker in scene.pf.table(BLOCK_TABLE):
        raise MissedError(f"the command for {attacker} was carried out in spite of its fault")
    scene.pf.clear_faults()


def command_sent(scene: Scene) -> None:
    """Kill when the firewall has carried out the command and the ledger does not know it."""
    with quiet(scene):
        scene.pf.fault("hang", verb=scene.random.choice(_PROOF), times=-1)
        attacker = scene.feeder.attack()
        reach(lambda: attacker in scene.pf.table(BLOCK_TABLE), f"{attacker} in the table")
        scene.daemon.kill()
    if scene.state_of(attacker) != "requested":
        raise MissedError(f"the block of {attacker} is {scene.state_of(attacker)}, not requested")
    scene.pf.clear_faults()


def reply_lost(scene: Scene) -> None:
    """Kill when Redis has carried out an EXEC whose reply never arrives."""
    proxy = scene.proxy
    assert proxy is not None  # noqa: S101 - the point is of the Redis run alone
    before = proxy.lost
    proxy.lose_reply_to(b"EXEC")
    reach(lambda: proxy.lost > before, "an EXEC sent to Redis")
    scene.daemon.kill()


def before_rename(scene: Scene) -> None:
    """Kill, and rotate before the daemon is back: once, or twice, so that it never saw one file."""
    scene.daemon.kill()
    scene.feeder.rotate()
    if scene.random.random() < _HALF:
        seen = scene.feeder.written
        reach(lambda: scene.feeder.written > seen, "something written into the new file")
        scene.feeder.rotate()


def after_rename(scene: Scene) -> None:
    """Kill when the file has just been rotated: at once, or when that may have been noticed."""
    scene.feeder.rotate()
    time.sleep(scene.random.choice((0.0, scene.random.uniform(0, _NOTICE))))
    scene.daemon.kill()


def mid_rotation(scene: Scene) -> None:
    """Kill when the file is renamed and the new one not there; it comes before or after the start.

    What is written meanwhile still goes into the renamed file.
    """
    scene.feeder.rename()
    time.sleep(scene.random.uniform(0, _NOTICE))
    scene.daemon.kill()
    if scene.random.random() < _HALF:
        scene.daemon.start()
        reach(scene.daemon.is_ready, "ready without the file")
    scene.feeder.reopen()


def at_random(scene: Scene) -> None:
    """Kill now, whatever it is doing; it may not even have finished its start."""
    scene.daemon.kill()


AT_RANDOM = "at a random moment"
NAMED: dict[str, Callable[[Scene], None]] = {
    "wish stored, command not carried out": wish_stored,
    "command carried out, not confirmed": command_sent,
    "just before a rename": before_rename,
    "just after a rename": after_rename,
    "in mid-rotation": mid_rotation,
}
ON_REDIS: dict[str, Callable[[Scene], None]] = {"EXEC sent, reply not read": reply_lost}


def plan(kills: int, named: list[str], chance: random.Random) -> list[str]:
    """Return the point of each kill: half of them named, in turn, in an order of chance."""
    points = [named[number % len(named)] for number in range(kills // 2)]
    points += [AT_RANDOM] * (kills - len(points))
    chance.shuffle(points)
    return points
