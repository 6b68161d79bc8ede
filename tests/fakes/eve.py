"""EVE records as Suricata writes them, and an analysis to put them through.

Every function returns a record as a dict, so that a test can change whatever it is about; `line`
and `event` turn a record into what the code under test takes. Times are seconds after `START`.
"""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ai_suricata.analysis import Analysis
from ai_suricata.classify.ensemble import Classifier
from ai_suricata.classify.learning import Learning
from ai_suricata.config.load import load
from ai_suricata.core.event import Event, decode
from ai_suricata.features.extract import Extractor
from ai_suricata.features.table import Table
from ai_suricata.state.base import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ai_suricata.classify.model import Model
    from ai_suricata.config.settings import Settings
    from ai_suricata.core.verdict import Verdict

Record = dict[str, Any]

START = 1_700_000_010
"""Seconds since the epoch; a border of 30 seconds, where slots of event time begin."""
SERVER, WORKSTATION = "10.0.0.5", "10.0.0.20"
STRANGER, PEER = "203.0.113.9", "198.51.100.7"

# (flags of the client, flags of the server, state of the stream engine)
COMPLETE = ("1b", "1b", "closed")
REFUSED = ("02", "14", "closed")
SILENT = ("02", "00", "syn_sent")
HALF_OPEN = ("06", "12", "closed")
"""A SYN scan of an open port: the scanner answers SYN+ACK with RST."""
CONNECTED = ("16", "12", "closed")
"""SYN, ACK, RST from the client and nothing but SYN+ACK from the server: all of it forgeable."""

TROJAN = "A Network Trojan was detected"
WEB_ATTACK = "Web Application Attack"


def stamp(at: float) -> str:
    """Return a timestamp as Suricata writes it."""
    moment = datetime.fromtimestamp(START, UTC) + timedelta(seconds=at)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")


def _record(kind: str, src: str, dest: str, at: float, port: int | None, **rest: object) -> Record:
    sides = {"src_ip": src, "src_port": 40_000, "dest_ip": dest, "dest_port": port}
    record = {"timestamp": stamp(at), "event_type": kind, **sides, "proto": "TCP", **rest}
    return {name: value for name, value in record.items() if value is not None}


def flow(
    src: str = STRANGER,
    dest: str = SERVER,
    at: float = 0.0,
    port: int | None = 443,
    *,
    seconds: float = 1.0,
    tcp: tuple[str, str, str] | None = COMPLETE,
    sent: tuple[int, int] = (6, 900),
    received: tuple[int, int] = (6, 4000),
    written: float | None = None,
    **rest: object,
) -> Record:
    """Return a connection that began at `at`.

    Its record is written a minute after its end, or at `written`. `sent` and `received` are
    (packets, bytes).
    """
    end = at + seconds
    counters = {
        "pkts_toserver": sent[0],
        "bytes_toserver": sent[1],
        "pkts_toclient": received[0],
        "bytes_toclient": received[1],
        "start": stamp(at),
        "end": stamp(end),
        "state": "closed",
    }
    record = _record("flow", src, dest, at, port, flow=counters, **rest)
    record["timestamp"] = stamp(end + 60 if written is None else written)
    if tcp is not None:
        flags = dict(zip(("tcp_flags_ts", "tcp_flags_tc", "state"), tcp, strict=True))
        record["tcp"] = {"tcp_flags": "1f", **flags}
    return record


def refused(
    src: str = STRANGER, dest: str = SERVER, at: float = 0.0, port: int | None = 81
) -> Record:
    """Return a SYN that was answered with RST."""
    return flow(src, dest, at, port, tcp=REFUSED, sent=(1, 60), received=(1, 54), seconds=0)


def silent(
    src: str = STRANGER,
    dest: str = SERVER,
    at: float = 0.0,
    port: int | None = 81,
    proto: str = "TCP",
) -> Record:
    """Return a packet that nobody answered."""
    tcp = SILENT if proto == "TCP" else None
    return flow(src, dest, at, port, tcp=tcp, sent=(1, 60), received=(0, 0), seconds=0, proto=proto)


def login(src: str = STRANGER, dest: str = SERVER, at: float = 0.0) -> Record:
    """Return a short, completed session on the port of sshd: a password that was tried."""
    return flow(src, dest, at, 22, app_proto="ssh", sent=(14, 2200), received=(14, 2900))


def alert(
    src: str = STRANGER,
    dest: str = SERVER,
    at: float = 0.0,
    port: int | None = 80,
    *,
    category: str = WEB_ATTACK,
    sid: int = 2_000_001,
    severity: int = 1,
    signature: str = "ET WEB_SERVER test",
    opener: str | None = None,
    **rest: object,
) -> Record:
    """Return an alert; `opener` is `flow.src_ip`, as Suricata 7 writes it."""
    told = {
        "signature_id": sid,
        "signature": signature,
        "category": category,
        "severity": severity,
    }
    record = _record("alert", src, dest, at, port, alert=told, **rest)
    if opener is not None:
        record["flow"] = {"src_ip": opener, "pkts_toserver": 4, "pkts_toclient": 3}
    return record


def http(
    src: str = STRANGER,
    dest: str = SERVER,
    at: float = 0.0,
    url: str = "/",
    status: int | None = 200,
) -> Record:
    """Return a request and its answer."""
    request = {"http_method": "GET", "url": url, "status": status}
    return _record("http", src, dest, at, 80, http=request)


def dns(  # noqa: PLR0917 - the parts of a record
    src: str = WORKSTATION,
    dest: str = PEER,
    at: float = 0.0,
    kind: str = "query",
    rcode: str | None = None,
    ports: tuple[int, int] = (40_000, 53),
) -> Record:
    """Return a question (or answer, by `kind`) over UDP."""
    told = {"type": kind, "rcode": rcode}
    return _record("dns", src, dest, at, ports[1], proto="UDP", dns=told, src_port=ports[0])


def other(kind: str, src: str = STRANGER, dest: str = SERVER, at: float = 0.0) -> Record:
    """Return an event of a kind whose own fields do not matter: tls, ssh, anomaly, fileinfo."""
    return _record(kind, src, dest, at, 443)


def ftp(
    src: str = STRANGER, dest: str = SERVER, at: float = 0.0, code: str | None = "530"
) -> Record:
    """Return a reply of an FTP server; 530 refuses a password."""
    reply = {"completion_code": [code]} if code is not None else {}
    return _record("ftp", src, dest, at, 21, ftp=reply)


def guess(
    password: str, src: str = STRANGER, at: float = 0.0, command: str = "PASS", dest: str = SERVER
) -> Record:
    """Return what an FTP server answers with 530; of PASS, a refused password."""
    record = ftp(src, dest, at=at)
    record["ftp"] |= {"command": command, "command_data": password}
    return record


def pop3_as_ftp(command: str, given: str, reply: str, at: float = 0.0) -> Record:
    """Return a command of POP3 as Suricata 7 writes it, which takes it for FTP."""
    told = {"command": command, "command_data": given, "reply": [reply], "reply_received": "yes"}
    return _record("ftp", STRANGER, SERVER, at, 110, ftp=told)


def pop3(command: str, given: str, reply: str, at: float = 0.0) -> Record:
    """Return a command of POP3 as Suricata 8 writes it."""
    word, _, header = reply.partition(" ")
    answer = {"success": word == "+OK", "status": word.lstrip("+-"), "header": header}
    asked = {"command": command, "args": given.split()}
    return _record("pop3", STRANGER, SERVER, at, 110, pop3={"request": asked, "response": answer})


def line(record: Record) -> bytes:
    """Return the record as a line of eve.json."""
    return json.dumps(record).encode()


def event(record: Record) -> Event:
    """Return the record as an event; it must be one."""
    decoded = decode(line(record))
    assert isinstance(decoded, Event), decoded
    return decoded


def settings(**variables: str) -> Settings:
    """Return settings by variable, untouched by the environment of the tests."""
    return load(None, variables)


def analysis(
    chosen: Settings | None = None,
    *,
    capacity: int | None = None,
    model: Model | None = None,
    learn: bool = False,
) -> Analysis:
    """Return a fresh analysis; `capacity` may be less than what an operator is allowed."""
    chosen = chosen or settings()
    extractor = Extractor(chosen.features)
    if capacity is not None:
        extractor.table = Table(capacity)
    learning = Learning(chosen.classify.training_events) if learn else None
    return Analysis(extractor, Classifier(chosen.classify, model), learning)


def verdicts(records: Iterable[Record], **names: str) -> list[Verdict]:
    """Return all verdicts of the records, of patterns alone, in one batch."""
    return analysis(settings(**names)).lines([line(record) for record in records]).verdicts


def worst(records: Iterable[Record], **names: str) -> Verdict:
    """Return the verdict with the highest score."""
    return max(verdicts(records, **names), key=lambda verdict: verdict.score)


_ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("AI_SURICATA_DATA", _ROOT.parent / "shared" / "data"))
"""Recorded events, which the repository does not hold."""
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no recorded events at {DATA}: set AI_SURICATA_DATA"
)


def recorded(name: str) -> Iterator[bytes]:
    """Yield the lines of a file below `DATA`."""
    with gzip.open(DATA / name) as file:
        yield from file


def snapshot_of(extractor: Extractor) -> Snapshot:
    """Return all that an extractor knows, as a store gives it back."""
    changes = extractor.changes({}, since=0)
    return Snapshot(changes.position, changes.clock, changes.rows, changes.notes)
