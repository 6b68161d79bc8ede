"""`ai-suricata train`: a model out of labelled recordings, and of a network's own events."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_suricata.cli.dataset import (
    DataOption,
    HomeNetOption,
    LabelsOption,
    data_sets,
    default_training,
    progress_bar,
)
from ai_suricata.cli.listing import write_table
from ai_suricata.cli.outcome import ConfigFile, Exit, fail, settings_of, warn
from ai_suricata.cli.recording import (
    RulesOption,
    SuricataConfigOption,
    ended_in_order,
    recordings,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ai_suricata.classify.model import Model
    from ai_suricata.classify.rows import TrainingRows
    from ai_suricata.cli.recording import Recording
    from ai_suricata.config.settings import Settings
    from ai_suricata.study.dataset import DataSet
    from ai_suricata.study.statistic import Interval
    from ai_suricata.study.training import Validation


def train(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Unlabelled events of your network: eve.json files, plain or .gz; captures "
            "(pcap, pcapng); folders of either. They teach what is usual there."
        ),
    ] = None,
    *,
    data: DataOption = None,
    labels: LabelsOption = None,
    home_net: HomeNetOption = "",
    labels_from_state: Annotated[
        bool,
        typer.Option(
            "--labels-from-state", help="Learn from what operators blocked and unblocked."
        ),
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", "--out", "-o", help="Where the artifact goes.")
    ] = Path("model.zip"),
    cross_validation: Annotated[
        bool, typer.Option(help="Train without each of the data sets too, and judge by it.")
    ] = True,
    reproduce: Annotated[
        bool,
        typer.Option("--reproduce", help="Make the shipped artifact anew and compare the digests."),
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="With --reproduce: put it in the shipped one's place.")
    ] = False,
    config: ConfigFile = None,
    suricata_config: SuricataConfigOption = None,
    rules: RulesOption = None,
) -> None:
    """Make a model artifact: of labelled recordings, of your own events, or of both.

    --data names labelled recordings; sets for testing are left out. FILES alone take the model
    that ships and teach it what is usual on your network. The same input gives the same model.
    Put it into STATE_DIR as model.zip, or see `ai-suricata models promote`.

    Exit codes: 0 written (with --reproduce: the digests are equal), 1 it could not be, or they
    differ, 2 an argument is wrong.

    Example: ai-suricata train --output model.zip /var/log/suricata/eve.json

    Example: ai-suricata train --data eve.json --labels labels.csv --home-net 192.0.2.0/24
    """
    settings = settings_of(config, **({"HOME_NET": home_net} if home_net else {}))
    found = recordings(files or [], settings, suricata_config, rules)
    sets = _sets(data, labels, home_net, wanted=not files)
    if write and not reproduce:
        fail(Exit.USAGE, "--write goes with --reproduce; elsewhere --output says where it goes")
    if reproduce and (found or labels_from_state):
        fail(Exit.USAGE, "--reproduce takes the lab's recordings and nothing else")
    from ai_suricata.core.errors import AiSuricataError
    from ai_suricata.telemetry.logs import configure

    configure(settings.telemetry)
    try:
        with ended_in_order():
            model = _labelled(sets, settings, cross=cross_validation, state=labels_from_state)
            if found:
                model = _localised(model, found, settings)
            done = _reproduced(model, write=write) if reproduce else _written(model, output)
    except (OSError, ValueError, AiSuricataError) as error:
        fail(Exit.FAILED, str(error))
    if not done:
        raise typer.Exit(Exit.FAILED)


def _sets(
    data: list[Path] | None, labels: Path | None, home_net: str, *, wanted: bool
) -> list[DataSet]:
    """Return the recordings to learn from; those of the lab, where nothing else is named."""
    from ai_suricata.study.dataset import Purpose

    if not data:
        if labels is not None:
            fail(Exit.USAGE, "--labels is for one eve file: name it with --data")
        return default_training() if wanted else []
    found = data_sets(data, labels, home_net, Purpose.TRAIN)
    usable = [one for one in found if one.purpose is Purpose.TRAIN]
    for one in found:
        if one.purpose is Purpose.TEST:
            typer.echo(f"{one.name}: kept for testing, left out", err=True)
    if not usable:
        fail(Exit.USAGE, "all of these recordings are kept for testing: name others with --data")
    return usable


def _labelled(
    sets: Sequence[DataSet], settings: Settings, *, cross: bool, state: bool
) -> Model | None:
    """Return a model of labelled rows; None where there is nothing labelled to learn from."""
    from ai_suricata.classify.rows import joined
    from ai_suricata.study.progress import part
    from ai_suricata.study.training import cross_validate, fit, gather

    if not sets and not state:
        return None
    for one in sets:
        typer.echo(f"{one.name}: HOME_NET {one.home_in_words()}", err=True)
    with progress_bar() as progress:
        rows = gather(sets, settings, part(progress, 0.0, 0.2))
        if state:
            rows = joined((rows, _from_state(settings)))
        model = fit(rows, part(progress, 0.2, 0.4 if cross else 1.0))
        found = cross_validate(rows, settings.classify, part(progress, 0.4, 1.0)) if cross else []
    _tell(rows, model)
    _list_validation(found)
    return model


def _from_state(settings: Settings) -> TrainingRows:
    """Return the rows that operators' labels make; those that can't be used are counted."""
    from ai_suricata.state.label import LabelLog
    from ai_suricata.study.vector import operator_rows

    path = settings.state.directory / "labels.jsonl"
    rows, unusable = operator_rows(LabelLog(path).read())
    warn(f"{path}: {len(rows)} labels, and {unusable} without features of this version's schema")
    return rows


def _localised(model: Model | None, found: Sequence[Recording], settings: Settings) -> Model:
    """Teach a model, or the one that ships, what is usual in unlabelled events."""
    from ai_suricata.replay import learn_batches

    with closing(_all(found, settings)) as batches:
        learned = learn_batches(settings, batches)
    return learned if model is None else model.localised(learned.novelty)


def _tell(rows: TrainingRows, model: Model) -> None:
    """Say what the model was made of, and how it measured on sources held back while fitting."""
    attackers = {group for group, label in zip(rows.groups, rows.labels, strict=True) if label}
    typer.echo(
        f"{len(rows):,} rows of {len(set(rows.groups)):,} sources, {len(attackers):,} attackers "
        f"among them, out of {len(set(rows.sets))} data sets"
    )
    for name, value in model.figures.items():
        typer.echo(f"{name.replace('_', ' ')}: {value:g}")


def _list_validation(found: Sequence[Validation]) -> None:
    if not found:
        return
    write_table(
        "Judged on what the model was not made of",
        ("judged on", "sources", "attackers at HIGH", "others at MEDIUM", "ROC area", "note"),
        (
            (
                one.name,
                str(one.sources),
                _share(one.attackers),
                _share(one.clients),
                f"{one.area:.4f}",
                one.problem,
            )
            for one in found
        ),
    )


def _share(found: Interval) -> str:
    return f"{found.value:.4f} ({found.low:.4f}-{found.high:.4f})"


def _written(model: Model | None, output: Path) -> bool:
    """Write the artifact, wholly or not at all."""
    from ai_suricata.classify.artifact import digest, dump
    from ai_suricata.state.file import replace

    if model is None:
        raise ValueError("there is nothing to learn from: name events, or recordings with --data")
    replace(output, dump(model))
    kind = "feature vectors" if model.data_digest else "feature vectors without labels"
    typer.echo(
        f"{output}: {model.version}, learned from {model.rows} {kind}, digest {digest(model)}"
    )
    return True


def _reproduced(model: Model | None, *, write: bool) -> bool:
    """Compare the model with the one that ships; return whether they are the same."""
    from ai_suricata.classify import artifact
    from ai_suricata.core.errors import ArtifactError
    from ai_suricata.state.file import replace

    if model is None:
        raise ValueError("there is no samples/lab here: name the lab's recordings with --data")
    try:
        shipped = artifact.digest(artifact.default())
    except ArtifactError as error:
        shipped = f"none ({error})"
    made = artifact.digest(model)
    typer.echo(f"shipped: {shipped}\nmade:    {made}")
    if write and made != shipped:
        path = Path(artifact.__file__).with_name(artifact.DEFAULT)
        replace(path, artifact.dump(model))
        path.chmod(0o644)
        typer.echo(f"{path}: {model.version} written")
        return True
    return made == shipped


def _all(found: Sequence[Recording], settings: Settings) -> Generator[list[bytes]]:
    """Yield the lines of all; what is damaged is an error, since a model of half is no model."""
    for recording in found:
        with closing(recording.batches(settings)) as batches:
            yield from batches
        for sentence in recording.hints:
            typer.echo(f"ai-suricata: {sentence}", err=True)
        if recording.damage:
            raise OSError("; ".join(recording.damage))
