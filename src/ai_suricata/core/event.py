"""EVE records as typed events: what is asked of a line, and why a line can be rejected.

msgspec decodes only the fields named here and skips the rest of the line, which makes it faster
than parsing the whole of it. Fields follow Suricata's EVE JSON format
(docs.suricata.io, "Eve JSON Format", versions 6 to 8).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ai_suricata.core.timestamp import parse_timestamp


class Endpoint(msgspec.Struct, gc=False):
    """One side of an attack, where a rule's `target` keyword says which it is."""

    ip: str | None = None


class Alert(msgspec.Struct, gc=False):
    """The signature that matched. Severity 1 is the worst, 3 (or 4) the least."""

    signature_id: int = 0
    signature: str = ""
    category: str = ""
    severity: int = 3
    source: Endpoint | None = None
    target: Endpoint | None = None


class Flow(msgspec.Struct, gc=False):
    """Counters of a connection. In an alert (Suricata 7 and later) it also says who opened it."""

    pkts_toserver: int = 0
    pkts_toclient: int = 0
    bytes_toserver: int = 0
    bytes_toclient: int = 0
    start: str | None = None
    end: str | None = None
    state: str | None = None
    src_ip: str | None = None
    dest_ip: str | None = None


class Tcp(msgspec.Struct, gc=False):
    """TCP flags seen in each direction, in hex, and the state of the stream engine."""

    tcp_flags_ts: str = ""
    tcp_flags_tc: str = ""
    state: str = ""


class Http(msgspec.Struct, gc=False):
    """A request and its answer."""

    http_method: str | None = None
    url: str | None = None
    status: int | None = None


class Dns(msgspec.Struct, gc=False):
    """A question or an answer; `type` is query, answer, request or response, by version."""

    type: str = ""
    rcode: str | None = None


class Ftp(msgspec.Struct, gc=False):
    """A command and its reply."""

    completion_code: list[str] | None = None


class Event(msgspec.Struct, gc=False):
    """Any EVE record. Whatever may be missing is None: stats have no address, ICMP has no port."""

    timestamp: str
    event_type: str
    src_ip: str | None = None
    src_port: int | None = None
    dest_ip: str | None = None
    dest_port: int | None = None
    proto: str | None = None
    app_proto: str | None = None
    direction: str | None = None
    alert: Alert | None = None
    flow: Flow | None = None
    tcp: Tcp | None = None
    http: Http | None = None
    dns: Dns | None = None
    ftp: Ftp | None = None
    time: int = msgspec.field(default=-1, name="(time)")  # no field of a record by any name
    """Event time in microseconds: a flow's start, else the timestamp. Set by `decode`."""


class Rejection(StrEnum):
    """Why a line is no event."""

    NOT_JSON = "not_json"
    WRONG_SHAPE = "wrong_shape"
    """JSON, but not an object with `event_type` and `timestamp`, or a field of another type."""
    BAD_TIME = "bad_time"


_decoder = msgspec.json.Decoder(Event, strict=False)


def decode(line: bytes) -> Event | Rejection:
    """Turn one line into an event, or say why it is none. Nothing that a line holds raises."""
    try:
        event = _decoder.decode(line)
    except msgspec.ValidationError:
        return Rejection.WRONG_SHAPE
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Rejection.NOT_JSON
    flow = event.flow
    try:
        # A flow's `timestamp` is when its record was written: a whole scan can carry the moment
        # of Suricata's shutdown. Only its own start says when it happened.
        own = flow.start if flow is not None and event.event_type == "flow" else None
        event.time = parse_timestamp(own or event.timestamp)
    except ValueError:
        return Rejection.BAD_TIME
    return event
