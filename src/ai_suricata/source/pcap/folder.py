"""What a name stands for: a capture, a folder of captures, or eve files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ai_suricata.core.timestamp import parse_timestamp
from ai_suricata.source.pcap.capture import InputError, Kind, first_packet, kind_of, read_head

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TIMESTAMP = re.compile(rb'"timestamp"\s*:\s*"([^"]+)"')
_DISORDER = (
    "Suricata reads a folder in the order of the files' last change, which is not that of their "
    "packets ({0}, {1}): flows that cross from one capture into the next may be torn. "
    "Give each file the time of its first packet, e.g. touch -d @{2:.3f} {3}"
)


@dataclass(frozen=True, slots=True)
class Capture:
    """What Suricata reads in one run."""

    path: Path
    """A capture, or the folder of the captures."""
    files: tuple[Path, ...]
    """The captures that hold packets, in the order in which Suricata reads them."""
    hints: tuple[str, ...] = ()
    """Sentences on what may make the result another than is expected."""

    @property
    def bytes(self) -> int:
        """How long the captures are in all; raises OSError."""
        return sum(file.stat().st_size for file in self.files)


@dataclass(frozen=True, slots=True)
class EveFiles:
    """Files of EVE records, each on its own, the one that begins first at the front."""

    files: tuple[Path, ...]


def look_at(path: Path) -> Capture | EveFiles:
    """Return what is to be replayed; raises InputError where it is nothing that can be."""
    try:
        if path.is_dir():
            return _look_into(path)
        if not path.exists():
            raise InputError(f"{path} does not exist")
        if not path.is_file():
            raise InputError(f"{path} is no file and no folder")
        return _look_at_file(path)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from error


def _look_at_file(path: Path) -> Capture | EveFiles:
    kind = kind_of(path)
    _refuse(path, kind)
    if kind in {Kind.EVE, Kind.OTHER}:
        return EveFiles((path,))  # what is no event in it is counted
    if first_packet(path) is None:
        raise InputError(f"{path} is a capture without a packet")
    return Capture(path, (path,))


def _look_into(folder: Path) -> Capture | EveFiles:
    files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    kinds = {file: kind_of(file) for file in files}
    for file, kind in kinds.items():
        _refuse(file, kind)
    captures = [file for file in files if kinds[file] in {Kind.CAPTURE, Kind.EMPTY}]
    eve = [file for file in files if kinds[file] is Kind.EVE]
    if captures and eve:
        raise InputError(
            f"{folder} holds captures ({captures[0].name}) and eve files ({eve[0].name}): "
            "name the files, or give each kind a folder of its own"
        )
    if captures:
        return _captures(folder, captures)
    if eve:
        return EveFiles(tuple(sorted(eve, key=_beginning)))
    raise InputError(f"{folder} holds neither captures nor eve files")


def _refuse(file: Path, kind: Kind) -> None:
    """Raise InputError on what ought to be a capture and can't be read as one."""
    if kind is Kind.COMPRESSED:
        raise InputError(
            f"{file} is a compressed capture, which Suricata can't read: "
            f"decompress it first{_remedy(file)}"
        )
    if kind is Kind.BROKEN:
        raise InputError(
            f"{file} does not begin as a capture does: it is damaged, or no pcap or pcapng file"
        )


def _remedy(file: Path) -> str:
    return f" (gunzip -k {file})" if file.suffix.lower() == ".gz" else ""


def _captures(folder: Path, files: Sequence[Path]) -> Capture:
    links = [file.name for file in files if file.is_symlink()]
    if links:
        raise InputError(
            f"{folder}/{links[0]} is a symbolic link, and in a folder Suricata passes over those: "
            "put the capture itself there"
        )
    times = {file: time for file in files if (time := first_packet(file)) is not None}
    if not times:
        raise InputError(f"no capture of {folder} holds a packet")
    in_order = sorted(times, key=_changed)
    hints = [*_disorder(in_order, times)]
    if empty := [file.name for file in files if file not in times]:
        hints.append(f"passed over, without a packet: {', '.join(empty)}")
    return Capture(folder, tuple(in_order), tuple(hints))


def _changed(file: Path) -> tuple[int, str]:
    """Sort as Suricata does: by the time of the last change; of equal ones it takes any first."""
    return file.stat().st_mtime_ns, file.name


def _disorder(files: Sequence[Path], times: dict[Path, float]) -> tuple[str, ...]:
    """Return a sentence on the first capture that Suricata may read before an earlier one."""
    for first, second in pairwise(files):
        tied = _changed(first)[0] == _changed(second)[0] and times[first] != times[second]
        if tied or times[second] < times[first]:
            return (_DISORDER.format(first.name, second.name, times[second], second),)
    return ()


def _beginning(file: Path) -> tuple[int, str]:
    """Sort eve files by their first event's time: a later one goes on from an earlier one."""
    found = _TIMESTAMP.search(read_head(file))
    try:
        return parse_timestamp(found[1].decode() if found else ""), file.name
    except ValueError:
        return 0, file.name
