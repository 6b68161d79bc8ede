"""The fuzz run in short: damaged lines through the whole analysis, and what its harness notices."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from benchmarks import fuzz
from benchmarks.fuzz_mutation import READ, Mutator, seed_of

from ai_suricata import analysis
from ai_suricata.core.event import Event
from ai_suricata.core.event import decode as real_decode
from ai_suricata.features.extract import Extractor
from fakes import eve

if TYPE_CHECKING:
    from ai_suricata.core.event import Rejection

ROOT = Path(__file__).resolve().parents[2]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "benchmarks/fuzz.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", "tests", "src"])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _rows(output: str) -> dict[str, str]:
    """Return the table by the first column."""
    cells = [line.strip("│").split("│") for line in output.splitlines() if line.startswith("│")]
    return {name.strip(): value.strip() for name, value in cells}


def test_damaged_lines_are_events_or_rejections_and_none_raises() -> None:
    """The same seed gives the same table; every reason occurs."""
    first, second = _run("--lines", "15000"), _run("--lines", "15000")
    rows, again = _rows(first.stdout), _rows(second.stdout)

    assert (0, "15,000", "0", "0") == (
        first.returncode,
        rows["lines"],
        rows["raised"],
        rows["unaccounted"],
    )
    for reason in ("bad_time", "future", "not_json", "wrong_shape"):
        assert int(rows[f"rejected: {reason}"].replace(",", "")) > 0
    assert 5000 < int(rows["events"].replace(",", "")) < 12_000
    assert {**rows, "lines/s": ""} == {**again, "lines/s": ""}


def test_no_lines_prove_nothing() -> None:
    """A run that fed none is no success."""
    assert 1 == fuzz.report(fuzz.Outcome(seconds=1.0), 1)


def test_a_line_that_raises_is_found_and_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alone, among those of its batch; the others are counted all the same."""

    def decode(line: bytes) -> Event | Rejection:
        if b"poison" in line:
            raise KeyError("poisoned")
        return real_decode(line)

    monkeypatch.setattr(analysis, "decode", decode)
    harness = fuzz.Harness(tmp_path)
    harness.feed([eve.line(eve.http()), b"poison", b"{", eve.line(eve.flow())])
    harness.outcome.seconds = 1.0

    assert (4, 2, {"not_json": 1}, 0) == (
        harness.outcome.lines,
        harness.outcome.events,
        dict(harness.outcome.rejected),
        harness.outcome.unaccounted,
    )
    assert [(b"poison", True)] == [(found.line, found.alone) for found in harness.outcome.raised]
    assert 1 == fuzz.report(harness.outcome, 1)
    shown = capsys.readouterr().out
    assert "KeyError: 'poisoned'" in shown
    assert "b'poison'" in shown


def test_a_batch_that_raises_as_a_whole_is_told_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What depends on more than one line has no single one to blame."""
    real = analysis.Analysis.observe

    def observe(self: analysis.Analysis, decoded: analysis.Decoded) -> analysis.Result:
        if len(decoded.events) > 1:
            raise OverflowError
        return real(self, decoded)

    monkeypatch.setattr(analysis.Analysis, "observe", observe)
    harness = fuzz.Harness(tmp_path)
    harness.feed([eve.line(eve.http(at=at)) for at in (0, 10, 20)])

    assert [False] == [found.alone for found in harness.outcome.raised]
    assert (3, 0, False) == (
        harness.outcome.events,
        harness.outcome.unaccounted,
        harness.outcome.is_good,
    )


@pytest.mark.parametrize(("flaw", "unsound"), [("lost", 0), ("nan", 3), ("negative", 1)])
def test_a_line_that_is_lost_and_a_vector_that_is_wrong_are_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flaw: str, unsound: int
) -> None:
    """Nothing need be raised for it. For NaN the model raises: each line is then tried alone."""
    observe, decode = Extractor.observe, analysis.Analysis.decode

    def spoil(self: Extractor, *arguments: object) -> object:
        points = observe(self, *arguments)  # type: ignore[arg-type]  # as they came
        points.matrix[0, 0] = float("nan") if flaw == "nan" else -1.0
        return points

    def lose(
        self: analysis.Analysis, lines: list[bytes], latest: int, origins: list[tuple[str, int]]
    ) -> analysis.Decoded:
        return decode(self, lines[1:], latest, origins)

    if flaw == "lost":
        monkeypatch.setattr(analysis.Analysis, "decode", lose)
    else:
        monkeypatch.setattr(Extractor, "observe", spoil)
    harness = fuzz.Harness(tmp_path)
    harness.feed([eve.line(eve.http()), eve.line(eve.http(at=5))])

    assert (int(flaw == "lost"), unsound, False) == (
        harness.outcome.unaccounted,
        harness.outcome.unsound,
        harness.outcome.is_good,
    )


def test_the_members_of_a_line_are_found_wherever_they_are() -> None:
    """Names and values by their places, at every depth; of the read ones a list of their own."""
    line = rb'{"a":1, "b\"" : [{"url":"x,}"}, 2], "flow":{"start":null}}'
    seed = seed_of(line)

    assert [
        (b'"a"', b"1"),
        (b'"url"', b'"x,}"'),
        (rb'"b\""', rb'[{"url":"x,}"}, 2]'),
        (b'"start"', b"null"),
        (b'"flow"', b'{"start":null}'),
    ] == [(member.name, line[member.value : member.end]) for member in seed.members]
    assert {b'"url"', b'"start"', b'"flow"'} == {member.name for member in seed.read}
    assert all(line[member.start :].startswith(member.name) for member in seed.members)


def test_every_field_that_is_read_is_damaged() -> None:
    """Each gets another value in some line, so that no field is spared."""
    sound = fuzz.sound_lines()
    mutator = Mutator(sound, random.Random(1))  # noqa: S311 - nothing here is secret
    lines = [mutator.line() for _ in range(40_000)]
    damaged = b"".join(line for line in lines if len(line) < 9999)
    strange = (b"null", b"true", b"[]", b"{}", b"-1", b"1e30", b"NaN", b'""', b"0x1f", b"[[]]")

    assert [] == [
        name for name in READ if not any(b"%s:%s" % (name, value) in damaged for value in strange)
    ]
    assert {"flow", "alert", "http", "dns", "ftp", "anomaly", "tls"} <= {
        found.event_type for found in map(real_decode, sound) if isinstance(found, Event)
    }
