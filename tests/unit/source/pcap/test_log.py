"""Reading what Suricata says of its run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ai_suricata.source.pcap.log import SuricataLog

if TYPE_CHECKING:
    from pathlib import Path

RULE = 'error parsing signature "alert foo bar" from file x.rules at line 1'


def said(path: Path, *messages: tuple[str, str, str]) -> SuricataLog:
    """Return a log of these levels, modules and messages."""
    entries = (
        {"log_level": level, "engine": {"message": message, "module": module}}
        for level, module, message in messages
    )
    (path / "log").write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    return SuricataLog(path / "log")


def test_a_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    """Suricata has not begun."""
    log = SuricataLog(tmp_path / "log")

    assert (False, "it said nothing", []) == (log.is_hopeless(), log.last_words(), log.hints())


def test_captures_that_were_not_read_whole_are_told(tmp_path: Path) -> None:
    """By their names, with the reason; what is no capture of ours is no matter."""
    one, two, three = (tmp_path / name for name in ("1.pcap", "2 for 2.pcap", "3.pcap"))
    log = said(
        tmp_path,
        ("Error", "pcap", f"error code -1 truncated dump file; tried 16, got 3 for {one}"),
        ("Error", "pcap", "datalink type 147 not (yet) supported"),
        ("Warning", "pcap", f"Failed to init pcap file {two}, skipping"),
        ("Warning", "pcap", f"Failed to init pcap file {tmp_path}/README, skipping"),
        ("Notice", "pcap", f"Failed to init pcap file {three}, skipping"),
    )

    assert [
        f"{one} was damaged, and read only up to there: truncated dump file; tried 16, got 3",
        f"{two} was passed over by Suricata: datalink type 147 not (yet) supported",
    ] == log.damage([one, two, three])


def test_a_relative_path_is_known_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Suricata is given the absolute one, and the user sees the one that was typed."""
    monkeypatch.chdir(tmp_path)
    log = said(tmp_path, ("Error", "pcap", f"error code -1 truncated for {tmp_path}/a.pcap"))
    (sentence,) = log.damage([(tmp_path / "a.pcap").relative_to(tmp_path)])

    assert "a.pcap was damaged, and read only up to there: truncated" == sentence


def test_rules_that_are_bad_or_missing_and_other_errors_are_hinted_at(tmp_path: Path) -> None:
    """Warnings are the operator's own business, and captures are told elsewhere."""
    log = said(
        tmp_path,
        ("Error", "detect-parse", "no rule options."),
        ("Error", "detect", RULE),
        ("Error", "detect", RULE.replace("1", "2")),
        ("Warning", "detect", "1 rule files specified, but no rules were loaded!"),
        ("Error", "pcap", "unknown file format"),
        ("Warning", "counters", "stats are enabled but no loggers are active"),
        ("Error", "conf", "something of another kind"),
    )

    assert [
        f"Suricata can't use 2 of its rules, the first: {RULE}",
        (
            "Suricata has no rules, so there are no alerts: run suricata-update, or name a file "
            "with --rules"
        ),
        "something of another kind",
    ] == log.hints()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe{\n{}\n[]\n\n",
        b'{"log_level": 7, "engine": []}\n',
        b'{"log_level": "Error", "engine": {"message": "\xff"}}\n',
        b"[" * 100_000,
        b'{"log_level": "Error", "engine": {"message": "cut',
    ],
)
def test_nothing_that_suricata_says_raises(tmp_path: Path, content: bytes) -> None:
    """Not even nonsense."""
    (tmp_path / "log").write_bytes(content)
    log = SuricataLog(tmp_path / "log")

    assert not log.is_hopeless()
    assert log.last_words()
    assert [] == log.damage([tmp_path / "a.pcap"])


def test_of_a_long_log_the_end_is_read(tmp_path: Path) -> None:
    """Tens of thousands of bad rules don't fill the memory."""
    log = said(tmp_path, *[("Error", "detect", RULE)] * 20_000, ("Error", "x", "the last"))

    assert log.last_words().endswith("the last")
    assert 20_000 > len(log.messages()) > 1000
