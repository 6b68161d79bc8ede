"""A change is noticed at once where the kernel tells of it, and by looking where it does not."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from inotify_simple import INotify
from structlog.testing import capture_logs

from ai_suricata.source.file import mount, watch
from ai_suricata.source.file.tail import Tail
from unit.source.following import append, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT = 5.0
"""Seconds after which a test gives up: half of what a look without a notice would take."""

NEVER = 10.0
"""Seconds between two looks, if the kernel told nothing."""

NOBODY = 65534


@pytest.fixture(autouse=True)
def _no_slow_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the safety net, a notice that does not come is seen as such."""
    monkeypatch.setattr(watch, "SLOW_LOOK", NEVER)


class Following:
    """A Tail that runs, and what it has handed out."""

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self.seen: list[bytes] = []

        self._fresh = asyncio.Event()

    async def run(self) -> None:
        """Collect until the tail is stopped."""
        async for batch in self.tail.batches():
            self.seen += batch.lines
            self._fresh.set()

    async def expect(self, *lines: bytes) -> None:
        """Wait until these lines have come."""
        async with asyncio.timeout(LIMIT):
            while len(self.seen) < len(lines):
                self._fresh.clear()
                await self._fresh.wait()
        assert list(lines) == self.seen


@asynccontextmanager
async def following(*paths: Path | str, **changes: object) -> AsyncIterator[Following]:
    """Follow these paths; the block begins when the tail waits for a change."""
    tail = Tail(settings_for(*paths, **{"poll_interval": NEVER, "start": "beginning", **changes}))
    follower = Following(tail)
    task = asyncio.create_task(follower.run())
    async with asyncio.timeout(LIMIT):
        while tail._watch._arm_at < 0 and tail._watch._may_notice:
            await asyncio.sleep(0)
        for _ in range(10):  # from the watching to the wait
            await asyncio.sleep(0)
    try:
        yield follower
    finally:
        tail.stop()
        async with asyncio.timeout(LIMIT):
            await task


@pytest.fixture
def eve(tmp_path: Path) -> Path:
    """Return an empty file."""
    path = tmp_path / "eve.json"
    path.touch()
    return path


async def test_line_is_noticed(eve: Path) -> None:
    """Long before the next look is due, again and again."""
    async with following(eve) as follower:
        for number in range(5):
            append(eve, b"%d\n" % number)
            await follower.expect(*(b"%d" % n for n in range(number + 1)))


async def test_rotation_is_noticed(eve: Path) -> None:
    """Also a line that is written into the renamed file."""
    async with following(eve) as follower:
        renamed = eve.rename(eve.with_name("eve.json.1"))
        append(eve, b"one\n")
        await follower.expect(b"one")
        append(renamed, b"late\n")
        await follower.expect(b"one", b"late")


async def test_folder_that_comes_and_goes(tmp_path: Path) -> None:
    """The nearest folder that is there tells of those that are made below it, each time."""
    eve = tmp_path / "log" / "suricata" / "eve.json"
    async with following(eve) as follower:
        eve.parent.mkdir(parents=True)
        append(eve, b"one\n")
        await follower.expect(b"one")
        eve.parent.rename(tmp_path / "away")
        eve.parent.mkdir()
        append(eve, b"two\n")
        await follower.expect(b"one", b"two")


async def test_folder_that_a_glob_matches(tmp_path: Path) -> None:
    """A new interface is found when its folder is made, not at the next look at the glob."""
    (tmp_path / "igb0").mkdir()
    async with following(tmp_path / "*" / "eve.json") as follower:
        append(tmp_path / "igb0" / "eve.json", b"one\n")
        await follower.expect(b"one")
        (tmp_path / "igb1").mkdir()
        append(tmp_path / "igb1" / "eve.json", b"two\n")
        await follower.expect(b"one", b"two")


async def test_symlink(tmp_path: Path) -> None:
    """Both folders tell: that of the file which is written, and that where the link is switched."""
    for name in ("a", "b", "links"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        (tmp_path / name / "real.json").touch()
    link = tmp_path / "links" / "eve.json"
    link.symlink_to("../a/real.json")
    async with following(link) as follower:
        append(tmp_path / "a" / "real.json", b"one\n")
        await follower.expect(b"one")
        append(tmp_path / "b" / "real.json", b"two\n")
        (tmp_path / "links" / "new").symlink_to("../b/real.json")
        (tmp_path / "links" / "new").rename(link)
        await follower.expect(b"one", b"two")
        append(tmp_path / "b" / "real.json", b"three\n")
        await follower.expect(b"one", b"two", b"three")


async def test_right_that_is_granted(eve: Path) -> None:
    """A file that may be read again is read at once."""
    if os.geteuid():
        pytest.skip("needs root, to become somebody else and back")
    for folder in eve.parents:
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(0o755)
    append(eve, b"one\n")
    eve.chmod(0o600)
    os.seteuid(NOBODY)
    try:
        async with following(eve) as follower:
            assert "grant read" in str(follower.tail.waiting_for)
            os.seteuid(0)
            eve.chmod(0o644)
            os.seteuid(NOBODY)
            await follower.expect(b"one")
    finally:
        os.seteuid(0)


async def test_busy_file_does_not_flood(eve: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many writes there are, looks keep their distance, and other tasks their turn."""
    monkeypatch.setattr(watch, "LEAST_GAP", 0.05)
    loop = asyncio.get_running_loop()
    async with following(eve, batch_size=100_000) as follower:
        looks, turns, poll = 0, 0, follower.tail.poll

        def counted() -> object:
            nonlocal looks
            looks += 1
            return poll()

        monkeypatch.setattr(follower.tail, "poll", counted)
        started = loop.time()
        with eve.open("ab", buffering=0) as file:
            while loop.time() - started < 0.5:
                file.write(b"x\n")
                turns += 1
                await asyncio.sleep(0)
        # Two looks a gap: one that finds lines, and one that finds no more.
        assert looks <= 2 * (loop.time() - started) / 0.05 + 2
    assert turns > 500


async def test_network_file_system_is_polled(
    eve: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel does not see what others write there: it is looked at, and that is said."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {tmp_path} rw - nfs4 nas:/log rw\n")
    monkeypatch.setattr(mount, "MOUNTS", mounts)
    with capture_logs() as logs:
        async with following(eve, poll_interval=0.01) as follower:
            assert None is follower.tail._watch._notices
            for number in range(3):
                append(eve, b"%d\n" % number)
                await follower.expect(*(b"%d" % n for n in range(number + 1)))
    polled = [entry["reason"] for entry in logs if entry["event"] == "files are polled"]
    assert [f"{tmp_path} is on nfs4, whose changes the kernel does not see"] == polled


async def test_no_watches_left(eve: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It falls back to looking, says so once with the remedy, and goes on by itself later."""
    monkeypatch.setattr(watch, "ARM_INTERVAL", 0.02)

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with capture_logs() as logs, monkeypatch.context() as patch:
        patch.setattr(INotify, "add_watch", refuse)
        async with following(eve, poll_interval=0.01) as follower:
            append(eve, b"one\n")
            await follower.expect(b"one")
            append(eve, b"two\n")
            await follower.expect(b"one", b"two")
            patch.undo()
            async with asyncio.timeout(LIMIT):
                while follower.tail._watch._reason is not None:
                    await asyncio.sleep(0.01)
    told = [entry for entry in logs if entry["event"].startswith("files are polled")]
    assert ["warning", "info"] == [entry["log_level"] for entry in told]
    assert "fs.inotify.max_user_watches" in told[0]["reason"]


async def test_no_instances_left(eve: Path) -> None:
    """The kernel gives each user so many instances: the next one is refused."""
    limit = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    if os.geteuid() or limit > 512:
        pytest.skip("needs root, to become a user without instances, and a low limit")
    for folder in eve.parents:
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(0o755)
    with ExitStack() as stack, capture_logs() as logs:
        stack.callback(os.seteuid, 0)
        os.seteuid(NOBODY)
        with suppress(OSError):
            for _ in range(limit + 1):
                stack.enter_context(INotify())
        async with following(eve, poll_interval=0.01) as follower:
            os.seteuid(0)
            append(eve, b"one\n")
            os.seteuid(NOBODY)
            await follower.expect(b"one")
    assert ["fs.inotify.max_user_instances" in entry.get("reason", "") for entry in logs] == [True]


async def test_watching_can_be_turned_off(eve: Path) -> None:
    """With EVE_WATCH=poll the kernel is not asked."""
    async with following(eve, watch="poll", poll_interval=0.01) as follower:
        append(eve, b"one\n")
        await follower.expect(b"one")
        assert None is follower.tail._watch._notices


async def test_safety_net(eve: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that no notice tells of is found by the slow look."""
    monkeypatch.setattr(watch, "SLOW_LOOK", 0.05)
    monkeypatch.setattr(INotify, "add_watch", lambda *_: 1)
    async with following(eve) as follower:
        append(eve, b"one\n")
        await follower.expect(b"one")


async def test_queue_that_overflowed(eve: Path) -> None:
    """When the kernel drops notices, it says so, and that is taken for a notice of everything."""
    queued = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if queued > 100_000:
        pytest.skip("too many files would have to be made")
    async with following(eve) as follower:
        other = eve.with_name("other")
        for _ in range(queued // 2 + 1):
            other.touch()
            other.unlink()
        append(eve, b"one\n")
        await follower.expect(b"one")
        append(eve, b"two\n")
        await follower.expect(b"one", b"two")
