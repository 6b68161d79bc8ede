"""What of a day's eve.json is kept: the fields that are counted, and those that people look at.

Suricata reads a capture as fast as it can. When it notes that a flow has ended, and by which
number it calls it, then depends on the machine; on a live link a flow is over once its time-out
has passed. So a flow's record is given that moment, and so is what Suricata tells only then (a
transaction that nobody ended); flows are numbered in order, and the lines are sorted: the same
lines, however Suricata came by them, give the same bytes.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from lab.compose.suricata import TIMEOUTS
from lab.label import write_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from lab.label import Actor

Event = dict[str, Any]

_TOP = ("src_ip", "src_port", "dest_ip", "dest_port", "proto", "app_proto", "direction")
_ICMP = ("icmp_type", "icmp_code")
_COUNTS = ("pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient")
_FIELDS: dict[str, dict[str, tuple[str, ...]]] = {
    "alert": {
        "alert": ("signature_id", "rev", "signature", "category", "severity", "source", "target"),
        "flow": (*_COUNTS, "start", "src_ip", "dest_ip", "src_port", "dest_port"),
    },
    "flow": {
        "flow": (*_COUNTS, "start", "end", "state"),
        "tcp": ("tcp_flags_ts", "tcp_flags_tc", "state"),
    },
    "http": {
        "http": (
            "hostname", "url", "http_user_agent",
            "http_method", "protocol", "status", "length",
        )
    },
    "dns": {"dns": ("type", "rrname", "rrtype", "rcode")},
    "tls": {"tls": ("sni", "version", "subject")},
    "ssh": {"ssh": ("client", "server")},
    "ftp": {
        "ftp": (
            "command", "command_data", "completion_code",
            "reply", "dynamic_port", "reply_received",
        )
    },
    "smtp": {"smtp": ("helo", "mail_from", "rcpt_to")},
    "rdp": {"rdp": ("tx_id", "event_type", "cookie", "protocol", "reason")},
    "anomaly": {"anomaly": ("type", "event", "layer", "app_proto")},
}  # fmt: skip
"""By event type: the objects that stay, and which of their fields."""
_LEVEL = 9
_SHORT_SSH = ("proto_version", "software_version")
_LONGEST = 512
"""Characters of a text that stays."""


def cut(lines: Iterable[bytes]) -> list[Event]:
    """Return the events of an EVE file, cut down, in order of their times and numbered anew."""
    kept = [event for line in lines if (event := _cut(json.loads(line))) is not None]
    _date_late(kept)
    ordered = sorted(enumerate(kept), key=lambda item: (*_order(item[1]), item[0]))
    numbers: dict[int, int] = {}
    events = []
    for _, event in ordered:
        known = event.pop("flow_id", None)
        if known is not None:
            number = numbers.setdefault(known, len(numbers) + 1)
            event = {"timestamp": event["timestamp"], "flow_id": number} | event  # noqa: PLW2901 - it is this one that is kept
        events.append(event)
    return events


def _date_late(events: list[Event]) -> None:
    """Date what was told after a flow's last packet to the moment of the flow's own record."""
    over = {
        event["flow_id"]: (event["flow"]["end"], event["timestamp"])
        for event in events
        if event["event_type"] == "flow" and "flow_id" in event
    }
    for event in events:
        end, told = over.get(event.get("flow_id"), ("~", ""))
        if event["timestamp"] > end:
            event["timestamp"] = told


def _order(event: Event) -> tuple[str, str, int, str, int]:
    """Return what lines are sorted by; those of one connection and moment stay as they were."""
    ends = sorted(
        (str(event[f"{side}_ip"]), int(event.get(f"{side}_port", 0))) for side in ("src", "dest")
    )
    return (event["timestamp"], *ends[0], *ends[1])


def _cut(event: Event) -> Event | None:
    """Return what stays of an event; None where nothing does."""
    fields = _FIELDS.get(event["event_type"])
    if fields is None or "src_ip" not in event:
        return None
    kind = event["event_type"]
    kept = {"timestamp": _moment(event), "flow_id": event.get("flow_id"), "event_type": kind}
    names = (*_TOP, *_ICMP) if str(event.get("proto")).endswith("ICMP") else _TOP
    kept.update((name, event[name]) for name in names if name in event)
    for name, inner in fields.items():
        if isinstance(event.get(name), dict):
            kept[name] = {key: _short(event[name][key]) for key in inner if key in event[name]}
            if "reply" in kept[name]:
                kept[name]["reply"] = [_short(line) for line in kept[name]["reply"][:1]]
    return {name: value for name, value in kept.items() if value is not None}


def _moment(event: Event) -> str:
    """Return when the record is written: of a flow, when its time-out has passed."""
    if event["event_type"] != "flow":
        return str(event["timestamp"])
    flow = event["flow"]
    protocol = "ICMP" if "ICMP" in event["proto"] else event["proto"]
    limits = TIMEOUTS.get(protocol, TIMEOUTS["ICMP"])
    over = parse(flow["end"]) + timedelta(seconds=limits.get(flow["state"], limits["established"]))
    return over.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")


def parse(stamp: str) -> datetime:
    """Return the moment of a timestamp of Suricata's, in UTC."""
    return datetime.fromisoformat(stamp).astimezone(UTC)


def _short(value: object) -> object:
    """Return a value without what is long: texts are cut, banners keep their two names."""
    if isinstance(value, str):
        return value[:_LONGEST]
    if isinstance(value, dict) and "software_version" in value:
        return {key: value[key] for key in _SHORT_SSH if key in value}
    return value


def addresses(events: Iterable[Event]) -> set[str]:
    """Return the canonical text of every address of the events: Suricata writes IPv6 in full."""
    spelled = {event[key] for event in events for key in ("src_ip", "dest_ip")}
    return {str(ip_address(text)) for text in spelled}


def encode(events: Iterable[Event]) -> Iterator[str]:
    """Yield the events as lines of EVE."""
    for event in events:
        yield json.dumps(event, separators=(",", ":"), ensure_ascii=False) + "\n"


def write(events: list[Event], actors: Mapping[str, Actor], folder: Path, name: str) -> int:
    """Write NAME.json.gz and NAME.labels.csv; return the bytes of the first.

    Raises LookupError where an address has no label.
    """
    present = addresses(events)
    if unknown := sorted(present - set(actors)):
        raise LookupError(f"no label for {', '.join(unknown[:5])}")
    content = gzip.compress("".join(encode(events)).encode(), _LEVEL, mtime=0)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json.gz").write_bytes(content)
    write_labels(
        folder / f"{name}.labels.csv", (a for a in actors.values() if a.address in present)
    )
    return len(content)
