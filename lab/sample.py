"""Cut a sample that can be shipped out of a run: `python -m lab.sample RUN_DIR samples/`.

The same run gives the same bytes. Events keep the order in which Suricata wrote them; what is
left out are packet contents, most stats, and most sources of the flood, which are all alike.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.label import Actor, Label, read_labels, write_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EVENTS, LABELS = "lab.json.gz", "lab.labels.csv"
LIMIT = 1_000_000
"""Bytes of the compressed events that a sample may have."""
_FLOOD_SOURCES = 200
_STATS = 2
_CONTENTS = ("packet", "packet_info", "payload", "payload_printable", "stream")
_ADDRESSES = ("src_ip", "dest_ip")

Event = dict[str, Any]


def read_events(path: Path) -> Iterator[tuple[str, Event]]:
    """Yield each line of an EVE file (plain or .gz), without its end, and the event that it is."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for line in file:
            yield line.decode().rstrip("\n"), json.loads(line)


def addresses(event: Event) -> list[str]:
    """Return the canonical text of the event's addresses: Suricata writes IPv6 in full."""
    return [str(ip_address(event[key])) for key in _ADDRESSES if key in event]


def cut(events: Iterable[tuple[str, Event]], actors: dict[str, Actor]) -> Iterator[str]:
    """Yield the lines that stay; raises LookupError on an address without a label."""
    dropped = _dropped_sources(actors)
    stats = 0
    for line, event in events:
        if event["event_type"] == "stats":
            stats += 1
            if stats <= _STATS:
                yield line
            continue
        seen = addresses(event)
        if unknown := [address for address in seen if address not in actors]:
            raise LookupError(f"no label for {', '.join(unknown)} in a {event['event_type']} event")
        if dropped.isdisjoint(seen):
            yield _without_contents(line, event)


def _dropped_sources(actors: dict[str, Actor]) -> set[str]:
    forged = [actor.address for actor in actors.values() if actor.label is Label.SPOOFED]
    return set(forged[_FLOOD_SOURCES:])


def _without_contents(line: str, event: Event) -> str:
    """Return the line as it was written, unless there is something to take out of it."""
    if not any(key in event for key in _CONTENTS):
        return line
    rest = {key: value for key, value in event.items() if key not in _CONTENTS}
    return json.dumps(rest, separators=(",", ":"))


def write_sample(run: Path, folder: Path) -> int:
    """Cut the run in `run` into `folder`; return the compressed size in bytes.

    Raises ValueError where the sample would be too large, and LookupError on an address
    without a label.
    """
    actors = read_labels(run / "labels.csv")
    lines = list(cut(read_events(run / "eve.json"), actors))
    content = gzip.compress("".join(f"{line}\n" for line in lines).encode(), 9, mtime=0)
    if len(content) >= LIMIT:
        raise ValueError(f"the sample has {len(content)} bytes: make a shorter run")
    present = {address for line in lines for address in addresses(json.loads(line))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EVENTS).write_bytes(content)
    write_labels(folder / LABELS, (a for a in actors.values() if a.address in present))
    return len(content)


def summary(folder: Path) -> str:
    """Return two Markdown tables: addresses by label and role, events by type."""
    actors = read_labels(folder / LABELS)
    cast = Counter((actor.label, actor.role) for actor in actors.values())
    events = Counter(event["event_type"] for _, event in read_events(folder / EVENTS))
    rows = ["| label | role | addresses |", "|---|---|---:|"]
    rows += [f"| {label} | {role} | {count} |" for (label, role), count in sorted(cast.items())]
    rows += ["", "| event type | events |", "|---|---:|"]
    rows += [f"| {kind} | {count} |" for kind, count in sorted(events.items())]
    return "\n".join(rows)


def main() -> None:
    """Cut the sample and print what is in it."""
    parser = argparse.ArgumentParser(prog="python -m lab.sample", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="has eve.json and labels.csv")
    parser.add_argument("folder", type=Path, metavar="DIR", help="gets the sample")
    given = parser.parse_args()
    size = write_sample(given.run, given.folder)
    print(f"{size} bytes\n\n{summary(given.folder)}")


if __name__ == "__main__":
    main()
