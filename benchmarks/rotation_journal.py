"""What the reader of the rotation test has stored, read from outside and while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.rotation_line import Run

from ai_suricata.core.position import files_of
from ai_suricata.state.log import records

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.state.log import Head


class Journal:
    """What all runs of the reader have stored, read from outside and while it runs."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of the reader's state."""
        self.runs: list[Run] = []
        self.losses: list[str] = []
        self.strange: list[str] = []
        self.rotations = 0
        self.last: dict[int, int] = {}
        """The latest whole line of each content."""
        self.open: set[int] = set()
        """Inodes of the files that are not read to their end, by the latest position."""
        self._folder = folder
        self._records: dict[Path, int] = {}

    def read(self) -> None:
        """Read what is new."""
        segments = sorted(self._folder.glob("behaviour.*.log"), key=_number)
        for path in segments[max(0, len(self._records) - 1) :]:
            known = self._records.get(path, 0)
            for number, record in enumerate(records(path)):
                if number >= known:
                    self._note(record.head)
                    self._records[path] = number + 1
            self._records.setdefault(path, 0)

    def _note(self, head: Head) -> None:
        places = [place for path in head.position for place in files_of(head.position, path)]
        self.open = {place.inode for place in places if not place.done}
        for text in head.notes["lines"]:
            run = Run(*map(int, text.split(":")))
            self.runs.append(run)
            if run.last >= 0:
                self.last[run.content] = run.last
        self.strange += head.notes["strange"]
        self.losses += head.notes["losses"]
        self.rotations += int(head.notes["rotations"][0])


def _number(path: Path) -> int:
    return int(path.suffixes[-2][1:])
