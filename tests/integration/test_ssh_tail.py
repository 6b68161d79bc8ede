"""SshTail against a real sshd and its sftp-server: files that are written, rotated and lost."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ai_suricata.core.position import FilePosition
from ai_suricata.source.ssh import chain as ssh_chain
from ai_suricata.source.ssh import tail as ssh_tail
from fakes.ssh_reader import Reader
from fakes.sshd import SftpStandIn, running_sftp
from unit.source.following import append, lines, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SftpStandIn]:
    """Return a host that serves files."""
    with running_sftp(tmp_path / "host") as running:
        yield running


@pytest.fixture
def eve(tmp_path: Path) -> Path:
    """Return the path that is followed; there is no file yet."""
    folder = tmp_path / "suricata"
    folder.mkdir()
    return folder / "eve.json"


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look and connect again sooner than on a real line."""
    monkeypatch.setattr(ssh_chain, "LOOK_INTERVAL", 0.05)
    monkeypatch.setattr(ssh_tail, "GLOB_INTERVAL", 0.05)
    monkeypatch.setattr(ssh_tail, "FIRST_PAUSE", 0.05)


def rotate(path: Path, suffix: str) -> Path:
    """Rename the file and create a new one, as pfSense does."""
    renamed = path.rename(path.with_name(path.name + suffix))
    path.touch()
    return renamed


def compress(path: Path) -> Path:
    """Replace the file by its gzip, with the time of the original, as gzip(1) does."""
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(packed, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    path.unlink()
    return packed


async def test_follows_what_is_written(host: SftpStandIn, eve: Path) -> None:
    """Whole lines arrive in order; a line without an end waits for it."""
    append(eve, text(lines(0, 3)))
    async with Reader(host.settings(), eve) as reader:
        await reader.has(*lines(0, 3))
        append(eve, b'{"half":')
        await reader.until(lambda: reader.tail.lag().bytes == len(b'{"half":'))
        append(eve, b"1}\n")
        await reader.has(*lines(0, 3), b'{"half":1}')
        assert reader.tail.waiting_for is None
        assert 1 == reader.tail.lag().files


async def test_a_first_start_begins_at_the_end(host: SftpStandIn, eve: Path) -> None:
    """Unless told otherwise; a line that is half written then belongs to it."""
    append(eve, text(lines(0, 3)) + b'{"half":')
    async with Reader(host.settings(), eve, start="end") as reader:
        await reader.until(lambda: reader.tail.position)
        append(eve, b"1}\n")
        await reader.has(b'{"half":1}')


async def test_only_a_first_start_begins_at_the_end(host: SftpStandIn, eve: Path) -> None:
    """What was written while we were away is read."""
    append(eve, text(lines(0, 3)))
    async with Reader(host.settings(), eve, start="end") as reader:
        await reader.until(lambda: reader.tail.position)
        position = reader.tail.position
    append(eve, text(lines(3, 6)))
    async with Reader(host.settings(), eve, start="end", position=position) as reader:
        await reader.has(*lines(3, 6))


async def test_a_renamed_file_is_read_on_for_the_grace(host: SftpStandIn, eve: Path) -> None:
    """Suricata writes on into it until SIGHUP: late lines arrive, and then those of the new one."""
    append(eve, text(lines(0, 2)))
    async with Reader(host.settings(), eve) as reader:
        await reader.has(*lines(0, 2))
        renamed = rotate(eve, ".2026_1120_1105")
        append(renamed, text(lines(2, 4)))
        await reader.has(*lines(0, 4))
        append(eve, text(lines(4, 6)))
        await reader.has(*lines(0, 6))
        append(renamed, text(lines(6, 7)))
        await reader.has(*lines(0, 7))
        await reader.until(lambda: reader.tail.lag().files == 1)
        assert 1 == reader.tail.rotations
        assert {} == dict(reader.tail.losses.occasions)


async def test_a_renamed_file_is_held_open_for_the_grace(host: SftpStandIn, eve: Path) -> None:
    """Long after the new one was found, and after the last look at the folder."""
    append(eve, text(lines(0, 2)))
    async with Reader(host.settings(), eve, rotation_grace=60) as reader:
        await reader.has(*lines(0, 2))
        renamed = rotate(eve, ".2026_1120_1105")
        append(eve, text(lines(2, 3)))
        await reader.has(*lines(0, 3))
        [chain] = reader.tail._chains.values()
        await reader.until(lambda: not chain._surveys)
        append(renamed, text(lines(3, 4)))
        await reader.has(*lines(0, 4))


async def test_a_file_that_came_and_went_between_two_looks_is_read(
    host: SftpStandIn, eve: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rotations at once: the file in the middle is found among the rotated ones."""
    monkeypatch.setattr(ssh_chain, "LOOK_INTERVAL", 0.5)
    append(eve, text(lines(0, 2)))
    async with Reader(host.settings(), eve) as reader:
        await reader.has(*lines(0, 2))
        rotate(eve, ".2026_1120_1105")
        append(eve, text(lines(2, 4)))
        rotate(eve, ".2026_1120_1106")
        append(eve, text(lines(4, 6)))
        await reader.has(*lines(0, 6))


async def test_a_truncated_file_begins_again(host: SftpStandIn, eve: Path) -> None:
    """As pfSense does past its size limit; what was not seen is reported."""
    append(eve, text(lines(0, 20)))
    async with Reader(host.settings(), eve) as reader:
        await reader.has(*lines(0, 20))
        eve.write_bytes(text(lines(100, 103)))
        await reader.has(*lines(0, 20), *lines(100, 103))
        assert {"truncated": 1} == dict(reader.tail.losses.occasions)
        assert 1 == reader.tail.rotations


async def test_lines_that_were_read_before_a_truncation_come_first(
    host: SftpStandIn, eve: Path
) -> None:
    """They are on disk no more, but in memory."""
    append(eve, text(lines(0, 20)))
    tail = Reader(host.settings(), eve, batch_size=5).tail
    found: list[bytes] = []
    async for batch in tail.batches():
        if not found:
            eve.write_bytes(text(lines(100, 103)))
            await asyncio.sleep(2 * ssh_chain.LOOK_INTERVAL)  # so that the path is looked at next
        found += batch.lines
        if len(found) >= 23:
            tail.stop()
    assert [*lines(0, 20), *lines(100, 103)] == found


async def test_a_truncated_file_that_has_grown_past_our_place_begins_again(
    host: SftpStandIn, eve: Path
) -> None:
    """No byte of the new content is taken for the rest of the old."""
    append(eve, text(lines(0, 20)))
    async with Reader(host.settings(), eve) as reader:
        await reader.has(*lines(0, 20))
        with eve.open("r+b") as file:
            file.truncate()
            file.write(b"x" + text(lines(100, 300)))
        await reader.has(*lines(0, 20), b"x" + lines(100, 101)[0], *lines(101, 300))


async def test_the_copy_of_a_truncated_file_is_read_to_its_end(
    host: SftpStandIn, eve: Path
) -> None:
    """As logrotate's `copytruncate` leaves it: nothing is lost, nothing doubled."""
    append(eve, text(lines(0, 20)))
    async with Reader(host.settings(), eve) as reader:
        await reader.has(*lines(0, 20))
        eve.with_name("eve.json.1").write_bytes(text(lines(0, 25)))
        eve.write_bytes(b"")
        await reader.has(*lines(0, 25))
        append(eve, text(lines(25, 30)))
        await reader.has(*lines(0, 30))
        assert {} == dict(reader.tail.losses.occasions)


async def test_a_connection_that_is_cut_costs_no_line(host: SftpStandIn, eve: Path) -> None:
    """Not in the middle of a line, and not while the file is rotated meanwhile."""
    append(eve, text(lines(0, 5)) + b'{"half":')
    with capture_logs() as logs:
        async with Reader(host.settings(), eve) as reader:
            await reader.has(*lines(0, 5))
            host.stop()
            append(eve, b"1}\n" + text(lines(5, 8)))
            rotate(eve, ".2026_1120_1105")
            append(eve, text(lines(8, 10)))
            await reader.until(lambda: "can't be reached" in (reader.tail.waiting_for or ""))
            host.start()
            await reader.has(*lines(0, 5), b'{"half":1}', *lines(5, 10))
            assert reader.tail.waiting_for is None
            assert {} == dict(reader.tail.losses.occasions)
    told = [log["event"] for log in logs]
    assert 1 == told.count("events are read from the firewall again")


@pytest.mark.parametrize("is_packed", [False, True])
async def test_a_restart_goes_on_two_rotations_later(
    host: SftpStandIn, eve: Path, *, is_packed: bool
) -> None:
    """First the rest of the file it stood in, plain or gzip'd, then those that came after."""
    append(eve, text(lines(0, 9)))
    async with Reader(host.settings(), eve, batch_size=5) as reader:
        await reader.until(lambda: reader.batches)
        position = reader.batches[0].position
    append(eve, text(lines(9, 20)))
    first = rotate(eve, ".2026_1120_1105")
    append(eve, text(lines(20, 40)))
    rotate(eve, ".2026_1120_1106")
    append(eve, text(lines(40, 50)))
    if is_packed:
        compress(first)
    async with Reader(host.settings(), eve, position=position) as reader:
        await reader.has(*lines(5, 50))
        await reader.until(lambda: reader.tail.lag().files == 1)
        assert {} == dict(reader.tail.losses.occasions)


async def test_a_gzip_that_is_being_written_is_left_alone(host: SftpStandIn, eve: Path) -> None:
    """The file that it is made of stands beside it until it is complete."""
    append(eve, text(lines(0, 5)))
    async with Reader(host.settings(), eve) as reader:
        await reader.has(*lines(0, 5))
    append(eve, text(lines(5, 9)))
    renamed = rotate(eve, ".2026_1120_1105")
    half = gzip.compress(renamed.read_bytes())[:40]
    renamed.with_name(renamed.name + ".gz").write_bytes(half)
    append(eve, text(lines(9, 12)))
    async with Reader(host.settings(), eve, position=reader.position) as again:
        await again.has(*lines(5, 12))
        await again.until(lambda: again.tail.lag().files == 1)
        assert {} == dict(again.tail.losses.occasions)


async def test_a_restart_does_not_read_finished_files_again(host: SftpStandIn, eve: Path) -> None:
    """Though the rotated file is of the same second as the empty one that followed it."""
    append(eve, text(lines(0, 5)))
    async with Reader(host.settings(), eve, rotation_grace=0) as reader:
        await reader.has(*lines(0, 5))
        rotate(eve, ".2026_1120_1105")
        await reader.until(lambda: reader.tail.rotations == 1 and reader.tail.lag().files == 1)
        position = reader.tail.position
    append(eve, text(lines(5, 7)))
    async with Reader(host.settings(), eve, position=position) as reader:
        await reader.has(*lines(5, 7))
        await reader.until(lambda: reader.tail.lag().files == 1)
        assert lines(5, 7) == reader.lines


async def test_an_empty_file_that_is_finished_is_taken_for_no_other(
    host: SftpStandIn, eve: Path
) -> None:
    """It begins like every file."""
    eve.touch()
    async with Reader(host.settings(), eve, rotation_grace=0, batch_size=5) as reader:
        await reader.until(lambda: reader.tail.position)
        empty = rotate(eve, ".2026_1120_1105")
        append(eve, text(lines(0, 1)))
        await reader.until(lambda: reader.tail.rotations and reader.tail.lag().files == 1)
        append(eve, text(lines(1, 9)))
        await reader.until(lambda: len(reader.batches) > 1)
        position = reader.batches[1].position
        assert 0 == empty.stat().st_size
    rotate(eve, ".2026_1120_1106")
    append(eve, text(lines(9, 12)))
    async with Reader(host.settings(), eve, position=position) as again:
        first = sum(len(batch.lines) for batch in reader.batches[:2])
        await again.has(*lines(first, 12))
        await again.until(lambda: again.tail.lag().files == 1)
        assert lines(first, 12) == again.lines
        assert {} == dict(again.tail.losses.occasions)


async def test_what_an_empty_file_got_before_its_rotation_is_read(
    host: SftpStandIn, eve: Path
) -> None:
    """An empty file has no identity: the time of its creation stands in for it."""
    eve.touch()
    async with Reader(host.settings(), eve, start="end") as reader:
        await reader.until(lambda: reader.tail.position)
        position = reader.tail.position
    append(eve, text(lines(0, 5)))
    rotate(eve, ".2026_1120_1105")
    append(eve, text(lines(5, 7)))
    async with Reader(host.settings(), eve, position=position, start="end") as reader:
        await reader.has(*lines(0, 7))


async def test_a_first_start_leaves_older_files_alone(host: SftpStandIn, eve: Path) -> None:
    """Those that were rotated within the last second too, and at the start after that."""
    append(eve, text(lines(0, 5)))
    rotate(eve, ".2026_1120_1105")
    async with Reader(host.settings(), eve) as reader:
        await reader.until(lambda: reader.tail.position)
        position = reader.tail.position
    append(eve, text(lines(5, 7)))
    async with Reader(host.settings(), eve, position=position) as reader:
        await reader.has(*lines(5, 7))
        await reader.until(lambda: reader.tail.lag().files == 1)
        assert lines(5, 7) == reader.lines


async def test_a_file_that_is_gone_is_reported(host: SftpStandIn, eve: Path) -> None:
    """Deleted while nobody read it: what it held beyond our place can't be had any more."""
    append(eve, text(lines(0, 9)))
    async with Reader(host.settings(), eve, batch_size=5) as reader:
        await reader.until(lambda: reader.batches)
        position = reader.batches[0].position
    eve.unlink()
    append(eve, text(lines(20, 25)))
    async with Reader(host.settings(), eve, position=position) as reader:
        await reader.has(*lines(20, 25))
        await reader.until(lambda: reader.tail.losses.occasions)
        assert {"deleted": 1} == dict(reader.tail.losses.occasions)


async def test_an_sshd_that_is_away_at_the_start_is_waited_for(
    host: SftpStandIn, eve: Path
) -> None:
    """It says what it waits for, and begins once there is one."""
    host.stop()
    append(eve, text(lines(0, 3)))
    async with Reader(host.settings(), eve) as reader:
        await reader.until(lambda: "check PFSENSE_HOST" in (reader.tail.waiting_for or ""))
        assert {} == reader.tail.position
        host.start()
        await reader.has(*lines(0, 3))


async def test_a_position_is_kept_while_sshd_is_away(host: SftpStandIn, eve: Path) -> None:
    """What is stored meanwhile is not a place that was never looked at."""
    append(eve, text(lines(0, 3)))
    async with Reader(host.settings(), eve) as reader:
        await reader.has(*lines(0, 3))
    host.stop()
    async with Reader(host.settings(), eve, position=reader.position) as again:
        await again.until(lambda: "can't be reached" in (again.tail.waiting_for or ""))
        assert reader.position == again.tail.position


async def test_another_host_key_is_refused_and_told_until_it_is_put_right(
    host: SftpStandIn, eve: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's events are read in place of the firewall's."""
    monkeypatch.setattr(ssh_tail, "LONGEST_PAUSE", 0.2)
    append(eve, text(lines(0, 3)))
    host.change_host_key()
    host.restart()
    with capture_logs() as logs:
        async with Reader(host.settings(), eve) as reader:
            await reader.until(lambda: "host key" in (reader.tail.waiting_for or ""))
            await asyncio.sleep(0.5)
            assert [] == reader.lines
            host.trust_host_key()
            await reader.has(*lines(0, 3))
    told = [log for log in logs if log["event"] == "events can't be read from the firewall"]
    assert 1 == len(told)


async def test_a_refused_login_is_told_with_its_remedy(host: SftpStandIn, eve: Path) -> None:
    """And stopping does not wait for the next attempt."""
    (host.folder / "authorized_keys").write_text("")
    started = time.monotonic()
    async with Reader(host.settings(), eve) as reader:
        await reader.until(lambda: "PFSENSE_KEY_FILE" in (reader.tail.waiting_for or ""))
    assert 10 > time.monotonic() - started


async def test_a_host_without_sftp_is_told_with_its_remedy(tmp_path: Path, eve: Path) -> None:
    """The sentence names the line that its sshd lacks."""
    with running_sftp(tmp_path / "bare", subsystem=None) as bare:
        async with Reader(bare.settings(), eve) as reader:
            await reader.until(lambda: "Subsystem sftp" in (reader.tail.waiting_for or ""))


async def test_a_key_for_one_command_is_told_with_its_remedy(host: SftpStandIn, eve: Path) -> None:
    """What a forced command answers is no SFTP, and is not taken for it."""
    keys = host.folder / "authorized_keys"
    keys.write_text(f'command="echo no" {keys.read_text().removeprefix("restrict ")}')
    async with Reader(host.settings(command_timeout=2), eve) as reader:
        await reader.until(lambda: "no command= before" in (reader.tail.waiting_for or ""))


async def test_a_file_and_its_folder_are_waited_for(host: SftpStandIn, tmp_path: Path) -> None:
    """What appears is read from its beginning, whatever EVE_START says."""
    path = tmp_path / "later" / "eve.json"
    async with Reader(host.settings(), path, start="end") as reader:
        await reader.until(lambda: "does not exist yet" in (reader.tail.waiting_for or ""))
        path.parent.mkdir()
        append(path, text(lines(0, 3)))
        await reader.has(*lines(0, 3))
        assert reader.tail.waiting_for is None


async def test_a_path_that_was_followed_before_is_not_begun_at_its_end(
    host: SftpStandIn, eve: Path
) -> None:
    """There was no file when the earlier run ended: what there is now is new."""
    async with Reader(host.settings(), eve, start="end") as reader:
        await reader.until(lambda: reader.tail.position)
        position = reader.tail.position
    append(eve, text(lines(0, 3)))
    async with Reader(host.settings(), eve, start="end", position=position) as reader:
        await reader.has(*lines(0, 3))


async def test_what_is_no_file_is_not_read(host: SftpStandIn, eve: Path) -> None:
    """A FIFO would hold up sftp-server for good."""
    os.mkfifo(eve)
    async with Reader(host.settings(command_timeout=5), eve) as reader:
        await reader.until(lambda: "not a regular file" in (reader.tail.waiting_for or ""))
        eve.unlink()
        append(eve, text(lines(0, 3)))
        await reader.has(*lines(0, 3))


async def test_odd_bytes_and_overlong_lines(host: SftpStandIn, eve: Path) -> None:
    """NUL bytes are handed on, a carriage return is not, an overlong line is counted."""
    too_long = b"y" * 3_000_000
    append(eve, b"a\0b\n\xff\xfe\r\n" + too_long + b"\n" + text(lines(0, 3)))
    async with Reader(host.settings(), eve, max_line_bytes=1024) as reader:
        await reader.has(b"a\0b", b"\xff\xfe", *lines(0, 3))
        assert 1 == reader.rejected
        samples = [sample for batch in reader.batches for sample in batch.samples]
        assert [("too_long", too_long[:1024])] == samples


@pytest.mark.parametrize(
    "name", ["$(touch pwned)", "a; touch pwned", "`touch pwned`", "a'b\"c", "-rf", "eve\njson"]
)
async def test_a_path_is_a_name_and_nothing_else(host: SftpStandIn, eve: Path, name: str) -> None:
    """No shell sees it."""
    path = eve.with_name(name)
    append(path, text(lines(0, 2)))
    async with Reader(host.settings(), path) as reader:
        await reader.has(*lines(0, 2))
    assert [name] == [each.name for each in eve.parent.iterdir()]


async def test_a_glob_follows_each_interface(host: SftpStandIn, tmp_path: Path) -> None:
    """Those that appear later too; lines name their file, and no rotated one is read twice."""
    (tmp_path / "suricata_em0").mkdir()
    (tmp_path / "suricata_bad\\name").mkdir()
    one, two = tmp_path / "suricata_em0/eve.json", tmp_path / "suricata_em1/eve.json"
    append(one, text(lines(0, 3)))
    async with Reader(host.settings(), tmp_path / "suricata_*/eve*", start="end") as reader:
        await reader.until(lambda: reader.tail.lag().files == 1)
        append(one, text(lines(3, 5)))
        await reader.has(*lines(3, 5))
        two.parent.mkdir()
        append(two, text(lines(10, 12)))
        await reader.has(*lines(3, 5), *lines(10, 12))
        rotate(one, ".2026_1120_1105")
        append(one, text(lines(5, 6)))
        await reader.has(*lines(3, 5), *lines(10, 12), *lines(5, 6))
    origins = [origin for batch in reader.batches for origin in batch.origins]
    assert {str(one): 3, str(two): 2} == {
        path: sum(count for each, count in origins if each == path) for path, _ in origins
    }
    assert f"ssh://127.0.0.1{two}" in reader.position


async def test_a_backlog_arrives_in_full_batches(host: SftpStandIn, eve: Path) -> None:
    """Two paths take turns, and no batch is larger than asked for."""
    other = eve.with_name("other.json")
    append(eve, text(lines(0, 5000)))
    append(other, text(lines(5000, 10_000)))
    async with Reader(host.settings(), eve, other, batch_size=100) as reader:
        await reader.until(lambda: len(reader.lines) == 10_000)
    assert {100} == {len(batch.lines) for batch in reader.batches}
    early = [line for batch in reader.batches[:10] for line in batch.lines]
    assert early != sorted(early)
    assert lines(0, 10_000) == sorted(reader.lines)


async def test_the_position_is_never_ahead_of_the_lines(host: SftpStandIn, eve: Path) -> None:
    """Whoever asks for it between two batches stores what was handed out, and no more."""
    append(eve, text(lines(0, 2000)))
    size = len(text(lines(0, 1)))
    async with Reader(host.settings(), eve, batch_size=10) as reader:
        while len(reader.lines) < 2000:
            for places in reader.tail.position.values():
                offsets = [place.offset for place in places if isinstance(place, FilePosition)]
                assert [size * len(reader.lines)] == (offsets or [0])
            await asyncio.sleep(0)


async def test_truncated_at_random_moments_no_line_comes_twice(
    host: SftpStandIn, eve: Path
) -> None:
    """Whichever two requests a truncation falls between."""
    chance = random.Random(7)  # noqa: S311 - the moments are varied, nothing is secret
    written: list[bytes] = []
    eve.touch()
    async with Reader(host.settings(), eve) as reader:
        await reader.until(lambda: reader.tail.position)
        for first in range(0, 1200, 40):
            fresh = lines(first, first + 1 + chance.randrange(40))
            with eve.open("r+b") as file:
                file.truncate()
                file.write(text(fresh))
            written += fresh
            await reader.until(lambda: len(reader.lines) >= len(written))  # noqa: B023 - awaited here
            await asyncio.sleep(chance.random() / 50)
        assert written == reader.lines


async def test_cut_at_random_moments_every_line_comes_once(
    host: SftpStandIn, eve: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 cuts while 20,000 lines are written and the file is rotated 3 times."""
    monkeypatch.setattr(ssh_tail, "LONGEST_PAUSE", 0.2)
    chance = random.Random(4)  # noqa: S311 - the moments are varied, nothing is secret
    written = lines(0, 20_000)
    eve.touch()
    async with Reader(host.settings(), eve, batch_size=500) as reader:
        for step, (first, last) in enumerate(pairwise(range(0, 20_001, 1000))):
            chunk = text(written[first:last])
            part = chance.randrange(len(chunk))
            append(eve, chunk[:part])
            await reader.until(lambda: len(reader.lines) >= first)  # noqa: B023 - awaited here
            await asyncio.sleep(chance.random() / 20)
            await reader.until(host.cut)
            append(eve, chunk[part:])
            if step in {4, 9, 14}:
                rotate(eve, f".2026_1120_11{step:02}")
        await reader.until(lambda: len(reader.lines) >= len(written))
        assert written == reader.lines
        assert {} == dict(reader.tail.losses.occasions)
        assert 20 <= host.logins()
