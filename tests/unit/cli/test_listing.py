"""Tables: what an attacker has a say in moves no cursor and hides nothing."""

from __future__ import annotations

import pytest
import typer

from ai_suricata.cli.listing import write_table
from ai_suricata.cli.outcome import Exit, fail


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


HOSTILE = "a\x1b[2Jb\x9b31mc\x07d\u202ee\u2066f\rg"
SEEN = r"a\x1b[2Jb\x9b31mc\x07d\u202ee\u2066f\x0dg"


def test_what_can_not_be_seen_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    """In every cell and in the title: escape sequences, C1 controls, marks of direction."""
    write_table(f"[red]{HOSTILE}", ("one", "two"), [(HOSTILE, HOSTILE)])
    text = capsys.readouterr().out

    assert 3 == text.count(SEEN)
    assert f"[red]{SEEN}" in text
    assert not {"\x1b", "\x9b", "\x07", "\u202e", "\u2066", "\r"} & set(text)


def test_only_the_last_column_has_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A line end anywhere else would forge a row."""
    write_table("t", ("one", "two"), [("x\ny", "first\nsecond")])
    text = capsys.readouterr().out

    assert r"x\x0ay" in text
    rows = [line.split("│")[1:3] for line in text.splitlines() if line.startswith("│")]
    assert [[r"x\x0ay", "first"], ["", "second"]] == [[c.strip() for c in row] for row in rows]


def test_what_goes_wrong_is_told_without_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A firewall's words, or a file's, stand in it."""
    with pytest.raises(typer.Exit):
        fail(Exit.FAILED, f"pf says {HOSTILE}")

    assert f"ai-suricata: pf says {SEEN}\n" == capsys.readouterr().err
