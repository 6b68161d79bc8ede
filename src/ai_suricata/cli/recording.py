"""What `replay` and `train` are given: eve files, captures, and folders of either."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_suricata.cli.outcome import Exit, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from types import FrameType

    from rich.progress import Progress as Bar

    from ai_suricata.config.settings import Settings
    from ai_suricata.source.pcap.folder import Capture
    from ai_suricata.source.pcap.progress import Progress
    from ai_suricata.source.pcap.run import PcapRun
    from ai_suricata.source.pcap.suricata import Suricata

FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        help="eve.json files, plain or .gz; captures (pcap, pcapng); folders of either."
    ),
]
SuricataConfigOption = Annotated[
    Path | None,
    typer.Option(
        help="For captures: the suricata.yaml. Default: /etc/suricata/suricata.yaml, if there."
    ),
]
RulesOption = Annotated[
    Path | None,
    typer.Option(help="For captures: the only rules to load. Default: those of suricata.yaml."),
]
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


class Recording:
    """One eve file, or one run of Suricata over a capture or a folder of them."""

    def __init__(self, path: Path, capture: Capture | None, suricata: Suricata) -> None:
        """`capture`: what Suricata reads; None where `path` is an eve file."""
        self.path = path
        self.capture = capture
        self.keep_as: Path | None = None
        """Where the eve.json that Suricata writes is kept."""
        self.rejected: dict[str, int] = {}
        """Lines that were not handed out, by reason."""
        self.damage: list[str] = []
        """A sentence on each capture that could not be read to its end."""
        self.hints: list[str] = []
        """Sentences on what may make the result another than is expected."""
        self._suricata = suricata

    def batches(self, settings: Settings) -> Generator[list[bytes]]:
        """Yield its lines under a progress bar; to be closed. Raises OSError or SuricataError."""
        from rich.console import Console
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
            if self.capture is None:
                yield from self._read_file(settings, bar)
            else:
                yield from self._run_suricata(self.capture, settings, bar)

    def _read_file(self, settings: Settings, bar: Bar) -> Iterator[list[bytes]]:
        from ai_suricata.replay import eve_batches

        task = bar.add_task(self.path.name, total=self.path.stat().st_size)

        def show(done: int) -> None:
            bar.update(task, completed=done)

        yield from eve_batches(self.path, settings.source.batch_size, show)

    def _run_suricata(
        self, capture: Capture, settings: Settings, bar: Bar
    ) -> Iterator[list[bytes]]:
        from ai_suricata.source.pcap.run import PcapRun

        show = _shown(bar, self.path.name)
        with PcapRun(capture, self._suricata, settings.source, show) as run:
            yield from run
            self._take_note(run)

    def _take_note(self, run: PcapRun) -> None:
        self.rejected, self.damage, self.hints = run.rejected, run.damage(), run.hints()
        if self.keep_as is not None:
            run.keep(self.keep_as)


def recordings(
    paths: Sequence[Path], settings: Settings, config: Path | None, rules: Path | None
) -> list[Recording]:
    """Return what the arguments stand for, or end the program naming each that can't be read."""
    from ai_suricata.source.pcap.capture import InputError
    from ai_suricata.source.pcap.folder import EveFiles, look_at
    from ai_suricata.source.pcap.suricata import Suricata

    suricata = Suricata(config, rules, settings.features.home_net)
    found: list[Recording] = []
    problems: list[str] = []
    for path in paths:
        try:
            seen = look_at(path)
        except InputError as error:
            problems.append(str(error))
            continue
        if isinstance(seen, EveFiles):
            found += [Recording(file, None, suricata) for file in seen.files]
        else:
            found.append(Recording(path, seen, suricata))
    if problems:
        fail(Exit.USAGE, *problems)
    if any(recording.capture for recording in found):
        _check(suricata)
    return found


def _check(suricata: Suricata) -> None:
    from ai_suricata.source.pcap.capture import InputError

    try:
        suricata.check()
    except InputError as error:
        fail(Exit.USAGE, str(error))


def keep_eve(found: Sequence[Recording], path: Path) -> None:
    """Let what Suricata writes be kept, or end the program where that can't be."""
    captures = [recording for recording in found if recording.capture is not None]
    if len(captures) != 1:
        named = "several" if captures else "none"
        fail(Exit.USAGE, f"--keep-eve is for one capture, or one folder of them: {named} is named")
    if path.exists():
        fail(Exit.USAGE, f"{path} is there already: name another file for --keep-eve")
    if not path.absolute().parent.is_dir():
        fail(Exit.USAGE, f"there is no folder {path.absolute().parent} for --keep-eve")
    captures[0].keep_as = path


@contextmanager
def ended_in_order() -> Iterator[None]:
    """End the program on ^C, SIGTERM and SIGHUP with all that it began, and a sentence."""
    before = [(number, signal.signal(number, _interrupt)) for number in _ENDINGS]
    try:
        yield
    except KeyboardInterrupt:
        fail(Exit.FAILED, "stopped before the end; nothing is left behind")
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def _shown(bar: Bar, name: str) -> Callable[[Progress], None]:
    """Return what shows the progress of a run of Suricata; a bar without a total swings."""
    task = bar.add_task(name, total=None)

    def show(progress: Progress) -> None:
        bar.update(
            task,
            description=f"{name}: {progress.step}",
            completed=progress.done,
            total=progress.total or None,
        )

    return show
