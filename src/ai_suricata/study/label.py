"""Labels: what each address of a recorded file was, as whoever made the traffic says.

Two shapes are read. A labels file of one recording has a row for each address and at least the
columns `ip` and `label`; the lab adds role, handshake, tool and campaign. A file of several
recordings has the column `eve_file` besides.
"""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ai_suricata.core.address import parse_address
from ai_suricata.core.errors import AiSuricataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MOST_LABELS = 1_000_000
"""Rows of a labels file; a longer one is refused."""


class DataSetError(AiSuricataError):
    """A data set or its labels can't be used. The text names the file, the line and the remedy."""


class Truth(StrEnum):
    """What an address was."""

    MALICIOUS = "malicious"
    BENIGN = "benign"
    SPOOFED = "spoofed"
    """Somebody forged it as a source: it never sent a packet itself."""
    COMPROMISED = "compromised"
    """A host of the home network that does what an intruder wants."""
    UNKNOWN = "unknown"
    UNSURE = "unsure"


ALLOWED_SCANNER = "allowed-scanner"
"""Role of a scanner that the operator has ordered: benign, and on NEVER_BLOCK."""


@dataclass(frozen=True, slots=True)
class Label:
    """What one address of one recording was."""

    address: str
    """Canonical text."""
    truth: Truth
    role: str = ""
    tool: str = ""
    campaign: str = ""
    """Name that the sources of a distributed attack share."""

    @property
    def allowed(self) -> bool:
        """Whether it scans because the operator wants it to."""
        return self.role == ALLOWED_SCANNER


def read_labels(path: Path) -> dict[str, Label]:
    """Return the labels of one recording by address. Raises `DataSetError`."""
    found = dict(_of_files(path, keyed=False))
    return found.get("", {})


def read_labels_by_file(path: Path) -> dict[str, dict[str, Label]]:
    """Return the labels of several recordings, by the name of the file. Raises `DataSetError`."""
    return dict(_of_files(path, keyed=True))


def _of_files(path: Path, *, keyed: bool) -> dict[str, dict[str, Label]]:
    found: dict[str, dict[str, Label]] = {}
    for number, row in _rows(path, ("eve_file", "ip", "label") if keyed else ("ip", "label")):
        label = _label(row, f"{path}, line {number}")
        of_file = found.setdefault((row.get("eve_file") or "") if keyed else "", {})
        before = of_file.setdefault(label.address, label)
        if before.truth is not label.truth:
            raise DataSetError(
                f"{path}, line {number}: {label.address} is {before.truth} above and "
                f"{label.truth} here; leave one of the two"
            )
    return found


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield line number and row of a CSV file, plain or gzip'd."""
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataSetError(f"{path} can't be read: {error}; name a CSV file of labels") from error
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise DataSetError(f"{path} lacks the column {missing[0]}; it needs {', '.join(needed)}")
    for count, row in enumerate(reader):
        if count >= MOST_LABELS:
            raise DataSetError(f"{path} has more than {MOST_LABELS} rows; cut it")
        yield reader.line_num, {name: value or "" for name, value in row.items() if name}


def _label(row: Mapping[str, str], place: str) -> Label:
    try:
        address = str(parse_address(row["ip"]))
    except ValueError:
        raise DataSetError(f"{place}: {row['ip']!r} is no address; correct it") from None
    try:
        truth = Truth(row["label"])
    except ValueError:
        known = ", ".join(Truth)
        raise DataSetError(f"{place}: {row['label']!r} is no label; write one of {known}") from None
    names = (row.get(name, "") for name in ("role", "tool", "campaign"))
    return Label(address, truth, *names)
