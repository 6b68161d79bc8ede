"""Last week's events through the code that serves live: what would have been thought and done.

Time is the events' own, so the same input gives the same output.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from ai_suricata.analysis import Analysis, localised, shipped
from ai_suricata.classify.ensemble import Classifier
from ai_suricata.classify.learning import Learning
from ai_suricata.core.timestamp import MICROSECONDS
from ai_suricata.core.verdict import Action
from ai_suricata.features.extract import Extractor
from ai_suricata.respond.never_block import NeverBlock
from ai_suricata.respond.policy import BlankHistory, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from ai_suricata.analysis import Observer
    from ai_suricata.classify.model import Model
    from ai_suricata.config.settings import Settings
    from ai_suricata.core.verdict import Verdict

_RANK = {action: rank for rank, action in enumerate(Action)}
_FOR_EVER = 1 << 62
_GZIP = b"\x1f\x8b"


@dataclass(slots=True)
class SourceReport:
    """The worst verdict that one source address reached, and whether it would have been blocked."""

    verdict: Verdict
    blocked: bool = False
    alerts: int = 0
    events: int = 0
    first_seen: int = -1
    last_seen: int = -1


@dataclass(slots=True)
class FileReport:
    """What came of one file, or of one run of Suricata over captures."""

    sources: list[SourceReport] = field(default_factory=list)
    """The worst first."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Lines that are no events, by reason."""
    events: int = 0


class Replay:
    """Runs files through the analysis and the policy; nothing is sent anywhere."""

    def __init__(self, settings: Settings, model: Model | None = None) -> None:
        """`model`: serves from the first event on; without one, the shipped one learns as well."""
        self.settings = settings
        self._learns = model is None
        self._model = model if model is not None else shipped()
        home = {
            "NEVER_BLOCK": settings.respond.never_block,
            "home network": settings.features.home_net,
        }
        self._never_block = NeverBlock(home)
        self.forget()

    def forget(self) -> None:
        """Begin anew: private addresses mean other hosts in another file."""
        settings = self.settings
        classifier = Classifier(settings.classify, self._model)
        classify = settings.classify
        learning = Learning(classify.training_events, classify.medium) if self._learns else None
        self._analysis = Analysis(Extractor(settings.features), classifier, learning)
        self._begin_report()

    def file(self, path: Path, progress: Callable[[int], None] = lambda _bytes: None) -> FileReport:
        """Replay one file, plain or gzip'd. `progress` is told how many bytes of it are read.

        Raises OSError where it can't be read.
        """
        return self.batches(eve_batches(path, self.settings.source.batch_size, progress))

    def batches(self, batches: Iterable[list[bytes]]) -> FileReport:
        """Replay batches of lines, wherever they come from; raises what their source raises."""
        self._begin_report()
        for lines in batches:
            self.take(lines)
        return self.report()

    def take(self, lines: Iterable[bytes]) -> None:
        """Replay one batch of lines."""
        result = self._analysis.lines(lines)
        report = self._report
        report.events += result.events.total()
        for reason, count in result.rejected.items():
            report.rejected[reason] = report.rejected.get(reason, 0) + count
        for verdict in result.verdicts:
            self._take(self._worst, verdict)

    def report(self) -> FileReport:
        """Return what came of the lines since the last report."""
        report, worst = self._report, self._worst
        self._begin_report()
        self._summarise(worst)
        report.sources = sorted(worst.values(), key=_order)
        return report

    def observe(self, observer: Observer) -> None:
        """Hand what is scored to an observer too, until `forget`."""
        self._analysis.observers.append(observer)

    def _begin_report(self) -> None:
        self._report = FileReport()
        self._worst: dict[str, SourceReport] = {}

    def _take(self, worst: dict[str, SourceReport], verdict: Verdict) -> None:
        report = worst.setdefault(verdict.address, SourceReport(verdict))
        if _badness(verdict) > _badness(report.verdict):
            report.verdict = verdict
        if verdict.action is Action.BLOCK and not report.blocked:
            now = verdict.time / MICROSECONDS
            respond = self.settings.respond
            ruling = rule(verdict, BlankHistory(), self._never_block, respond, now)
            report.blocked = ruling is not None and not ruling.refused

    def _summarise(self, worst: dict[str, SourceReport]) -> None:
        table = self._analysis.extractor.table
        for address, report in worst.items():
            row = table.row_of.get(address)
            if row is None:
                continue  # it went cold in a full table: only its verdict is left
            summary = table.summary(row)
            report.alerts, report.events = summary.alerts, summary.events
            report.first_seen, report.last_seen = summary.first_seen, summary.last_seen


def learn(settings: Settings, files: Iterable[Path]) -> Model:
    """Return the shipped model with what is usual in all events of the files.

    Raises ValueError where they hold none.
    """
    size = settings.source.batch_size
    return learn_batches(settings, chain.from_iterable(eve_batches(path, size) for path in files))


def learn_batches(settings: Settings, batches: Iterable[list[bytes]]) -> Model:
    """Return a model of batches of lines, as `learn`."""
    learning, model = Learning(_FOR_EVER, settings.classify.medium), shipped()
    classifier = Classifier(settings.classify, model)
    analysis = Analysis(Extractor(settings.features), classifier, learning)
    for lines in batches:
        analysis.lines(lines)
    return localised(model, learning)


def eve_batches(
    path: Path, size: int, progress: Callable[[int], None] = lambda _bytes: None
) -> Iterator[list[bytes]]:
    """Yield the lines of an eve file, plain or gzip'd, at most `size` at once; raises OSError.

    `progress` is told how many bytes of the file are read.
    """
    with path.open("rb") as raw:
        compressed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        content: BinaryIO = gzip.GzipFile(fileobj=raw) if compressed else raw  # type: ignore[assignment]
        for lines in _cut(_lines(content), size):
            yield lines
            progress(raw.tell())


def _badness(verdict: Verdict) -> tuple[int, float]:
    return _RANK[verdict.action], verdict.score


def _order(report: SourceReport) -> tuple[int, float, str]:
    rank, score = _badness(report.verdict)
    return -rank, -score, report.verdict.address


def _cut(lines: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for line in lines:
        batch.append(line)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _lines(content: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file; the elements, where it is one JSON array, as some tools write."""
    try:
        first = content.readline()
        if first.lstrip()[:1] == b"[":
            yield from _elements(first + content.read())
            return
        for line in chain((first,), content):
            if line.strip():
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OSError(f"damaged gzip file: {error}") from error


def _elements(text: bytes) -> Iterator[bytes]:
    try:
        elements = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        yield from text.splitlines()
        return
    for element in elements:
        yield bytes(element)
