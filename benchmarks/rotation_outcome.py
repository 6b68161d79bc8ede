"""What a run of the rotation test has shown."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.rotation_line import lines_of

if TYPE_CHECKING:
    from benchmarks.rotation_journal import Journal
    from benchmarks.rotation_log import Content
    from benchmarks.rotation_writer import Writer

SHOWN = 20


@dataclass
class Outcome:
    """Counts, and where anything is not as it must be."""

    kills: int = 0
    stops: int = 0
    starts: int = 0
    most_missed: int = 0
    """Rotations between an end of the reader and its next start, at most."""
    seconds: float = 0.0
    read: int = 0
    """Whole lines that were stored."""
    unread: int = 0
    """Lines that were destroyed before they had been read, and reported."""
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def is_proved(self) -> bool:
        """Whether everything is as it must be."""
        return not (self.lost or self.doubled or self.disordered or self.differences)

    def differ(self, text: str) -> None:
        """Note a difference; of very many the first are enough."""
        if len(self.differences) < SHOWN:
            self.differences.append(text)


def verify(writer: Writer, journal: Journal, outcome: Outcome) -> None:
    """Compare what the reader has stored with what was written."""
    stored: defaultdict[int, list[int]] = defaultdict(list)
    for text in journal.strange:
        outcome.differ(f"no line of the writer's was handed out: {text}")
    for number, line, is_whole in lines_of(journal.runs):
        if is_whole:
            stored[number].append(line)
        elif number >= 0 and line != writer.log.contents[number].lines:
            outcome.differ(f"line {line} of file {number} came in part, and was ended later")
    outcome.read = sum(map(len, stored.values()))
    for content in writer.log.contents:
        _compare(content, stored[content.number], journal, outcome)
    if len(journal.losses) > writer.reportable:
        outcome.differ(
            f"losses reported: {len(journal.losses)}, expected at most {writer.reportable}"
        )


def _compare(content: Content, found: list[int], journal: Journal, outcome: Outcome) -> None:
    """Each line once, in order; a destroyed file's last ones may lack where that was reported."""
    doubled = [line for line, count in Counter(found).items() if count > 1]
    lacking = sorted(set(range(content.lines)) - set(found))
    if doubled:
        outcome.doubled += len(found) - len(set(found))
        outcome.differ(f"file {content.number}: came twice: {_said(doubled)}")
    elif found != sorted(found):
        outcome.disordered += 1
        outcome.differ(f"file {content.number}: lines are out of order")
    if not lacking:
        return
    is_end = lacking == list(range(lacking[0], content.lines))
    is_reported = content.lost_at is not None and content.lost_at < len(journal.losses)
    if is_end and is_reported:
        outcome.unread += len(lacking)
    else:
        outcome.lost += len(lacking)
        why = "could be read" if content.lost_at is None else "not reported"
        outcome.differ(f"file {content.number}: lost, though {why}: {_said(lacking)}")


def _said(lines: list[int]) -> str:
    """Return some line numbers and how many they are."""
    return f"{', '.join(map(str, lines[:5]))} ({len(lines)} of them)"
