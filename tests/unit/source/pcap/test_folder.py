"""What a path stands for: a capture, a folder of captures, eve files, or nothing that is read."""

from __future__ import annotations

import gzip
import os
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab.capture import Connection, http, write_pcap, write_pcapng

from ai_suricata.source.pcap.capture import InputError, Kind, first_packet, kind_of
from ai_suricata.source.pcap.folder import Capture, EveFiles, look_at
from fakes import eve

if TYPE_CHECKING:
    from pathlib import Path

START = 1_700_000_010.25
PACKETS = http("192.0.2.1", 1024, "10.0.0.1", "/", START).packets


def capture(path: Path, at: float = START, changed: float | None = None) -> Path:
    """Write a capture that begins at a time, last changed at the same time or another."""
    write_pcap(path, Connection("192.0.2.1", 1024, "10.0.0.1", 80, at).refuse().packets)
    os.utime(path, (0, at if changed is None else changed))
    return path


def eve_file(path: Path, at: float = 0) -> Path:
    """Write an eve file, gzip'd where its name says so, that begins at a time."""
    text = eve.line(eve.flow(at=at)) + b"\n"
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


# -- one file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.pcap", "a.pcapng", "a.cap", "a.log", "eve.json", "a", "a.gz"])
def test_a_capture_is_known_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    """Whatever it is called, in every format and byte order."""
    for write in (write_pcap, write_pcapng):
        for order in "<>":
            path = write(tmp_path / name, PACKETS, order=order)
            assert Capture(path, (path,)) == look_at(path)
            assert START == first_packet(path)


@pytest.mark.parametrize(
    ("magic", "unit"),
    [(0xA1B2C3D4, 1e-6), (0xA1B23C4D, 1e-9), (0xA1B2CD34, 1e-6)],
    ids=["microseconds", "nanoseconds", "Kuznetzov"],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_time_of_the_first_packet_is_read_in_its_unit(
    tmp_path: Path, magic: int, unit: float, order: str
) -> None:
    """Each variant of pcap says it by its magic number."""
    header = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    packet = struct.pack(f"{order}IIII", 100, round(0.5 / unit), 4, 4) + b"abcd"
    (tmp_path / "a").write_bytes(header + packet)

    assert (Kind.CAPTURE, 100.5) == (kind_of(tmp_path / "a"), first_packet(tmp_path / "a"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (b"", 4_294_967_301e-6),
        (struct.pack("<HHBxxx", 9, 1, 3), 4_294_967_301e-3),
        (
            struct.pack("<HH8s", 2, 5, b"eth01") + struct.pack("<HHBxxx", 9, 1, 0x8A),
            4194304.0048828,
        ),
        (struct.pack("<HH", 9, 0), 4_294_967_301e-6),
        (struct.pack("<HHB", 9, 1, 9)[:-1], 4_294_967_301e-6),
    ],
    ids=["none", "milliseconds", "1024ths, behind a name", "empty", "cut off"],
)
def test_a_pcapng_interface_says_the_unit_of_time(
    tmp_path: Path, options: bytes, expected: float
) -> None:
    """`if_tsresol`, a power of ten or of two; microseconds without it."""
    blocks = b"".join(
        struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
        for kind, body in (
            (0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
            (5, b"statistics"),
            (1, struct.pack("<HHI", 1, 0, 65535) + options),
            (6, struct.pack("<IIIII", 0, 1, 5, 0, 0)),
        )
    )
    (tmp_path / "a").write_bytes(blocks)

    found = first_packet(tmp_path / "a")
    assert found == pytest.approx(expected, abs=1e-6)


def test_eve_files_are_what_is_no_capture(tmp_path: Path) -> None:
    """Plain, gzip'd, or without an event: what is wrong in them is counted when they are read."""
    (tmp_path / "text").write_text("hello\n")
    (tmp_path / "empty.json").touch()
    for path in (
        eve_file(tmp_path / "eve.json"),
        eve_file(tmp_path / "eve.json.1.gz"),
        tmp_path / "text",
        tmp_path / "empty.json",
    ):
        assert EveFiles((path,)) == look_at(path)


def test_a_file_that_can_not_be_replayed_is_refused_with_its_name(tmp_path: Path) -> None:
    """Before Suricata is started, with the remedy where there is one."""
    content = write_pcap(tmp_path / "a.pcap", PACKETS).read_bytes()
    for name, text, sentence in (
        (
            "b.pcap.gz",
            gzip.compress(content),
            r"can't read: decompress it first \(gunzip -k .*gz\)",
        ),
        ("b.gz", gzip.compress(content), "is a compressed capture"),
        ("b.pcap.zst", b"\x28\xb5\x2f\xfd...", "can't read: decompress it first$"),
        ("b.pcap.gz", gzip.compress(content)[:30], "is a compressed capture"),
        ("b.pcap", b"hello", "does not begin as a capture does"),
        ("b.PCAPNG", bytes(1000), "does not begin as a capture does"),
        ("c.pcap", b"", "is a capture without a packet"),
        ("d.pcap", content[:24], "is a capture without a packet"),
        ("e.pcap", content[:60], "is a capture without a packet"),
        ("f.pcapng", b"\x0a\x0d\x0d\x0a", "is a capture without a packet"),
    ):
        path = tmp_path / name
        path.write_bytes(text)
        with pytest.raises(InputError, match=f"^{path} .*{sentence}"):
            look_at(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A path without anything, and a FIFO, which nobody may ever write to."""
    os.mkfifo(tmp_path / "fifo")
    for name, sentence in (("none", "does not exist"), ("fifo", "is no file and no folder")):
        with pytest.raises(InputError, match=sentence):
            look_at(tmp_path / name)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_nothing_that_a_capture_holds_raises(tmp_path: Path, data: st.DataObject) -> None:
    """Cut, overwritten or made up: it has a first packet or it has none."""
    write = data.draw(st.sampled_from([write_pcap, write_pcapng]))
    content = bytearray(
        write(tmp_path / "a", PACKETS, order=data.draw(st.sampled_from("<>"))).read_bytes()
    )
    for _ in range(data.draw(st.integers(0, 5))):
        place = data.draw(st.integers(0, min(120, len(content) - 1)))
        content[place] = data.draw(st.integers(0, 255))
    (tmp_path / "a").write_bytes(content[: data.draw(st.integers(0, len(content)))])

    assert isinstance(kind_of(tmp_path / "a"), Kind)
    found = first_packet(tmp_path / "a")
    assert found is None or found >= 0


# -- a folder -------------------------------------------------------------------------------------


def test_captures_of_a_folder_are_one_run_in_the_order_of_their_change(tmp_path: Path) -> None:
    """As Suricata reads them; other files and folders are no matter."""
    last = capture(tmp_path / "a.pcap", at=300)
    first = capture(tmp_path / "b.cap", at=100)
    middle = capture(tmp_path / "c", at=200)
    (tmp_path / "README").write_text("captures\n")
    (tmp_path / "run.json").write_text('{"seed": 7}\n')
    (tmp_path / "more").mkdir()
    capture(tmp_path / "more" / "d.pcap")

    assert Capture(tmp_path, (first, middle, last)) == look_at(tmp_path)


def test_captures_whose_change_tells_another_order_are_hinted_at(tmp_path: Path) -> None:
    """They were copied: flows between them may be torn. The remedy can be typed."""
    later = capture(tmp_path / "later.pcap", at=200, changed=1000)
    earlier = capture(tmp_path / "earlier.pcap", at=100.5, changed=1001)
    found = look_at(tmp_path)
    assert isinstance(found, Capture)
    (hint,) = found.hints
    assert (later, earlier) == found.files
    assert hint.endswith(f"touch -d @100.500 {earlier}")

    os.utime(earlier, (0, 1000))  # at the same time: either may be the first
    tied = look_at(tmp_path)
    assert isinstance(tied, Capture)
    assert tied.hints
    os.utime(earlier, (0, 100.5))
    assert Capture(tmp_path, (earlier, later)) == look_at(tmp_path)


def test_captures_without_a_packet_are_passed_over_and_told(tmp_path: Path) -> None:
    """One that is being begun looks like that. If all do, there is nothing to read."""
    capture(tmp_path / "a.pcap").write_bytes(b"")
    write_pcap(tmp_path / "b.pcap", [])
    with pytest.raises(InputError, match=f"no capture of {tmp_path} holds a packet"):
        look_at(tmp_path)

    full = capture(tmp_path / "c.pcap")
    hint = "passed over, without a packet: a.pcap, b.pcap"
    assert Capture(tmp_path, (full,), (hint,)) == look_at(tmp_path)


def test_eve_files_of_a_folder_are_in_the_order_of_their_events(tmp_path: Path) -> None:
    """As rotation leaves them: the highest number is the oldest."""
    newest = eve_file(tmp_path / "eve.json", at=300)
    middle = eve_file(tmp_path / "eve.json.1", at=200)
    oldest = eve_file(tmp_path / "eve.json.2.gz", at=100)
    (tmp_path / "suricata.log").write_text("Notice\n")

    assert EveFiles((oldest, middle, newest)) == look_at(tmp_path)


def test_a_damaged_eve_file_of_a_folder_is_not_passed_over(tmp_path: Path) -> None:
    """Its reader says what is wrong with it."""
    whole = eve_file(tmp_path / "eve.json")
    broken = eve_file(tmp_path / "eve.json.1.gz")
    broken.write_bytes(broken.read_bytes()[:30])

    assert EveFiles((broken, whole)) == look_at(tmp_path)


def test_a_folder_of_both_kinds_or_of_none_is_refused(tmp_path: Path) -> None:
    """With an example of each kind."""
    with pytest.raises(InputError, match="holds neither captures nor eve files"):
        look_at(tmp_path)
    capture(tmp_path / "a.pcap")
    eve_file(tmp_path / "eve.json.1.gz")
    with pytest.raises(
        InputError, match=r"holds captures \(a.pcap\) and eve files \(eve.json.1.gz\)"
    ):
        look_at(tmp_path)


def test_a_folder_with_a_capture_that_suricata_would_skip_is_refused(tmp_path: Path) -> None:
    """It would be missing without a word: a link, a compressed one, one that is none."""
    real = capture(tmp_path / "real.pcap")
    folder = tmp_path / "folder"
    folder.mkdir()
    capture(folder / "a.pcap")
    other = folder / "b.pcap"
    other.symlink_to(real)
    with pytest.raises(InputError, match=r"folder/b.pcap is a symbolic link"):
        look_at(folder)
    other.unlink()
    other.write_bytes(b"hello")
    with pytest.raises(InputError, match=r"b.pcap does not begin as a capture does"):
        look_at(folder)
    other.rename(folder / "b.txt")
    (folder / "c.pcap.gz").write_bytes(gzip.compress(real.read_bytes()))
    with pytest.raises(InputError, match=r"c.pcap.gz is a compressed capture"):
        look_at(folder)
