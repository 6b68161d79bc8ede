"""How far a child has come with its captures, by where it stands in the one that it has open."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_suricata.source.pcap.folder import Capture


class Step(StrEnum):
    """What is being waited for."""

    LOADING = "Suricata loads its rules"
    READING = "Suricata reads"
    ANALYSING = "analysing"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    step: Step
    done: int = 0
    """Bytes of the captures, and then of what Suricata wrote."""
    total: int = 0
    """0 where nobody can tell."""


class ReadingProgress:
    """Looks at the open files of a process: proc(5), "/proc/pid/fdinfo"."""

    def __init__(self, pid: int, capture: Capture) -> None:
        """`pid`: of the process that reads the capture."""
        self._folder = Path("/proc", str(pid))
        self._ends = {}
        self.total = 0
        for file in capture.files:
            before = self.total
            self.total += file.stat().st_size
            self._ends[str(file.resolve())] = (before, self.total)
        self._done = -1

    def now(self) -> Progress:
        """Return how far it is, never less than before."""
        self._done = max(self._done, self._look())
        if self._done < 0:
            return Progress(Step.LOADING)
        return Progress(Step.READING, self._done, self.total)

    def _look(self) -> int:
        """Return the bytes that were read; -1 before the first, or where nobody can tell."""
        try:
            for descriptor in (self._folder / "fd").iterdir():
                extent = self._ends.get(str(descriptor.readlink()))
                if extent is not None:
                    before, end = extent
                    return min(end, before + self._offset(descriptor.name))
        except OSError:  # it has ended, it has just closed the file, or there is no such folder
            pass
        return -1

    def _offset(self, descriptor: str) -> int:
        first = (self._folder / "fdinfo" / descriptor).read_text().partition("\n")[0]
        return int(first.removeprefix("pos:"))
