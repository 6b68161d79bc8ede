"""What `evaluate` and `train` are given: labelled recordings, one by one or by the folder."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_suricata.cli.outcome import Exit, fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ai_suricata.study.dataset import DataSet, Purpose
    from ai_suricata.study.progress import Progress

DataOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        metavar="PATH",
        help="A folder of labelled recordings (sets.csv, or labels.csv.gz for all), or one eve "
        "file with --labels. May be repeated. Default: samples/lab.",
    ),
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(help="For one eve file: a CSV with the columns ip and label, or more."),
]
HomeNetOption = Annotated[
    str,
    typer.Option(
        help="HOME_NET for one eve file: networks, with commas between. Default: its roles say."
    ),
]
_DEFAULT = ("samples/lab", "samples")


def data_sets(
    places: Sequence[Path] | None, labels: Path | None, home_net: str, purpose: Purpose
) -> list[DataSet]:
    """Return the recordings, or end the program with what can't be used.

    `purpose`: what an eve file of one's own is for; the sets of a folder say it themselves.
    """
    from ai_suricata.config.kinds import networks_of
    from ai_suricata.study.dataset import find, own
    from ai_suricata.study.label import DataSetError

    chosen = list(places or _default())
    if not chosen:
        fail(Exit.USAGE, "there is no samples/lab here: name labelled recordings with --data")
    files = [place for place in chosen if not place.is_dir()]
    if bool(files) != (labels is not None) or len(files) > 1:
        fail(Exit.USAGE, "--labels is for one eve file, and one eve file needs it")
    try:
        home = networks_of(home_net.replace(",", " ").split())
        found = [data for place in chosen if place.is_dir() for data in find(place)]
        if files and labels is not None:
            found.append(own(files[0], labels, home, purpose=purpose))
    except (DataSetError, ValueError) as error:
        fail(Exit.USAGE, str(error))
    return found


def _default() -> list[Path]:
    """Return the folder of the lab's recordings below the working directory, where it is."""
    return [Path(name) for name in _DEFAULT if Path(name).is_dir()][:1]


def default_training() -> list[DataSet]:
    """Return the lab's training sets below the working directory, where they are."""
    from ai_suricata.study.dataset import Purpose, find
    from ai_suricata.study.label import DataSetError

    try:
        found = [data for place in _default() for data in find(place)]
    except DataSetError as error:
        fail(Exit.USAGE, str(error))
    return [data for data in found if data.purpose is Purpose.TRAIN]


@contextmanager
def progress_bar(*, shown: bool = True) -> Iterator[Progress]:
    """Show a bar on standard error while something long runs; nothing where that is a pipe."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<40.40}"), BarColumn(), TimeElapsedColumn())
    disabled = not (shown and console.is_terminal)
    with Progress(*columns, console=console, transient=True, disable=disabled) as bar:
        task = bar.add_task("", total=1.0)

        def tell(what: str, share: float) -> None:
            bar.update(task, description=what, completed=share)

        yield tell
