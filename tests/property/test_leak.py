"""Neither an address nor the date is evidence: the same traffic from others, at another time.

Addresses change places at random, each with one of its own kind (family, at home or not, private
or public). What recordings have in common, such as attackers who all come from one network, or
attacks that all fall on one day, would show here if a verdict had come to rest on it.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ai_suricata.core.address import parse_address
from ai_suricata.core.timestamp import MICROSECONDS, parse_timestamp
from ai_suricata.replay import Replay
from ai_suricata.study.dataset import find, sample
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ai_suricata.core.verdict import Level
    from ai_suricata.study.dataset import DataSet

    Judged = dict[str, tuple[Level, float, bool]]

SAMPLES = Path(__file__).parents[2] / "samples"
SHIFT = timedelta(hours=11_396)
"""1.3 years: another year, season, day of the week and time of day."""
SHIFT_IN_THE_HOUR = timedelta(seconds=41_024_880)
"""1.3 years, and hours begin in the midst of those before; whole slots of 30 seconds."""
ESTIMATED = 0.05
"""Score by which two estimates of the same number of hosts may differ."""
RECORDINGS = ("ctu-010-replay", "ndpi-benign-dev", "nmap-80-all", "cic2017-sqli")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_BATCH = 1000


@cache
def recording(name: str) -> DataSet:
    """Return a recording by its name; "lab" is the sample, which the repository holds."""
    if name == "lab":
        return sample(SAMPLES)
    return next(one for one in find(eve.DATA / "labelled") if one.name == name)


@cache
def records_of(name: str) -> tuple[Any, ...]:
    """Return its records as objects."""
    with gzip.open(recording(name).path) as file:
        return tuple(json.loads(line) for line in file if line.strip())


def judged(name: str, records: Iterable[Any]) -> Judged:
    """Return level and score of the worst verdict of each source, and whether it is blocked."""
    settings = recording(name).settings(eve.settings())
    lines = [json.dumps(record).encode() for record in records]
    batches = [lines[start : start + _BATCH] for start in range(0, len(lines), _BATCH)]
    report = Replay(settings).batches(batches)
    return {
        one.verdict.address: (one.verdict.level, one.verdict.score, one.blocked)
        for one in report.sources
    }


@cache
def untouched(name: str) -> Judged:
    """Return the verdicts of a recording as it is."""
    return judged(name, records_of(name))


def changed(value: Any, change: Callable[[str], str]) -> Any:  # noqa: ANN401 - JSON
    """Return JSON with `change` applied to each text in it."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [changed(one, change) for one in value]
    if isinstance(value, dict):
        return {key: changed(one, change) for key, one in value.items()}
    return value


def later(by: timedelta, text: str) -> str:
    """Return a time moved, in Suricata's spelling; any other text as it is."""
    if not _TIME.match(text):
        return text
    seconds, micros = divmod(parse_timestamp(text), MICROSECONDS)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros) + by
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")


def places(name: str, seed: int) -> dict[str, str]:
    """Return for each address of a recording whose place it takes."""
    data_set = recording(name)
    home = data_set.settings(eve.settings()).features.home_net
    kinds: dict[object, list[str]] = {}
    for text in sorted(_addresses(records_of(name))):
        address = ip_address(text)
        at_home = any(address in network for network in home)
        # Of a group, or a broadcast address: nobody who could answer.
        group = address.is_multicast or address.is_unspecified or address.packed[-1] == 255
        if not (group or address.is_loopback or address.is_link_local):
            kinds.setdefault((address.version, at_home, address.is_private), []).append(text)
    shuffle = random.Random(seed)  # noqa: S311 - nothing here is secret
    found: dict[str, str] = {}
    for members in kinds.values():
        others = members.copy()
        shuffle.shuffle(others)
        found |= dict(zip(members, others, strict=True))
    return found


def _addresses(records: Sequence[Any]) -> set[str]:
    ends = (record.get(name) for record in records for name in ("src_ip", "dest_ip"))
    return {str(parse_address(text)) for text in ends if text}


def moved(to: Mapping[str, str], text: str) -> str:
    """Return the address that takes the place of one; any other text as it is."""
    try:
        return to.get(str(parse_address(text)), text)
    except ValueError:
        return text


EVERYWHERE = [
    "lab",
    *(pytest.param(name, marks=eve.needs_data) for name in RECORDINGS),
]


@pytest.mark.parametrize("name", EVERYWHERE)
def test_the_date_is_no_evidence(name: str) -> None:
    """Every source has the same score 1.3 years later, to the digit."""
    shifted = [changed(record, partial(later, SHIFT)) for record in records_of(name)]

    assert shifted != list(records_of(name))
    assert untouched(name) == judged(name, shifted)


@pytest.mark.parametrize("name", EVERYWHERE[:1] + EVERYWHERE[2:3])
def test_where_an_hour_begins_changes_no_level(name: str) -> None:
    """In how many hours of the day a source was active depends on it a little."""
    shifted = [changed(record, partial(later, SHIFT_IN_THE_HOUR)) for record in records_of(name)]

    assert {} == differing(untouched(name), judged(name, shifted))


@pytest.mark.parametrize("name", EVERYWHERE)
def test_an_address_is_no_evidence(name: str) -> None:
    """Every source is judged the same under the address of another."""
    to = places(name, seed=7)
    swapped = [changed(record, partial(moved, to)) for record in records_of(name)]
    expected = {to.get(address, address): found for address, found in untouched(name).items()}

    assert len(to) > 1
    assert {} == differing(expected, judged(name, swapped))


def differing(expected: Judged, found: Judged) -> dict[str, object]:
    """Return the sources that are judged otherwise, with both judgements.

    Distinct hosts are estimated by hashes of their addresses, so a source whose score lies just
    beside a threshold may fall on its other side; nobody may be blocked for that.
    """
    assert expected.keys() == found.keys()
    return {
        address: (before, found[address])
        for address, before in expected.items()
        if not _alike(before, found[address])
    }


def _alike(one: tuple[Level, float, bool], other: tuple[Level, float, bool]) -> bool:
    near = abs(one[1] - other[1]) <= ESTIMATED
    return one[2] == other[2] and (one[0] == other[0] or near)
