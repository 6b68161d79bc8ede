"""The alert store in a file: bounded, readable while it is written, mended after a crash."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from ai_suricata.core.errors import StateError
from ai_suricata.state.alerts import FileAlerts
from ai_suricata.state.local import LocalAlertStore
from contract.shared_alert import alert

MOST = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store is."""
    return tmp_path / "alerts.jsonl"


async def filled(path: Path, *numbers: int, most: int = 100) -> FileAlerts:
    """Return a store to which these alerts were added, one batch each."""
    store = FileAlerts(path, most)
    for number in numbers:
        await store.add([alert(number)])
    return store


async def numbers(path: Path, limit: int = 1000, offset: int = 0, most: int = 100) -> list[int]:
    """Return what another process reads there, by number."""
    found = await FileAlerts(path, most).newest(limit, offset)
    return [int(each.id.rpartition("-")[2]) for each in found]


async def test_what_was_added_is_there_after_a_restart(path: Path) -> None:
    """Another process reads it, too."""
    await filled(path, 1, 2)
    await filled(path, 3)

    assert [3, 2, 1] == await numbers(path)


async def test_the_file_is_written_anew_at_twice_its_size(path: Path) -> None:
    """It never holds more lines than that, and always the newest ones."""
    store = FileAlerts(path, MOST)
    sizes = []
    for number in range(30):
        await store.add([alert(number)])
        sizes.append(len(path.read_bytes().splitlines()))

    assert 2 * MOST - 1 == max(sizes)
    assert [29, 28, 27, 26] == await numbers(path, most=MOST)


async def test_lines_of_an_earlier_run_count(path: Path) -> None:
    """Restarts don't let the file grow without bound."""
    for number in range(30):
        await filled(path, number, most=MOST)

    assert 2 * MOST > len(path.read_bytes().splitlines())


async def test_a_smaller_bound_after_a_restart_holds_at_once(path: Path) -> None:
    """MAX_ALERTS was lowered."""
    await filled(path, *range(20))

    assert [19, 18] == await numbers(path, most=2)


async def test_a_line_that_is_being_written_is_not_read(path: Path) -> None:
    """The next look has it."""
    await filled(path, 1, 2)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])

    assert [1] == await numbers(path)


async def test_a_line_that_a_crash_cut_short_does_not_spoil_the_next(path: Path) -> None:
    """What is added after the restart is a line of its own."""
    await filled(path, 1, 2)
    path.write_bytes(path.read_bytes()[:-20])

    await filled(path, 3)

    assert [3, 1] == await numbers(path)


async def test_lines_that_are_no_alerts_are_passed_over(path: Path) -> None:
    """Of another version, or spoilt by the disk; pages still follow each other."""
    await filled(path, 1, 2)
    with path.open("ab") as file:
        file.write(b'{"id": 7}\n\xff\xfe\x00\n\n')
    await filled(path, 3)

    assert [3, 2, 1] == await numbers(path)
    pages = [await numbers(path, 2, offset) for offset in (0, 2, 4)]
    assert [[3], [], [2, 1]] == pages


@pytest.mark.parametrize("count", [1, 500, 2000])
async def test_alerts_are_found_wherever_blocks_cut_the_lines(path: Path, count: int) -> None:
    """Of a file that is many blocks long, from its end on and by id."""
    store = FileAlerts(path, 5000)
    await store.add([alert(number) for number in range(count)])

    assert list(range(count))[::-1] == await numbers(path, 5000, most=5000)
    assert alert(0) == await store.find(alert(0).id)
    assert await store.find("sensor") is None


async def test_an_alert_that_is_longer_than_a_block_is_read_whole(path: Path) -> None:
    """Its parts come back in their order."""
    text = "".join(map(str, range(60_000)))
    long = structs.replace(alert(1), signature=text)
    await FileAlerts(path, MOST).add([alert(0), long, alert(2)])

    assert [alert(2), long, alert(0)] == await FileAlerts(path, MOST).newest(3)


async def test_the_newest_are_read_without_the_rest(path: Path) -> None:
    """A file that is damaged far from its end costs nothing: it is not looked at there."""
    store = FileAlerts(path, 100_000)
    await store.add([alert(1)])
    with path.open("r+b") as file:
        file.truncate(2**40)  # a terabyte of nothing: who reads all of it does not come back
        file.seek(0, 2)
        file.write(b"\n")
    with path.open("ab") as file:
        file.write(b'{"id": 1}\n' * 2)

    assert [] == await store.newest(2)


async def test_nothing_is_kept_where_none_is_wanted(path: Path) -> None:
    """MAX_ALERTS=0 turns the store off."""
    store = await filled(path, 1, most=0)

    assert [] == await store.newest(10)
    assert not path.exists()


async def test_without_a_file_there_are_no_alerts(path: Path) -> None:
    """Looking makes none."""
    assert [] == await numbers(path)
    assert not path.exists()


async def test_only_the_owner_reads_it(path: Path) -> None:
    """Alerts tell who talks with whom, after it was written anew as well."""
    await filled(path, *range(3 * MOST), most=MOST)

    assert 0o600 == path.stat().st_mode & 0o777


async def test_what_cannot_be_written_or_read_is_named(path: Path) -> None:
    """With the remedy; and once it can be, all is well again."""
    path.mkdir()
    store = FileAlerts(path, MOST)
    with pytest.raises(StateError, match=r"alerts.jsonl can't be written: .*; make room"):
        await store.add([alert(1)])
    with pytest.raises(StateError, match=r"alerts.jsonl can't be read: .*; grant the right"):
        await store.newest(1)

    path.rmdir()
    await store.add([alert(2)])

    assert [2] == await numbers(path)


async def test_batches_of_several_tasks_are_all_kept(path: Path) -> None:
    """Threads write one after the other, though the file is written anew meanwhile."""
    store = FileAlerts(path, 60)
    await asyncio.gather(*(store.add([alert(number)] * 2) for number in range(100)))

    found = await numbers(path, most=60)
    assert (60, 30) == (len(found), len(set(found)))


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 9), max_size=6), st.booleans(), st.booleans()),
        max_size=12,
    )
)
def test_it_agrees_with_memory(steps: list[tuple[list[int], bool, bool]]) -> None:
    """Any batches, restarts and torn lines: the file says what memory says."""

    async def compare(path: Path) -> None:
        ours, memory = FileAlerts(path, MOST), LocalAlertStore(MOST)
        for batch, restart, crash in steps:
            if restart or crash:
                ours = FileAlerts(path, MOST)
            if crash:
                with path.open("ab") as file:
                    file.write(b'{"id":"torn')
            await ours.add([alert(number) for number in batch])
            await memory.add([alert(number) for number in batch])
            assert await memory.newest(10) == await ours.newest(10)
            assert await memory.newest(2, 1) == await ours.newest(2, 1)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(compare(Path(folder) / "alerts.jsonl"))
