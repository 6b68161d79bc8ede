"""Timestamps as whole microseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_suricata.core.timestamp import format_timestamp, parse_timestamp

_SECOND = 1_655_071_105_000_000  # 2022-06-12T21:58:25Z
_LAST = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("2022-06-12T21:58:25.152482+0000", 152_482),
        ("2022-06-12T21:58:25.152482+00:00", 152_482),
        ("2022-06-12T21:58:25.152482Z", 152_482),
        ("2022-06-12T21:58:25.152482", 152_482),
        ("2022-06-12T21:58:25,152482+0000", 152_482),
        ("2022-06-12T21:58:25.1524829+0000", 152_482),
        ("2022-06-12T21:58:25.1524829Z", 152_482),
        ("2022-06-12T21:58:25.1524829", 152_482),
        ("2022-06-12T21:58:25.15248297312", 152_482),
        ("2022-06-12T21:58:25.152", 152_000),
        ("2022-06-12T21:58:25.152+0000", 152_000),
        ("2022-06-12T21:58:25", 0),
        ("2022-06-12T21:58:25Z", 0),
        ("2022-06-12T21:58:25+0000", 0),
        ("2022-06-12T23:58:25.152482+0200", 152_482),
        ("2022-06-12T23:58:25.152482+02:00", 152_482),
        ("2022-06-12T16:28:25.152482-0530", 152_482),
        ("2022-06-12T16:28:25-05:30", 0),
    ],
)
def test_every_way_of_writing_a_moment_is_the_same_moment(text: str, fraction: int) -> None:
    """With or without zone, in both forms, with 0, 3, 6 or 7 fractional digits."""
    assert _SECOND + fraction == parse_timestamp(text)


@pytest.mark.parametrize("zone", ["", "Z", "z", "+0000", "-0000", "+00:00"])
@pytest.mark.parametrize("digits", ["", *("152482973"[:length] for length in range(1, 10))])
def test_a_fraction_may_have_any_number_of_digits(digits: str, zone: str) -> None:
    """What is finer than a microsecond is left out, not rounded: time never goes forwards."""
    text = "2022-06-12T21:58:25" + ("." if digits else "") + digits + zone

    assert _SECOND + int(digits[:6].ljust(6, "0")) == parse_timestamp(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2022",
        "2022-06-31T00:00:00Z",
        "2022-06-12T25:00:00Z",
        "2022-06-12T21:58:25.15x482Z",
        "2022-06-12T21:58:25.1_2Z",
        "2022-06-12T21:58:25. 12Z",
        "2022-06-12T21:58:25.\u0661\u0662Z",
        "2022-06-12T21:58:25.Z",
        "2022-06-12T21:58:25.+0000",
        "2022-06-12T21:58:25.152482+00x0",
        "2022-06-12T21:58:25.1524x2+0000",
        "2022-06-12T21:58:25.15248\u0662+0000",
        "2022-06-12T21:58:60Z",
        "1655071105",
        "\ufffd022-06-12T21:58:25.152482+0000",
        "2022-06-12T21:58:25.152482+99:00",
        "2022-06-12T21:58:25+0000trailing",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+0100",
        "9999-12-31T23:59:59-0100",
        "\x00" * 19,
    ],
)
def test_what_is_no_timestamp_raises_value_error(text: str) -> None:
    """Nothing is guessed: a text that is no moment, or one outside 1970 to 9999, is refused."""
    with pytest.raises(ValueError, match=r".*"):
        parse_timestamp(text)


def test_the_first_and_the_last_moment_are_timestamps() -> None:
    """1970 and 9999 are still in range."""
    assert 0 == parse_timestamp("1970-01-01T00:00:00Z")
    assert _LAST == parse_timestamp("9999-12-31T23:59:59.999999Z")


@given(st.integers(min_value=0, max_value=_LAST))
def test_a_moment_that_is_written_reads_back_to_the_microsecond(micros: int) -> None:
    """No digit is lost on the way through text, in any year."""
    assert micros == parse_timestamp(format_timestamp(micros))


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)))  # noqa: DTZ001 - bounds are naive
def test_a_moment_agrees_with_the_standard_library(moment: datetime) -> None:
    """Counted from the epoch in whole microseconds."""
    since = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    expected = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

    assert expected == parse_timestamp(moment.isoformat(timespec="microseconds") + "+0000")


@given(st.text(max_size=40))
def test_any_text_is_a_timestamp_or_a_value_error(text: str) -> None:
    """No other exception comes out of it."""
    try:
        micros = parse_timestamp(text)
    except ValueError:
        return
    assert 0 <= micros <= _LAST
