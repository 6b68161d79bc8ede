"""What CrowdSec 1.4 of Debian, with its own Suricata scenarios, would ban in recorded events.

`PYTHONPATH=. python benchmarks/crowdsec.py PLACE... [--home-net N,N] [--private] [--format F]`. A
place is an eve file, plain or gzip'd, or a folder of labelled recordings, which says itself who is
at home and who is an attacker. `--private`: judge private addresses too, which Debian exempts.
Needs crowdsec (Debian); exit code 2 where it is missing, 1 where a file can't be judged.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ai_suricata.config.kinds import networks_of
from ai_suricata.core.errors import AiSuricataError
from ai_suricata.study.crowdsec import CrowdSecAbsentError, judge
from ai_suricata.study.dataset import find
from ai_suricata.study.label import Truth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ai_suricata.core.address import Network
    from ai_suricata.study.label import Label

_COLUMNS = ("malicious", "banned", "reported", "benign", "banned", "reported", "others banned")
_WIDTH = 10


@dataclass(frozen=True)
class Recording:
    """One file that is judged; without labels where none are known."""

    path: Path
    home: tuple[Network, ...]
    labels: Mapping[str, Label] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """Whom CrowdSec banned and reported in one recording, by what they were."""

    recording: Recording
    banned: frozenset[str]
    reported: frozenset[str]

    def row(self) -> list[int]:
        """Return the figures of `_COLUMNS`; sources without one of the two labels are others."""
        labels = self.recording.labels
        sums = [Counter(labels[ip].truth for ip in ips if ip in labels) for ips in self._groups()]
        known = sum(sums[1][truth] for truth in (Truth.MALICIOUS, Truth.BENIGN))
        malicious = [counted[Truth.MALICIOUS] for counted in sums]
        benign = [counted[Truth.BENIGN] for counted in sums]
        return [*malicious, *benign, len(self.banned) - known]

    def line(self) -> str:
        """Return the sources as one line of JSON."""
        told = {
            "file": str(self.recording.path),
            "banned": sorted(self.banned),
            "reported": sorted(self.reported),
        }
        return json.dumps(told)

    def _groups(self) -> tuple[frozenset[str], ...]:
        return frozenset(self.recording.labels), self.banned, self.reported


def main(words: Sequence[str] | None = None) -> int:
    """Judge each place; return the exit code."""
    asked = _arguments().parse_args(words)
    try:
        if asked.format == "table":
            print(_line("file", _COLUMNS))
        for outcome in outcomes(asked.places, asked.home_net, private=asked.private):
            named = _line(outcome.recording.path.name, outcome.row())
            print(named if asked.format == "table" else outcome.line(), flush=True)
    except CrowdSecAbsentError as error:
        print(error, file=sys.stderr)
        return 2
    except (AiSuricataError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def outcomes(
    places: Sequence[Path], home: tuple[Network, ...], *, private: bool
) -> Iterator[Outcome]:
    """Yield what comes of each recording; raises what `judge` and `find` raise."""
    for recording in [one for place in places for one in _recordings(place, home)]:
        judgement = judge(recording.path, recording.home, private=private)
        yield Outcome(recording, judgement.banned, judgement.reported)


def _recordings(place: Path, home: tuple[Network, ...]) -> list[Recording]:
    if place.is_dir():
        return [Recording(one.path, home or one.home, one.labels) for one in find(place)]
    return [Recording(place, home)]


def _line(name: str, cells: Sequence[object]) -> str:
    return f"{name:<40}" + "".join(f"{cell!s:>{max(_WIDTH, len(str(cell)) + 2)}}" for cell in cells)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("places", nargs="+", type=Path, metavar="PLACE")
    parser.add_argument(
        "--home-net", type=lambda text: networks_of(text.split(",")), default=(), metavar="N,N"
    )
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--format", choices=("table", "jsonl"), default="table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
