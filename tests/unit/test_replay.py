"""Recorded files through the code that serves live."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from ai_suricata.classify.artifact import dump, load
from ai_suricata.cli.replay import as_object
from ai_suricata.core.verdict import Action, Level
from ai_suricata.replay import Replay, eve_batches, learn, learn_batches
from fakes import eve

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.eve import Record

_RECORDS = [
    *(eve.login(at=n) for n in range(80)),
    *(eve.silent(eve.PEER, at=n * 0.1, port=n) for n in range(1, 200)),
    *(eve.login(eve.WORKSTATION, eve.SERVER, at=n) for n in range(80)),
    *(eve.flow("192.0.2.77", at=n) for n in range(5)),
]


def written(path: Path, records: list[Record], style: str = "lines") -> Path:
    """Write the records to a file in one of the ways in which they occur."""
    text = {
        "lines": lambda: "".join(f"{json.dumps(record)}\n" for record in records),
        "without an end": lambda: "\n".join(map(json.dumps, records)),
        "blank lines": lambda: "\n\n".join(map(json.dumps, records)),
        "pretty array": lambda: json.dumps(records, indent=2),
        "one-line array": lambda: json.dumps(records),
        "indented array": lambda: "  " + json.dumps(records, indent=1),
    }[style]().encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a recorded file with two attackers, a home host and a client."""
    return written(tmp_path / "eve.json", _RECORDS)


def test_each_source_is_listed_once_with_the_worst_that_it_reached(file: Path) -> None:
    """The worst first: by what would be done, then by score."""
    sources = Replay(eve.settings()).file(file).sources

    assert [
        (eve.STRANGER, Action.BLOCK, True),
        (eve.PEER, Action.RATE_LIMIT, False),
        (eve.WORKSTATION, Action.MONITOR, False),
        ("192.0.2.77", Action.IGNORE, False),
    ] == [(s.verdict.address, s.verdict.action, s.blocked) for s in sources]
    assert [Level.CRITICAL] * 3 + [Level.INFO] == [s.verdict.level for s in sources]


def test_the_worst_verdict_stays_though_the_source_is_quiet_afterwards(file: Path) -> None:
    """An hour later its window holds one harmless connection."""
    written(file, [*_RECORDS, eve.flow(at=3600)])
    source = Replay(eve.settings()).file(file).sources[0]

    assert (eve.STRANGER, Level.CRITICAL, True) == (
        source.verdict.address,
        source.verdict.level,
        source.blocked,
    )


def test_a_source_is_summed_up_over_the_whole_file(file: Path) -> None:
    """Events, alerts, and the event times of the first and the last."""
    record = eve.alert(at=300)
    written(file, [*_RECORDS, record])
    found = {s.verdict.address: s for s in Replay(eve.settings()).file(file).sources}
    attacker = found[eve.STRANGER]

    assert (81, 1) == (attacker.events, attacker.alerts)
    assert (eve.START * 10**6, (eve.START + 300) * 10**6) == (
        attacker.first_seen,
        attacker.last_seen,
    )


def test_the_object_of_a_source_has_exactly_the_fields_that_scripts_rely_on(file: Path) -> None:
    """Times are ISO 8601 in UTC, names are those of the contract, and it all goes into JSON."""
    source = Replay(eve.settings()).file(file).sources[0]
    found = as_object(file, source)

    assert [
        "file",
        "ip",
        "score",
        "level",
        "action",
        "blocked",
        "alerts",
        "events",
        "first_seen",
        "last_seen",
        "reasons",
    ] == list(found)
    assert "2023-11-14T22:13:30.000000Z" == found["first_seen"]
    assert ("CRITICAL", "BLOCK", True) == (found["level"], found["action"], found["blocked"])
    assert found == json.loads(json.dumps(found))


def test_the_last_moment_of_time_can_be_listed(tmp_path: Path) -> None:
    """A record of the year 9999 is odd, and no reason to fail."""
    late = eve.http() | {"timestamp": "9999-12-31T23:59:59.999999Z"}
    path = written(tmp_path / "eve.json", [late])
    source = Replay(eve.settings()).file(path).sources[0]

    assert "9999-12-31T23:59:59.999999Z" == as_object(path, source)["last_seen"]


def test_the_same_input_gives_the_same_output_twice(file: Path) -> None:
    """Learning included: its chance has a seed."""
    chosen = eve.settings(TRAINING_EVENTS="100")
    twice = [Replay(chosen).file(file).sources for _ in range(2)]

    assert twice[0] == twice[1]
    assert twice[0][0].verdict.model_version == twice[1][0].verdict.model_version


@pytest.mark.parametrize("name", ["eve.json", "eve.json.gz"])
@pytest.mark.parametrize(
    "style",
    [
        "lines",
        "without an end",
        "blank lines",
        "pretty array",
        "one-line array",
        "indented array",
    ],
)
def test_every_way_of_writing_a_file_gives_the_same_sources(
    file: Path, tmp_path: Path, name: str, style: str
) -> None:
    """Plain or gzip'd, lines or one JSON array. gzip is known by its content, not its name."""
    chosen = eve.settings()
    expected = Replay(chosen).file(file)
    found = Replay(chosen).file(written(tmp_path / name, _RECORDS, style))
    renamed = (tmp_path / name).rename(tmp_path / "other.log")

    assert expected == found
    assert {} == found.rejected
    assert expected == Replay(chosen).file(renamed)


@pytest.mark.parametrize("size", ["1", "7", "1000"])
def test_the_size_of_a_batch_does_not_show(file: Path, size: str) -> None:
    """In no field of any source."""
    expected = Replay(eve.settings(TRAINING_EVENTS="100")).file(file)

    assert expected == Replay(eve.settings(TRAINING_EVENTS="100", BATCH_SIZE=size)).file(file)


def test_a_file_without_events_has_no_sources(tmp_path: Path) -> None:
    """An empty one, one of blank lines, and an empty array."""
    for number, text in enumerate((b"", b"\n\n", b"[]", b"[\n]\n", gzip.compress(b""))):
        path = tmp_path / f"{number}.json"
        path.write_bytes(text)
        report = Replay(eve.settings()).file(path)
        assert ([], 0, {}) == (report.sources, report.events, report.rejected)


def test_bad_lines_are_counted_by_reason(tmp_path: Path) -> None:
    """And an array that is cut short is read as lines, which are none."""
    path = tmp_path / "eve.json"
    path.write_bytes(b"x\n{}\n" + eve.line(eve.flow()) + b"\nnot json\n")
    report = Replay(eve.settings()).file(path)
    assert (1, {"not_json": 2, "wrong_shape": 1}) == (report.events, report.rejected)

    path.write_bytes(b"[\n" + eve.line(eve.flow()) + b",\n")
    assert 2 == sum(Replay(eve.settings()).file(path).rejected.values())


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-4],
        lambda content: content[:5],
        lambda content: content[:40] + bytes(40) + content[80:],
        lambda content: content[:-8] + b"\xff" * 4 + content[-4:],
    ],
    ids=["cut in half", "cut at the end", "cut in the header", "overwritten", "checksum"],
)
def test_a_damaged_gzip_file_is_an_oserror(tmp_path: Path, damage: object) -> None:
    """Whichever part of it is damaged, and however it is read: lines or an array."""
    assert callable(damage)
    for style in ("lines", "pretty array"):
        path = written(tmp_path / "eve.json.gz", _RECORDS, style)
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(OSError, match=r".+"):
            Replay(eve.settings()).file(path)


def test_a_file_that_is_missing_is_an_oserror(tmp_path: Path) -> None:
    """As `open` raises it."""
    with pytest.raises(FileNotFoundError):
        Replay(eve.settings()).file(tmp_path / "none.json")


def test_each_file_can_begin_with_fresh_state(file: Path) -> None:
    """Private addresses mean other hosts in another file; kept, counters go on."""
    runner = Replay(eve.settings(TRAINING_EVENTS="100"))
    first = runner.file(file)
    kept = runner.file(file)
    runner.forget()

    assert first == runner.file(file)
    assert 2 * first.sources[0].events == kept.sources[0].events


def test_progress_ends_with_the_size_of_the_file(tmp_path: Path) -> None:
    """In bytes of the file as it lies on disk, and never backwards."""
    for name in ("eve.json", "eve.json.gz"):
        path = written(tmp_path / name, _RECORDS)
        told: list[int] = []
        Replay(eve.settings(BATCH_SIZE="50")).file(path, told.append)
        assert sorted(told) == told
        assert path.stat().st_size == told[-1]


def test_an_address_that_must_not_be_blocked_is_not_blocked(file: Path) -> None:
    """Its verdict stays what it is."""
    source = Replay(eve.settings(NEVER_BLOCK="203.0.113.0/24")).file(file).sources[0]

    assert (eve.STRANGER, Action.BLOCK, False) == (
        source.verdict.address,
        source.verdict.action,
        source.blocked,
    )


def test_a_source_that_went_cold_in_a_full_table_keeps_its_verdict(tmp_path: Path) -> None:
    """Its counters are gone, and are not made up."""
    crowd = [eve.flow(f"198.18.{n // 200}.{n % 200}", at=100 + n) for n in range(400)]
    path = written(tmp_path / "eve.json", [*_RECORDS, *crowd])
    found = {
        s.verdict.address: s for s in Replay(eve.settings(MAX_SOURCES="100")).file(path).sources
    }
    attacker = found[eve.STRANGER]

    assert (True, 0) == (attacker.blocked, attacker.events)
    assert as_object(path, attacker)["first_seen"] is None


def test_a_model_that_was_learned_serves_from_the_first_event(file: Path) -> None:
    """And says its version; stored and loaded, it comes to the same."""
    chosen = eve.settings()
    model = learn(chosen, [file, file])
    found = Replay(chosen, model).file(file)

    assert {model.version} == {source.verdict.model_version for source in found.sources}
    assert found == Replay(chosen, load(dump(model))).file(file)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batches_from_elsewhere_are_worth_what_a_file_of_them_is(file: Path, size: int) -> None:
    """Their verdicts and their model, however they are cut."""
    chosen = eve.settings()
    expected = Replay(chosen).file(file)

    assert expected == Replay(chosen).batches(eve_batches(file, size))
    model = learn_batches(chosen, eve_batches(file, size))
    assert learn(chosen, [file]).version == model.version


def test_nothing_can_be_learned_from_files_without_addresses(tmp_path: Path) -> None:
    """The refusal names the remedy."""
    path = written(tmp_path / "eve.json", [eve.other("stats")])
    with pytest.raises(ValueError, match="give events that carry addresses"):
        learn(eve.settings(), [path])
