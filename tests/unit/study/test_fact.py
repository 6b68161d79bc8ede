"""What Suricata wrote of each address, counted apart from our own features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.study.fact import Facts, facts_of
from fakes import eve
from unit.study import recording

if TYPE_CHECKING:
    from pathlib import Path


def test_flows_count_for_who_opened_them(tmp_path: Path) -> None:
    """And as answered for the other side, by canonical address."""
    long = "2001:0db8:0000:0000:0000:0000:0000:0001"
    path = recording.written(
        tmp_path / "eve.json.gz",
        [eve.flow(port=443), eve.refused(port=81), eve.flow(src=long, port=80), eve.http()],
    )
    found = facts_of(path)

    assert (2, 0) == (found[eve.STRANGER].flows, found[eve.STRANGER].answered)
    assert {"tcp/443": 1, "tcp/81": 1} == found[eve.STRANGER].ports
    assert 1 == found["2001:db8::1"].flows
    assert (0, 3) == (found[eve.SERVER].flows, found[eve.SERVER].answered)


def test_an_alert_counts_for_the_opener_and_for_whom_it_names(tmp_path: Path) -> None:
    """A baseline blocks whom it names, which may be the victim; severity 3 is not severe."""
    path = recording.written(
        tmp_path / "eve.json.gz",
        [
            eve.alert(eve.SERVER, eve.STRANGER, opener=eve.STRANGER, severity=2),
            eve.alert(eve.STRANGER, severity=3),
        ],
    )
    found = facts_of(path)

    assert (2, 1, 0) == (
        found[eve.STRANGER].alerts,
        found[eve.STRANGER].named,
        found[eve.STRANGER].named_severe,
    )
    assert (0, 1, 1) == (
        found[eve.SERVER].alerts,
        found[eve.SERVER].named,
        found[eve.SERVER].named_severe,
    )


def test_strong_is_five_flows_or_two_alerts() -> None:
    """As the goals are worded."""
    assert [False, True, False, True] == [
        facts.is_strong()
        for facts in (Facts(flows=4), Facts(flows=5), Facts(alerts=1), Facts(alerts=2))
    ]
