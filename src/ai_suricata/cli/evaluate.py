"""`ai-suricata evaluate`: what detection is worth on labelled traffic, beside simpler ways."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_suricata.cli.artifact import named
from ai_suricata.cli.dataset import (
    DataOption,
    HomeNetOption,
    LabelsOption,
    data_sets,
    default_training,
    progress_bar,
)
from ai_suricata.cli.listing import write_lines
from ai_suricata.cli.outcome import ConfigFile, Exit, fail, settings_of, warn
from ai_suricata.cli.recording import ended_in_order

if TYPE_CHECKING:
    from rich.console import JustifyMethod

    from ai_suricata.study.dataset import DataSet
    from ai_suricata.study.evaluate import Evaluation, Study
    from ai_suricata.study.figure import Row

_PIPE_WIDTH = 190
_WIDE = 150
_TEXT_COLUMNS = frozenset({0, 3})


class TableFormat(StrEnum):
    """How the figures are written."""

    TABLE = "table"
    JSONL = "jsonl"


def evaluate(
    *,
    data: DataOption = None,
    labels: LabelsOption = None,
    home_net: HomeNetOption = "",
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="A model by name or path, as it is (see `models list`). Default: the one that "
            "ships, which learns what is usual in each recording.",
        ),
    ] = "",
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write report.md and its pictures.")
    ] = None,
    errors: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write who was missed or wrongly accused, JSON lines."),
    ] = None,
    crowdsec: Annotated[
        bool, typer.Option(help="Ask CrowdSec, where it is installed, for a baseline.")
    ] = True,
    config: ConfigFile = None,
    output: Annotated[
        TableFormat, typer.Option("--format", help="table, or jsonl: one JSON object a figure.")
    ] = TableFormat.TABLE,
) -> None:
    """Measure detection on labelled recordings, each with fresh state and its own HOME_NET.

    Prints each figure with its goal, its 95% interval and what it was taken over, and the same
    for simpler ways: any alert, severe alerts, CrowdSec, a plain random forest. Sets for training
    are not judged; the forest is trained on them.

    Exit codes: 0 every goal that could be measured is kept, 1 one is missed, none could be
    measured or a file can't be read, 2 an argument is wrong.

    Example: ai-suricata evaluate --data samples/lab --report build/report

    Example: ai-suricata evaluate --data eve.json --labels labels.csv --home-net 192.0.2.0/24
    """
    settings = settings_of(config)
    from ai_suricata.core.errors import AiSuricataError
    from ai_suricata.study.dataset import Purpose
    from ai_suricata.study.evaluate import errors as faults
    from ai_suricata.study.evaluate import evaluate as measure
    from ai_suricata.study.evaluate import line
    from ai_suricata.study.report import write_report
    from ai_suricata.telemetry.logs import configure

    configure(settings.telemetry)  # logs go where they don't stand amid the figures
    study = _study(data_sets(data, labels, home_net, Purpose.TEST))
    if not study.tests:
        fail(Exit.USAGE, "there is nothing to judge: all of these recordings are for training")
    chosen = named(settings, model) if model else None
    _tell_home(study)
    try:
        with ended_in_order(), progress_bar() as progress:
            found = measure(study, settings, chosen, crowdsec=crowdsec, progress=progress)
            _write(found, output)
            if errors is not None:
                errors.write_bytes(b"".join(map(line, faults(found.files))))
            if report is not None:
                for sentence in write_report(found, report, settings, chosen, progress):
                    typer.echo(sentence, err=True)
    except (OSError, AiSuricataError) as error:
        fail(Exit.FAILED, str(error))
    if not found.holds():
        raise typer.Exit(Exit.FAILED)


def _study(sets: list[DataSet]) -> Study:
    """Return what is judged, and what the forest learns: the lab's training sets by default."""
    from ai_suricata.study.dataset import Purpose
    from ai_suricata.study.evaluate import Study

    tests = [one for one in sets if one.purpose is Purpose.TEST]
    training = [one for one in sets if one.purpose is Purpose.TRAIN]
    return Study(tests, training or default_training())


def _tell_home(study: Study) -> None:
    """Say who is at home in each file: a figure is worth what this is worth."""
    for one in study.tests:
        typer.echo(f"{one.name}: HOME_NET {one.home_in_words()}", err=True)


def _write(found: Evaluation, output: TableFormat) -> None:
    from ai_suricata.study.table import as_object, notes

    if output is TableFormat.JSONL:
        write_lines(as_object(row, found.baselines) for row in found.table)
    else:
        _write_table(found)
    warn(*notes(found.baselines))
    missed = found.missed()
    if missed:
        warn(f"{len(missed)} of the goals missed: {'; '.join(missed)}")


def _write_table(found: Evaluation) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ai_suricata.study.table import cells, heading

    console = Console()
    width = console.width if console.is_terminal else _PIPE_WIDTH
    console = Console(width=width)
    names = heading(found.baselines)
    # The baselines give way on a narrow terminal: our own figures must stay legible.
    shown = len(names) if width >= _WIDE else len(names) - len(found.baselines)
    table = Table(box=box.SIMPLE_HEAD)
    for index, name in enumerate(names[:shown]):
        justify: JustifyMethod = "left" if index in _TEXT_COLUMNS else "right"
        table.add_column(name, justify=justify, no_wrap=index > 0, min_width=1 if index else 30)
    for row in found.table:
        table.add_row(*map(Text, cells(row)[:shown]), style=_style(row))
    console.print(table)


def _style(row: Row) -> str:
    if row.ours.goal is None or not row.ours.measured:
        return "dim"
    return "bold red" if row.ours.missed else ""
