"""EVE records as typed events: what is asked of a line, and why a line can be rejected.

msgspec decodes only the fields named here and skips the rest of the line, which makes it faster
than parsing the whole of it. Fields follow Suricata's EVE JSON format
(docs.suricata.io, "Eve JSON Format", versions 6 to 8).

Essential are `event_type` and `timestamp`. Any other field that holds what it can't hold (another
type, a port of -1) counts as missing: a line that fails is read once more, field by field
(`core.salvage`), and only such a line pays for it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from ai_suricata.core.salvage import Salvager, mend
from ai_suricata.core.timestamp import parse_timestamp

_Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
# What is kept beyond its batch (as a name, in a cache, in the alert store) is bounded in length.
_Address = Annotated[str, msgspec.Meta(max_length=64)]
"""The longest is a mapped address with the name of an interface: 45 + 1 + 15 characters."""
_Word = Annotated[str, msgspec.Meta(max_length=64)]
_Sentence = Annotated[str, msgspec.Meta(max_length=1024)]


class Endpoint(msgspec.Struct, gc=False):
    """One side of an attack, where a rule's `target` keyword says which it is."""

    ip: _Address | None = None


class Alert(msgspec.Struct, gc=False):
    """The signature that matched. Severity 1 is the worst, 3 (or 4) the least."""

    signature_id: _Count = 0
    signature: _Sentence = ""
    category: _Sentence = ""
    severity: Annotated[int, msgspec.Meta(ge=0, le=255)] = 3
    source: Endpoint | None = None
    target: Endpoint | None = None


class Flow(msgspec.Struct, gc=False):
    """Counters of a connection. In an alert (Suricata 7 and later) it also says who opened it."""

    pkts_toserver: _Count = 0
    pkts_toclient: _Count = 0
    bytes_toserver: _Count = 0
    bytes_toclient: _Count = 0
    start: str | None = None
    end: str | None = None
    state: str | None = None
    src_ip: _Address | None = None
    dest_ip: _Address | None = None


class Tcp(msgspec.Struct, gc=False):
    """TCP flags seen in each direction, in hex, and the state of the stream engine."""

    tcp_flags_ts: str = ""
    tcp_flags_tc: str = ""
    state: str = ""


class Http(msgspec.Struct, gc=False):
    """A request and its answer."""

    http_method: str | None = None
    url: str | None = None
    status: _Count | None = None
    http_user_agent: str | None = None


class DnsQuery(msgspec.Struct, gc=False):
    """What is asked for."""

    rrname: str | None = None
    rrtype: str | None = None


class Dns(msgspec.Struct, gc=False):
    """A question or an answer; `type` is query, answer, request or response, by version."""

    type: str = ""
    rcode: str | None = None
    rrname: str | None = None
    rrtype: str | None = None
    queries: list[DnsQuery] | None = None
    """Suricata 8 writes what is asked for here, and not beside the type."""


class Ftp(msgspec.Struct, gc=False):
    """A command and its reply. Suricata 7 takes POP3 for FTP, and finds no codes in it."""

    command: _Word | None = None
    command_data: str | None = None
    completion_code: list[str] | None = None
    reply: list[str] | None = None
    dynamic_port: _Port | None = None
    """The data port that a reply announces."""


class Pop3Request(msgspec.Struct, gc=False):
    """A command."""

    command: _Word | None = None
    args: list[str] | None = None


class Pop3Response(msgspec.Struct, gc=False):
    """Whether the server said +OK (RFC 1939, 3)."""

    success: bool | None = None
    header: str | None = None
    """The rest of the first line."""


class Pop3(msgspec.Struct, gc=False):
    """A command and its reply, from Suricata 8 on."""

    request: Pop3Request | None = None
    response: Pop3Response | None = None


class Event(msgspec.Struct, gc=False):
    """Any EVE record. Whatever may be missing is None: stats have no address, ICMP has no port."""

    timestamp: str
    event_type: _Word
    src_ip: _Address | None = None
    src_port: _Port | None = None
    dest_ip: _Address | None = None
    dest_port: _Port | None = None
    proto: _Word | None = None
    app_proto: str | None = None
    direction: str | None = None
    alert: Alert | None = None
    flow: Flow | None = None
    tcp: Tcp | None = None
    http: Http | None = None
    dns: Dns | None = None
    ftp: Ftp | None = None
    pop3: Pop3 | None = None
    time: int = msgspec.field(default=-1, name="(time)")  # no field of a record by any name
    """Event time in microseconds: a flow's start, else the timestamp. Set by `decode`."""


class Rejection(StrEnum):
    """Why a line is no event."""

    NOT_JSON = "not_json"
    """Nor can it be made so without guessing; or it is nested too deeply to be read."""
    WRONG_SHAPE = "wrong_shape"
    """JSON, but not an object with texts as `event_type` and `timestamp`."""
    BAD_TIME = "bad_time"


_COUNTERS = frozenset(
    {"flow.pkts_toserver", "flow.pkts_toclient", "flow.bytes_toserver", "flow.bytes_toclient"}
)
_NO_TIME = "?"

_decoder = msgspec.json.Decoder(Event, strict=False)
_salvager = Salvager(Event)


def decode(line: bytes) -> Event | Rejection:
    """Turn one line into an event, or say why it is none. Nothing that a line holds raises."""
    try:
        event = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        salvaged = _salvage(line)
        if isinstance(salvaged, Rejection):
            return salvaged
        event = salvaged
    flow = event.flow
    try:
        # A flow's `timestamp` is when its record was written: a whole scan can carry the moment
        # of Suricata's shutdown. Only its own start says when it happened.
        own = flow.start if flow is not None and event.event_type == "flow" else None
        event.time = parse_timestamp(own or event.timestamp)
    except ValueError:
        return Rejection.BAD_TIME
    return event


def _salvage(line: bytes) -> Event | Rejection:
    """Return what can be read of a line that is not as it should be."""
    lost: set[str] = set()
    try:
        event = _salvager.read(mend(line), lost)
    except msgspec.ValidationError:
        return Rejection.WRONG_SHAPE
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Rejection.NOT_JSON
    if event.event_type == "flow" and event.flow is not None:
        if "flow.start" in lost:
            event.flow.start = _NO_TIME  # its timestamp would be the wrong one
        if lost & _COUNTERS:
            # As if nothing had come from its opener: then it counts for nobody. With 0 for a
            # counter that can't be read it would look like a scan, or like a guessed password.
            event.flow.pkts_toserver = 0
    return event
