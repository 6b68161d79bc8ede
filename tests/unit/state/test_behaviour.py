"""The log of behaviour: what was saved comes back whole, whatever a crash or a compaction did."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_suricata.core.errors import StateError
from ai_suricata.core.position import FilePosition, Position
from ai_suricata.state.base import Changes
from ai_suricata.state.behaviour import BehaviourLog
from ai_suricata.state.row import Layout, Rows

if TYPE_CHECKING:
    from ai_suricata.state.base import Snapshot

EMPTY = {"counters": np.zeros((0, 3), np.int64), "home": np.zeros(0, np.bool_)}
LAYOUT = Layout(EMPTY)
FIRST = "behaviour.1.log"


def at(offset: int) -> Position:
    """Return the position at an offset."""
    return {"/eve.json": (FilePosition(1, 2, "aa", 64, offset),), "/more/*.json": ()}


def changes(clock: int, values: dict[str, int], gone: tuple[str, ...] = ()) -> Changes:
    """Return a flush at `clock`, with a number for each address that has changed."""
    numbers = np.array(list(values.values()), np.int64)
    columns = {"counters": np.repeat(numbers[:, None], 3, axis=1), "home": numbers % 2 == 1}
    return Changes(
        at(clock), clock, Rows(list(values), columns), gone, {"resolvers": (str(clock),)}
    )


def values(snapshot: Snapshot | None) -> dict[str, int]:
    """Return the number of each address."""
    assert snapshot is not None
    numbers = np.asarray(snapshot.rows.columns["counters"])[:, 2].tolist()
    homes = np.asarray(snapshot.rows.columns["home"]).tolist()
    assert homes == [number % 2 == 1 for number in numbers]
    return dict(zip(snapshot.rows.addresses, numbers, strict=True))


def size_of(path: Path) -> int:
    """Return the bytes of a file."""
    return path.stat().st_size


async def test_a_first_start_knows_nothing(tmp_path: Path) -> None:
    """That is no error."""
    assert await BehaviourLog(tmp_path, LAYOUT).load() is None


async def test_later_rows_take_the_place_of_earlier_ones(tmp_path: Path) -> None:
    """And the position is the last one, with its clock and its lists."""
    store = BehaviourLog(tmp_path, LAYOUT)
    await store.save(changes(10, {"192.0.2.1": 1, "192.0.2.2": 2}))
    await store.save(changes(20, {"192.0.2.2": 5, "2001:db8::1": 7}))
    found = await BehaviourLog(tmp_path, LAYOUT).load()

    assert {"192.0.2.1": 1, "192.0.2.2": 5, "2001:db8::1": 7} == values(found)
    assert found is not None
    assert (at(20), 20, ("20",)) == (found.position, found.clock, found.notes["resolvers"])


async def test_what_has_gone_stays_gone_unless_it_came_back(tmp_path: Path) -> None:
    """An address may be evicted and seen again between two flushes."""
    store = BehaviourLog(tmp_path, LAYOUT)
    await store.save(changes(1, {"192.0.2.1": 1, "192.0.2.2": 2}))
    await store.save(changes(2, {"192.0.2.2": 9}, gone=("192.0.2.1", "192.0.2.2")))

    assert {"192.0.2.2": 9} == values(await BehaviourLog(tmp_path, LAYOUT).load())


async def test_a_flush_without_rows_moves_the_position(tmp_path: Path) -> None:
    """Events that count for nobody were read all the same."""
    store = BehaviourLog(tmp_path, LAYOUT)
    await store.save(changes(1, {"192.0.2.1": 1}))
    await store.save(changes(2, {}))
    found = await BehaviourLog(tmp_path, LAYOUT).load()

    assert found is not None
    assert (at(2), {"192.0.2.1": 1}) == (found.position, values(found))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400))
async def test_a_record_that_a_crash_cut_short_was_never_there(tmp_path: Path, cut: int) -> None:
    """Position and rows are those of the flush before, and later flushes are kept."""
    tmp_path = Path(tempfile.mkdtemp(dir=tmp_path))
    store = BehaviourLog(tmp_path, LAYOUT)
    await store.save(changes(1, {"192.0.2.1": 1}))
    whole = size_of(tmp_path / FIRST)
    await store.save(changes(2, {"192.0.2.1": 2, "192.0.2.2": 2}))
    size = size_of(tmp_path / FIRST)
    with (tmp_path / FIRST).open("r+b") as file:
        file.truncate(max(whole, size - 1 - cut))
    again = BehaviourLog(tmp_path, LAYOUT)
    found = await again.load()

    assert found is not None
    assert (at(1), {"192.0.2.1": 1}) == (found.position, values(found))

    await again.save(changes(3, {"192.0.2.3": 3}))
    found = await BehaviourLog(tmp_path, LAYOUT).load()
    assert {"192.0.2.1": 1, "192.0.2.3": 3} == values(found)


async def test_a_record_that_was_whole_and_is_damaged_is_an_error(tmp_path: Path) -> None:
    """Nobody guesses a position: it would count twice."""
    store = BehaviourLog(tmp_path, LAYOUT)
    await store.save(changes(1, {"192.0.2.1": 1}))
    place = size_of(tmp_path / FIRST) - 5
    await store.save(changes(2, {"192.0.2.1": 2}))
    content = bytearray((tmp_path / FIRST).read_bytes())
    content[place] ^= 0xFF
    (tmp_path / FIRST).write_bytes(bytes(content))

    with pytest.raises(StateError, match=r"a record is damaged.*move it away"):
        await BehaviourLog(tmp_path, LAYOUT).load()


@pytest.mark.parametrize("content", [b"hello\n", b"\x93NUMPY\x01"])
async def test_a_file_that_is_no_log_is_named_with_its_remedy(
    tmp_path: Path, content: bytes
) -> None:
    """It is left as it is."""
    (tmp_path / FIRST).write_bytes(content)

    with pytest.raises(StateError, match="no log of ours; move it away"):
        await BehaviourLog(tmp_path, LAYOUT).load()
    assert content == (tmp_path / FIRST).read_bytes()


async def test_rows_of_another_version_are_dropped_and_the_position_kept(tmp_path: Path) -> None:
    """Its windows mean something else; what has been read stays read."""
    other = Layout({**EMPTY, "more": np.zeros((0, 2), np.int32)})
    await BehaviourLog(tmp_path, LAYOUT).save(changes(4, {"192.0.2.1": 1}))
    found = await BehaviourLog(tmp_path, other).load()

    assert found is not None
    assert (at(4), 4, 0) == (found.position, found.clock, len(found.rows))


@pytest.mark.parametrize("least", [1, 10_000_000], ids=["compacted", "side by side"])
async def test_an_upgrade_keeps_what_comes_after_it(tmp_path: Path, least: int) -> None:
    """Rows of the new version stand beside those of the old, which nobody reads as new ones."""
    old = Layout({**EMPTY, "more": np.zeros((0, 2), np.int32)})
    before = changes(4, {"192.0.2.1": 1, "192.0.2.2": 2})
    more = {**before.rows.columns, "more": np.full((2, 2), 7, np.int32)}
    await BehaviourLog(tmp_path, old).save(
        Changes(before.position, 4, Rows(before.rows.addresses, more), (), before.notes)
    )
    new = BehaviourLog(tmp_path, LAYOUT, least)
    assert {} == values(await new.load())
    await new.save(changes(9, {"192.0.2.2": 5}))
    await new.close()
    found = await BehaviourLog(tmp_path, LAYOUT).load()

    assert found is not None
    assert ({"192.0.2.2": 5}, at(9), 9) == (values(found), found.position, found.clock)
    assert {"resolvers": ("9",)} == found.notes


async def test_a_save_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """The next flush tries again."""
    store = BehaviourLog(tmp_path, LAYOUT)
    await store.save(changes(1, {"192.0.2.1": 1}))
    log, aside = tmp_path / FIRST, tmp_path / "aside"
    log.rename(aside)
    log.mkdir()
    with pytest.raises(StateError, match="can't be written"):
        await store.save(changes(2, {"192.0.2.1": 2}))
    log.rmdir()
    aside.rename(log)
    await store.save(changes(3, {"192.0.2.1": 3}))

    assert {"192.0.2.1": 3} == values(await BehaviourLog(tmp_path, LAYOUT).load())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 999), max_size=5),
            st.sets(st.sampled_from("abcdefgh"), max_size=3),
            st.just("restart"),
        ),
        max_size=30,
    )
)
async def test_any_flushes_and_restarts_leave_the_latest_of_everything(
    tmp_path: Path, steps: list[dict[str, int] | set[str] | str]
) -> None:
    """However often it was compacted meanwhile."""
    tmp_path = Path(tempfile.mkdtemp(dir=tmp_path))
    store = BehaviourLog(tmp_path, LAYOUT, least=300)
    expected: dict[str, int] = {}
    for clock, step in enumerate(steps, start=1):
        if isinstance(step, dict):
            await store.save(changes(clock, step))
            expected.update(step)
        elif isinstance(step, set):
            await store.save(changes(clock, {}, gone=tuple(step)))
            expected = {name: number for name, number in expected.items() if name not in step}
        else:
            await store.close()
            store = BehaviourLog(tmp_path, LAYOUT, least=300)
            found = await store.load()
            assert expected == (values(found) if found is not None else {})
    await store.close()
    await store.save(changes(99, {"z": 1}))
    await store.close()
    found = await BehaviourLog(tmp_path, LAYOUT).load()

    assert expected | {"z": 1} == values(found)
    assert found is not None
    assert at(99) == found.position


async def test_a_log_that_is_mostly_out_of_date_is_written_anew(tmp_path: Path) -> None:
    """What is kept on disk grows with the rows and not with the flushes."""
    store = BehaviourLog(tmp_path, LAYOUT, least=10_000)
    for clock in range(1, 2000):
        await store.save(changes(clock, {"192.0.2.1": clock}))
    await store.close()

    assert sum(map(size_of, tmp_path.glob("behaviour.*"))) < 40_000
    assert {"192.0.2.1": 1999} == values(await BehaviourLog(tmp_path, LAYOUT).load())


async def test_saving_goes_on_while_the_log_is_written_anew(tmp_path: Path) -> None:
    """A million rows never stall the pipeline: compacting is a task beside it."""
    store = BehaviourLog(tmp_path, LAYOUT, least=1000)
    big = {f"192.0.{n // 256}.{n % 256}": n for n in range(20_000)}
    await store.save(changes(1, big))
    assert [task.get_name() for task in asyncio.all_tasks()].count("compact") == 1
    await store.save(changes(2, {"192.0.2.1": 7}))
    await store.close()

    assert big | {"192.0.2.1": 7} == values(await BehaviourLog(tmp_path, LAYOUT).load())
