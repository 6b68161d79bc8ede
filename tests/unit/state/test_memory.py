"""The ledger's journal, and the state directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs

from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.core.position import FilePosition, Position
from ai_suricata.features.table import LAYOUT
from ai_suricata.state import memory
from ai_suricata.state.memory import LedgerJournal, MemoryState, ledger_name
from fakes.response import ATTACKER, NOW, OTHER, decision

if TYPE_CHECKING:
    from pathlib import Path


POSITION: Position = {
    "/var/log/suricata/eve.json": (
        FilePosition(1, 2, "aa", 64, 1000),
        FilePosition(1, 3, "", 0, 0),
    ),
    "/var/log/suricata/*.json": (),
}


def entry(
    target: str = ATTACKER,
    state: LedgerState = LedgerState.REQUESTED,
    table: Table = Table.BLOCK,
) -> LedgerEntry:
    """Return an entry of the ledger."""
    return LedgerEntry(decision(target, table=table), state, NOW, NOW + 600, "a note")


@pytest.fixture
def journal(tmp_path: Path) -> LedgerJournal:
    """Return an empty journal."""
    return LedgerJournal(tmp_path / "ledger-test.jsonl")


async def reloaded(journal: LedgerJournal) -> list[LedgerEntry]:
    """Return what a second instance reads from the same file."""
    return await LedgerJournal(journal.path).load()


# -- the journal ----------------------------------------------------------------------------------


async def test_a_journal_without_a_file_is_empty(journal: LedgerJournal) -> None:
    """It is made at the first entry."""
    assert [] == await journal.load()
    await journal.append([])
    assert not journal.path.exists()


async def test_an_entry_is_on_disk_when_append_returns(journal: LedgerJournal) -> None:
    """A second instance reads it back, to the last field."""
    await journal.append([entry(), entry(OTHER), entry(table=Table.LIMIT)])
    assert [entry(), entry(OTHER), entry(table=Table.LIMIT)] == await reloaded(journal)

    await journal.append([entry(state=LedgerState.ENFORCED)])
    assert [
        entry(OTHER),
        entry(table=Table.LIMIT),
        entry(state=LedgerState.ENFORCED),
    ] == await reloaded(journal)


async def test_a_forgotten_entry_is_not_read_back(journal: LedgerJournal) -> None:
    """Its line is there until the journal is compacted."""
    await journal.append([entry(), entry(OTHER)])
    await journal.append([entry(state=LedgerState.FORGOTTEN)])

    assert [entry(OTHER)] == await reloaded(journal)


async def test_a_torn_last_line_is_mended_and_nothing_else_is_lost(
    journal: LedgerJournal,
) -> None:
    """Wherever the crash cut it: the next entry begins at a line of its own."""
    await journal.append([entry()])
    whole = journal.path.read_bytes()
    line = msgspec.json.encode(entry(OTHER))
    for length in range(1, len(line) + 1, 7):
        journal.path.write_bytes(whole + line[:length])
        second = LedgerJournal(journal.path)
        assert [entry()] == await second.load()
        assert whole == journal.path.read_bytes()

        await second.append([entry(OTHER)])
        assert [entry(), entry(OTHER)] == await reloaded(journal)


async def test_mending_needs_no_room(
    journal: LedgerJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk does not keep the daemon from starting."""
    await journal.append([entry()])
    with journal.path.open("ab") as file:
        file.write(b'{"deci')

    def full(path: Path, _content: bytes) -> None:
        raise StateError(f"{path}: no room")

    monkeypatch.setattr(memory, "replace", full)
    monkeypatch.setattr(memory, "append", full)

    assert [entry()] == await reloaded(journal)


@pytest.mark.parametrize(
    "damaged",
    [
        b"{broken",
        b"\xff\xfe\x00",
        b"",
        b"{}",
        msgspec.json.encode(entry("no address")),
        msgspec.json.encode(entry("203.0.113.7; rm -rf /")),
    ],
)
async def test_a_damaged_line_is_left_out_told_and_kept_aside(
    journal: LedgerJournal, damaged: bytes
) -> None:
    """The others count, and a person can still look at what was there."""
    await journal.append([entry()])
    with journal.path.open("ab") as file:
        file.write(damaged + b"\n")
    await journal.append([entry(OTHER)])
    before = journal.path.read_bytes()

    with capture_logs() as told:
        assert [entry(), entry(OTHER)] == await reloaded(journal)
    assert "ledger line can't be read and is left out" == told[0]["event"]
    assert 2 == told[0]["line"]
    aside = journal.path.with_name("ledger-test.jsonl.damaged")
    assert before == aside.read_bytes()
    assert 2 == len(journal.path.read_bytes().splitlines())
    assert [entry(), entry(OTHER)] == await reloaded(journal)


async def test_a_damaged_journal_that_cannot_be_copied_stays_as_it_is(
    journal: LedgerJournal,
) -> None:
    """Nothing is destroyed; what can be read is used, and more can be added."""
    await journal.append([entry()])
    with journal.path.open("ab") as file:
        file.write(b"{broken\n")
    before = journal.path.read_bytes()
    journal.path.with_name("ledger-test.jsonl.damaged").mkdir()

    second = LedgerJournal(journal.path)
    with capture_logs() as told:
        assert [entry()] == await second.load()
    assert before == journal.path.read_bytes()
    assert "damaged ledger can't be copied and stays as it is" == told[-1]["event"]
    await second.append([entry(OTHER)])
    assert [entry(), entry(OTHER)] == await reloaded(journal)


async def test_whoever_only_looks_changes_nothing(journal: LedgerJournal) -> None:
    """`blocks list` may run while the daemon writes."""
    await journal.append([entry()])
    with journal.path.open("ab") as file:
        file.write(b'{broken\n{"half')
    before = journal.path.read_bytes()

    assert [entry()] == LedgerJournal(journal.path).read()
    assert before == journal.path.read_bytes()


async def test_a_long_journal_is_compacted_and_says_the_same(
    journal: LedgerJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that no longer count go, in one atomic replacement."""
    monkeypatch.setattr(memory, "_LINES_BEFORE_COMPACTION", 20)
    for round_number in range(30):
        state = LedgerState.ENFORCED if round_number % 2 else LedgerState.REQUESTED
        await journal.append([entry(state=state), entry(OTHER)])

    lines = len(journal.path.read_bytes().splitlines())
    assert 2 <= lines <= 20 + 4 * 2 + 2
    assert [entry(state=LedgerState.ENFORCED), entry(OTHER)] == await reloaded(journal)


async def test_a_compaction_that_fails_fails_nothing(
    journal: LedgerJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry is durable already: saying otherwise would make it twice."""
    monkeypatch.setattr(memory, "_LINES_BEFORE_COMPACTION", 0)
    journal.path.with_name("ledger-test.jsonl.new").mkdir()

    with capture_logs() as told:
        for _ in range(10):
            await journal.append([entry()])

    assert [entry()] == await reloaded(journal)
    assert {"ledger can't be compacted and grows on"} == {line["event"] for line in told}


async def test_a_journal_that_is_a_folder_is_named(journal: LedgerJournal) -> None:
    """For reading and for writing."""
    journal.path.mkdir()

    with pytest.raises(StateError, match=r"ledger-test\.jsonl can't be read"):
        await journal.load()
    with pytest.raises(StateError, match=r"ledger-test\.jsonl can't be written"):
        await journal.append([entry()])


# -- both -----------------------------------------------------------------------------------------


async def test_the_folder_is_made_at_the_start(tmp_path: Path) -> None:
    """With its parents; others of this machine don't read it."""
    state = MemoryState(tmp_path / "a/b", "dry_run", LAYOUT)
    await state.open()
    await state.open()

    assert 0 == state.folder.stat().st_mode & 0o007
    assert tmp_path / "a/b/ledger-dry_run.jsonl" == state.ledger.path
    await state.close()


async def test_a_folder_has_one_daemon_at_a_time(tmp_path: Path) -> None:
    """Two would read each event twice and write over each other; the second is told."""
    first, second = (MemoryState(tmp_path, "dry_run", LAYOUT) for _ in range(2))
    await first.open()
    with pytest.raises(StateError, match="in use by another daemon; stop that one"):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


async def test_a_folder_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    """A file stands in its place."""
    (tmp_path / "a").touch()

    with pytest.raises(StateError, match="set STATE_DIR to a folder that this user may write"):
        await MemoryState(tmp_path / "a/b", "dry_run", LAYOUT).open()


def test_wishes_of_a_dry_run_are_kept_apart() -> None:
    """Nothing that was never sent is taken off a real firewall, or put there."""
    assert ("pfsense", "dry_run", "dry_run") == (
        ledger_name("pfsense", dry_run=False),
        ledger_name("pfsense", dry_run=True),
        ledger_name("dry_run", dry_run=False),
    )
