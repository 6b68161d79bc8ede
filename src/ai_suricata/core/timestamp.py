"""EVE timestamps as whole microseconds since the epoch.

Suricata writes `2022-06-12T21:58:25.152482+0000`; other writers leave out the zone, write `Z` or
`+00:00`, or seven fractional digits. Whole numbers keep windows exact however a batch is cut.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 19  # length of 2022-06-12T21:58:25
_FRACTION = 6
_USUAL = 31  # length of 2022-06-12T21:58:25.152482+0000
_LATEST = 253_402_300_800 * MICROSECONDS  # the year 10000, where datetime ends


def parse_timestamp(text: str) -> int:
    """Return microseconds since the epoch; a text without a zone is UTC.

    Raises ValueError where the text is no timestamp.
    """
    if len(text) == _USUAL and text[_SECOND] == "." and text[-5] in "+-":
        digits = text[_SECOND + 1 : -5]  # a shorter way for what Suricata itself writes
        if digits.isascii() and digits.isdigit():
            return _second(text[:_SECOND], text[-5:]) + int(digits)
    rest = text[_SECOND:]
    fraction = 0
    if rest[:1] in {".", ","}:  # ISO 8601 allows both
        digits = rest[1:].rstrip("Zz")
        sign = max(digits.find("+"), digits.find("-"))
        zone = digits[sign:] if sign >= 0 else ""
        digits = digits[:sign] if sign >= 0 else digits
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError(f"timestamp {text!r} has a fraction that is no number")
        fraction = int(digits[:_FRACTION].ljust(_FRACTION, "0"))
    else:
        zone = rest.rstrip("Zz")
    return _second(text[:_SECOND], zone) + fraction


@lru_cache(maxsize=4096)
def _second(text: str, zone: str) -> int:
    """Microseconds of a whole second: events come in runs of one, so a parse serves many."""
    moment = datetime.fromisoformat(text + zone)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    micros = int(moment.timestamp()) * MICROSECONDS
    if not 0 <= micros < _LATEST:
        raise ValueError(f"timestamp {text!r} lies before 1970 or after 9999")
    return micros


def format_timestamp(micros: int) -> str:
    """Return the moment as ISO 8601 in UTC, to the microsecond."""
    # Not `fromtimestamp`: a float of seconds loses the microseconds of a late year.
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
