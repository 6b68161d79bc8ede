"""Recorded events made present: the same spacing in time, ending now.

Rates and windows of event time stay what they were, however fast the lines are then written.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import orjson

from ai_suricata.core.timestamp import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


def recorded(path: Path) -> list[dict[str, Any]]:
    """Return the events of a gzip'd eve.json as objects."""
    with gzip.open(path) as file:
        return [orjson.loads(line) for line in file]


def ending_at(events: Iterable[dict[str, Any]], moment: int, faster: float = 1.0) -> list[bytes]:
    """Return the events as lines, moved in time so that the latest is `moment` (microseconds).

    `faster`: by how much the time between events shrinks. Rates rise with it.
    """
    kept = list(events)
    latest = max((parse_timestamp(event["timestamp"]) for event in kept), default=moment)

    def move(text: str) -> str:
        then = moment - int((latest - parse_timestamp(text)) / faster)
        return format_timestamp(then).replace("Z", "+0000")  # Suricata's own spelling of UTC

    return [_moved(event, move) for event in kept]


def _moved(event: dict[str, Any], move: Callable[[str], str]) -> bytes:
    moved = {**event, "timestamp": move(event["timestamp"])}
    flow = event.get("flow")
    if isinstance(flow, dict):
        times = {name: move(flow[name]) for name in ("start", "end") if name in flow}
        moved["flow"] = {**flow, **times}
    return orjson.dumps(moved, option=orjson.OPT_APPEND_NEWLINE)
