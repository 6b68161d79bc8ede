"""Captures as events: the installed Suricata reads them, and what it writes is followed.

Suricata is not slowed down by us: where it is faster, its eve.json grows in a temporary folder
(of TMPDIR, else /tmp), up to about the size that it would have for these packets anyway. Memory
stays bounded: the file is read in blocks.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ai_suricata.core.errors import AiSuricataError
from ai_suricata.source.file.log import LogFile, open_regular
from ai_suricata.source.pcap.log import SuricataLog
from ai_suricata.source.pcap.progress import Progress, ReadingProgress, Step
from ai_suricata.source.pcap.suricata import EVE, LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.source.pcap.folder import Capture
    from ai_suricata.source.pcap.suricata import Suricata

_PAUSE = 0.05  # seconds between two looks at a file that does not grow
_GRACE = 3.0  # seconds between asking Suricata to end and ending it
_LEAST_ROOM = 64 * 1024  # bytes: about what it writes at once


class SuricataError(AiSuricataError):
    """Suricata did not come to the end of a capture. The text has its last words."""


class PcapRun:
    """One run of Suricata over a capture or a folder of them; a context manager.

    `for lines in run` yields batches of whole lines while Suricata writes them, and ends when it
    has ended and all is read. Left at any moment, Suricata is ended and its folder deleted.
    """

    def __init__(
        self,
        capture: Capture,
        suricata: Suricata,
        settings: SourceSettings,
        progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> None:
        """`progress`: is told after each batch, and while there is none to hand out."""
        self._capture = capture
        self._suricata = suricata
        self._settings = settings
        self._progress = progress

    def __enter__(self) -> Self:
        """Start Suricata; raises OSError where there is no room, or it can't be started."""
        with ExitStack() as stack:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="ai-suricata-pcap-"))
            self.folder = Path(name)
            self._suricata.prepare(self.folder)
            self._log = SuricataLog(self.folder / LOG)
            self._eve = LogFile(
                open_regular(str(self.folder / EVE)),
                path=EVE,
                offset=0,
                max_line_bytes=self._settings.max_line_bytes,
            )
            stack.callback(self._eve.close)
            self.process = self._start()
            stack.callback(_end, self.process)
            self._reading = ReadingProgress(self.process.pid, self._capture)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End Suricata if it still runs, and delete what it wrote."""
        self._stack.close()

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield what Suricata writes; raises SuricataError where it fails, OSError as its file."""
        size = self._settings.batch_size
        while True:
            has_ended = self.process.poll() is not None  # asked first: nothing comes after that
            lines = self._eve.take(size)
            if lines:
                yield lines
            elif has_ended and self._eve.drained:
                break
            elif not has_ended:
                self._wait()
            self._progress(self._now(has_ended=has_ended))
        self._judge()

    @property
    def rejected(self) -> dict[str, int]:
        """Lines that were not handed out, by reason."""
        count = self._eve.lines.rejected
        return {"too_long": count} if count else {}

    def damage(self) -> list[str]:
        """Return a sentence on each capture that could not be read to its end."""
        return self._log.damage(self._capture.files)

    def hints(self) -> list[str]:
        """Return sentences on what may make the result another than is expected."""
        return [*self._capture.hints, *self._log.hints()]

    def keep(self, path: Path) -> None:
        """Keep what Suricata wrote as `path`, which is not there yet; raises OSError."""
        with (self.folder / EVE).open("rb") as eve, path.open("xb") as kept:
            try:
                shutil.copyfileobj(eve, kept)
            except BaseException:  # a full disk, ^C: half of it must not look like all
                path.unlink()
                raise

    def _start(self) -> subprocess.Popen[bytes]:
        with (self.folder / LOG).open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - a list of words, no shell
                self._suricata.command(self._capture, self.folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # ^C reaches us alone, and we end it in order
            )

    def _wait(self) -> None:
        if self._log.is_hopeless():
            _end(self.process)
        try:
            self.process.wait(_PAUSE)
        except subprocess.TimeoutExpired:
            return

    def _now(self, *, has_ended: bool) -> Progress:
        if not has_ended:
            return self._reading.now()
        return Progress(Step.ANALYSING, self._eve.offset, self._eve.status().st_size)

    def _judge(self) -> None:
        """Raise SuricataError unless Suricata has ended well."""
        code = self.process.returncode
        if self._log.is_hopeless():
            raise SuricataError(f"Suricata can't read it: {self._log.last_words()}")
        if code < 0:
            raise SuricataError(f"Suricata was ended by signal {-code}: {self._log.last_words()}")
        if code > 0:
            raise SuricataError(f"Suricata ended with {code}: {self._log.last_words()}")
        # Suricata does not say when a disk is full: it goes on, and what it writes is lost.
        if self._eve.lines.held or shutil.disk_usage(self.folder).free < _LEAST_ROOM:
            place = self.folder.parent
            raise SuricataError(
                f"there was no room in {place} for what Suricata writes: let TMPDIR name another"
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it, by force where it does not: while it compiles rules it heeds no signal."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        pass
    finally:  # whatever interrupts the waiting: a second ^C leaves no child behind either
        process.kill()
        process.wait()
