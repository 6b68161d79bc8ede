"""Two models over the same events: what one would have blocked and the other would not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ai_suricata.comparison import Comparison, Disagreement
from ai_suricata.core.verdict import Level
from fakes import eve
from fakes.pair import blind, by_patterns

if TYPE_CHECKING:
    from ai_suricata.comparison import ComparisonReport
    from fakes.eve import Record

RECORDS = [eve.login(at=n) for n in range(80)] + [eve.flow("192.0.2.77", at=n) for n in range(5)]
FEW = [eve.login("192.0.2.8", at=n) for n in range(14)]


def compared(records: list[Record], size: int = 1000) -> ComparisonReport:
    """Return what the two models differ on, the lines being handed over in batches of `size`."""
    comparison = Comparison(eve.settings(), by_patterns(), blind())
    lines = [eve.line(record) for record in records]
    return comparison.batches(lines[at : at + size] for at in range(0, len(lines), size))


def test_a_block_of_one_alone_is_listed_with_its_reasons() -> None:
    """A client on which both agree is only counted."""
    report = compared(RECORDS)
    (pair,) = report.pairs

    assert (85, 2, (1, 0)) == (report.events, report.sources, report.blocked)
    assert Disagreement.ONLY_FIRST is pair.disagreement
    assert (eve.STRANGER, Level.CRITICAL, Level.INFO) == (
        pair.first.verdict.address,
        pair.first.verdict.level,
        pair.second.verdict.level,
    )
    assert any("brute force" in reason for reason in pair.first.verdict.reasons)


def test_turned_round_it_is_the_other_ones_block() -> None:
    """First and second are told apart."""
    comparison = Comparison(eve.settings(), blind(), by_patterns())
    report = comparison.batches([[eve.line(record) for record in RECORDS]])

    assert (0, 1) == report.blocked
    assert [Disagreement.ONLY_SECOND] == [pair.disagreement for pair in report.pairs]
    assert (0, 1, 0) == tuple(report.count(kind) for kind in Disagreement)


def test_another_level_without_a_block_comes_after_the_blocks() -> None:
    """Levels are counted in pairs, those that agree too."""
    report = compared(FEW + RECORDS)
    kinds = [pair.disagreement for pair in report.pairs]

    assert [Disagreement.ONLY_FIRST, Disagreement.LEVEL] == kinds
    assert 1 == report.levels[Level.CRITICAL, Level.INFO]
    assert 3 == report.levels.total()


def test_a_model_and_itself_differ_in_nothing() -> None:
    """Neither in a source nor in a score."""
    comparison = Comparison(eve.settings(), by_patterns(), by_patterns())
    report = comparison.batches([[eve.line(record) for record in RECORDS]])

    assert ([], 0.0) == (report.pairs, report.mean_difference)
    assert report.rows > 0


@pytest.mark.parametrize("size", [1, 7, 64])
def test_batches_do_not_show(size: int) -> None:
    """The same sources, levels and rows, however the lines are cut."""
    whole, cut = compared(RECORDS), compared(RECORDS, size)

    assert whole.pairs == cut.pairs
    assert (whole.levels, whole.rows) == (cut.levels, cut.rows)
    assert pytest.approx(whole.mean_difference) == cut.mean_difference


def test_each_file_begins_with_fresh_state() -> None:
    """After `forget`, as a replay does."""
    comparison = Comparison(eve.settings(), by_patterns(), blind())
    lines = [[eve.line(record) for record in RECORDS]]
    first = comparison.batches(lines)
    comparison.forget()
    again = comparison.batches(lines)

    assert (first.events, first.rows, first.pairs) == (again.events, again.rows, again.pairs)
