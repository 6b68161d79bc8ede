"""Cutting a day's eve.json: which fields stay, in which order, and who is labelled."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from lab.compose import cut
from lab.compose.listing import DataSet, list_set, read_sets
from lab.label import Actor, Label, Role, read_labels

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = Actor("2001:db8:2::5", Label.BENIGN, Role.WEB_CLIENT, "asyncio")
SERVER = Actor("192.0.2.10", Label.BENIGN, Role.SERVER, "asyncio")
IDLE = Actor("198.51.100.9", Label.BENIGN, Role.MISTAKEN, "asyncio", handshake=False)
ACTORS = {actor.address: actor for actor in (CLIENT, SERVER, IDLE)}
ENDS = {
    "src_ip": "2001:0db8:0002:0000:0000:0000:0000:0005",
    "src_port": 4000,
    "dest_ip": "192.0.2.10",
    "dest_port": 80,
    "proto": "TCP",
}


def line(kind: str, second: int, number: int = 7, **fields: object) -> bytes:
    """Return an EVE line."""
    stamp = f"2026-01-05T00:00:{second:02}.000000+0000"
    event = {"timestamp": stamp, "flow_id": number, "event_type": kind, **ENDS, **fields}
    return json.dumps(event).encode()


def flow(end: str, state: str = "closed") -> bytes:
    """Return a flow record, written at a moment of Suricata's own choosing."""
    counters = {"start": "2026-01-05T00:00:01.000000+0000", "end": end, "state": state}
    return line("flow", 59, flow={**counters, "reason": "shutdown", "age": 1})


def test_fields_that_nobody_reads_go() -> None:
    """Payloads, interfaces and the like are left out; what is counted stays."""
    http = {"hostname": "www.example.org", "url": "/", "status": 200, "xff": "x"}
    (event,) = cut.cut([line("http", 1, http=http, in_iface="eth0", tx_id=0, payload="QUJD")])

    expected: dict[str, Any] = {
        "timestamp": "2026-01-05T00:00:01.000000+0000",
        "flow_id": 1,
        "event_type": "http",
        **ENDS,
        "http": {"hostname": "www.example.org", "url": "/", "status": 200},
    }
    assert expected == event


def test_other_records_go() -> None:
    """Stats have no address, and files belong to nobody's behaviour."""
    stats = json.dumps({"event_type": "stats", "timestamp": "2026-01-05T00:00:00.000000+0000"})

    assert [] == cut.cut([stats.encode(), line("fileinfo", 1)])


@pytest.mark.parametrize(("state", "seconds"), [("new", 62), ("established", 602), ("closed", 12)])
def test_flow_is_written_when_its_time_is_up(state: str, seconds: int) -> None:
    """Not when Suricata, hurrying through a capture, came to note it."""
    (event,) = cut.cut([flow("2026-01-05T00:00:02.000000+0000", state)])

    expected = f"2026-01-05T00:{seconds // 60:02}:{seconds % 60:02}.000000+0000"
    assert expected == event["timestamp"]
    assert "reason" not in event["flow"]


def test_what_is_told_at_the_end_of_a_flow_has_its_moment() -> None:
    """A transaction that nobody ended is told with the flow, not when Suricata came by."""
    lines = [
        line("smtp", 1, smtp={"helo": "a"}),
        line("smtp", 40, smtp={"helo": "b"}),
        flow("2026-01-05T00:00:02.000000+0000"),
    ]
    told = [(event["event_type"], event["timestamp"][17:19]) for event in cut.cut(lines)]

    assert [("smtp", "01"), ("smtp", "12"), ("flow", "12")] == told


def test_order_and_numbers_do_not_depend_on_suricata() -> None:
    """Lines in any order, with any numbers, give the same bytes."""
    lines = [
        line("http", 3, 900, http={"url": "/b"}),
        line("tls", 1, 800, src_port=4001),
        line("http", 2, 900, http={"url": "/a"}),
    ]
    renumbered = [text.replace(b"900", b"12").replace(b"800", b"34") for text in lines]
    first, second = cut.cut(lines), cut.cut(renumbered[::-1])

    assert list(cut.encode(first)) == list(cut.encode(second))
    assert [1, 2, 2] == [event["flow_id"] for event in first]


def test_files_are_the_same_bytes_and_label_who_is_there(tmp_path: Path) -> None:
    """The archive has no time of its own, and absent actors have no row."""
    events = cut.cut([line("tls", 1)])
    sizes = [cut.write(events, ACTORS, tmp_path / name, "train-2") for name in ("a", "b")]
    first, second = ((tmp_path / n / "train-2.json.gz").read_bytes() for n in ("a", "b"))

    assert first == second
    assert bytes(4) == first[4:8]  # the time of RFC 1952
    assert [len(first)] * 2 == sizes
    assert "".join(cut.encode(events)) == gzip.decompress(first).decode()
    assert {CLIENT.address, SERVER.address} == set(
        read_labels(tmp_path / "a" / "train-2.labels.csv")
    )


def test_unlabelled_address_is_an_error(tmp_path: Path) -> None:
    """A set with a stranger that nobody knows would teach something wrong."""
    events = cut.cut([line("tls", 1, src_ip="203.0.113.1")])

    with pytest.raises(LookupError, match=r"203\.0\.113\.1"):
        cut.write(events, ACTORS, tmp_path, "train-2")


def test_list_of_sets_is_in_order_and_has_each_once(tmp_path: Path) -> None:
    """A set that is made anew takes the place of the old one."""
    test = DataSet("test-3", "test", 3, "192.0.2.0/24,2001:db8:1::/64", 86_400, "medusa wapiti")
    train = DataSet("train-2", "train", 2, "192.0.2.0/24", 86_400, "")
    old = DataSet("test-3", "test", 3, "203.0.113.0/24", 60, "")
    for one in (old, train, test):
        list_set(tmp_path, one)

    assert [test, train] == read_sets(tmp_path)
    assert [] == read_sets(tmp_path / "elsewhere")
