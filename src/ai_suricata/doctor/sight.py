"""What the end of an eve.json says: is it alive, and what arrives in it."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ai_suricata.core.event import Rejection, decode
from ai_suricata.core.timestamp import MICROSECONDS, parse_timestamp
from ai_suricata.doctor.finding import duration, ok, size, warning, wrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ai_suricata.core.clock import Clock
    from ai_suricata.doctor.finding import Finding

MOST = 4 * 1024 * 1024
"""Bytes at the end of a file that are looked at."""
STALE = 600.0
"""Seconds: a living network has flows, and Suricata writes `stats` where it may, every 8 s."""
AHEAD = 5.0
"""Seconds that the last line may be ahead of this machine's clock."""

LOST = {
    "flow": (
        "port and network scans, brute force, denial of service and beaconing, and whether a "
        "handshake was completed, without which a block is lowered to a rate limit"
    ),
    "http": "requests and the errors that scanners of web servers get",
    "dns": "questions and failed look-ups",
    "tls": "TLS sessions",
    "ssh": "SSH sessions, which show the guessing of passwords",
}
"""What an event type shows of a source that its alerts don't."""


@dataclass
class Sight:
    """What the end of a file holds."""

    read: int = 0
    """Bytes that were looked at."""
    types: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    last: int | None = None
    """Timestamp of the last event, microseconds since the epoch."""

    def take(self, line: bytes) -> None:
        """Count one line."""
        event = decode(line)
        if isinstance(event, Rejection):
            self.rejected[event.value] += 1
            return
        self.types[event.event_type] += 1
        # A flow's own time is its start; here the question is when the record was written.
        with suppress(ValueError):
            self.last = parse_timestamp(event.timestamp)


def sight_of(content: bytes, *, is_whole: bool) -> Sight:
    """Count the lines of the end of a file; `is_whole`: it begins where the file does."""
    sight = Sight(len(content))
    # Of the first line the beginning may lie before, and the last one may still be written.
    for line in content.split(b"\n")[0 if is_whole else 1 : -1]:
        sight.take(line)
    return sight


def sight_of_lines(lines: Iterable[bytes]) -> Sight:
    """Count whole lines."""
    sight = Sight()
    for line in lines:
        sight.read += len(line)
        sight.take(line)
    return sight


def judge(part: str, sight: Sight, clock: Clock) -> Iterator[Finding]:
    """Yield what there is to say of it: `part` names the file."""
    if not sight.read:
        yield warning(part, "readable, and empty", "see whether Suricata runs and sees traffic")
        return
    yield from _age(part, sight, clock)
    yield from _lines(part, sight)
    if sight.types:
        yield _coverage(part, sight)


def _age(path: str, sight: Sight, clock: Clock) -> Iterator[Finding]:
    if sight.last is None:
        return
    age = clock.now() - sight.last / MICROSECONDS
    if age < -AHEAD:
        sentence = f"readable; its last line is {duration(-age)} ahead of this machine's clock"
        yield warning(path, sentence, "synchronise both clocks (NTP)")
    elif age > STALE:
        sentence = f"readable; its last line is {duration(age)} old"
        yield warning(path, sentence, "see whether Suricata runs, and writes here")
    else:
        yield ok(path, f"readable; its last line is {duration(max(0.0, age))} old")


def _lines(path: str, sight: Sight) -> Iterator[Finding]:
    if not sight.rejected:
        return
    counts = ", ".join(f"{number} {reason}" for reason, number in sorted(sight.rejected.items()))
    if not sight.types:
        sentence = f"none of its last lines is an event ({counts})"
        yield wrong(path, sentence, "name Suricata's eve.json in EVE_PATH, not another log")
        return
    total = sight.rejected.total() + sight.types.total()
    sentence = f"{sight.rejected.total()} of its last {total} lines are rejected ({counts})"
    remedy = "see that one program alone writes there; STATE_DIR/rejected.jsonl has samples"
    yield warning(path, sentence, remedy)


def _coverage(path: str, sight: Sight) -> Finding:
    """Say which event types arrive, and what is lost with those that don't."""
    counts = ", ".join(f"{kind} {number}" for kind, number in sight.types.most_common())
    sentence = f"its last {size(sight.read)} hold {counts}"
    absent = [kind for kind in LOST if kind not in sight.types]
    if "flow" not in absent:
        unseen = f"; none of {', '.join(absent)} (perhaps no such traffic)" if absent else ""
        return ok(path, sentence + unseen)
    arriving = "only alerts arrive" if set(sight.types) <= {"alert", "stats"} else "no flows arrive"
    lost = "; ".join(f"{kind}: {LOST[kind]}" for kind in absent)
    remedy = (
        f"switch on {', '.join(absent)} in suricata.yaml under outputs, eve-log, types (on pfSense "
        "in the interface's EVE output settings), then restart Suricata"
    )
    return warning(path, f"{arriving} ({sentence}); what alerts alone miss: {lost}", remedy)
