"""`ai-suricata models`: which models there are, which one serves, and how two of them differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_suricata.cli.artifact import (
    as_object,
    differences,
    facts_of,
    named,
    store_of,
    text_of,
    usual_of,
)
from ai_suricata.cli.comparing import compare_recording
from ai_suricata.cli.listing import Format, FormatOption, chosen, write_lines, write_table
from ai_suricata.cli.outcome import ConfigFile, Exit, fail, settings_of

if TYPE_CHECKING:
    from ai_suricata.classify.model import Model
    from ai_suricata.classify.store import Choice, Entry
    from ai_suricata.config.settings import Settings

_HELP = "See which models there are, choose the one that serves, and hold two against each other."
_MOST_FIGURES = 3

app = typer.Typer(no_args_is_help=True, help=_HELP)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="default, active, a number of `models list`, or an artifact's path."
    ),
]


@app.callback(help=_HELP)
def models() -> None:
    """Group the commands."""


@app.command("list")
def list_models(*, config: ConfigFile = None, output: FormatOption = None) -> None:
    """List the models of STATE_DIR and the shipped one, `default`; a star marks who serves.

    What serves is what the daemon takes at its next start or SIGHUP, unless MODEL_PATH is set.

    Exit codes: 0 listed, 1 they can't be read, 2 a setting is wrong.

    Example: ai-suricata models list
    """
    settings = settings_of(config)
    from ai_suricata.core.errors import StateError

    try:
        store = store_of(settings)
        choice, entries = store.choice(), store.entries()
    except StateError as error:
        fail(Exit.FAILED, str(error))
    found = [_default(choice), *(_entry_object(entry, choice) for entry in entries)]
    if chosen(output) is Format.JSONL:
        write_lines(found)
        return
    write_table(
        _served(settings, choice),
        ("", "name", "version", "origin", "added", "trained until", "rows", "local", "figures"),
        map(_row, found),
        spared=("added", "rows"),
    )


@app.command("show")
def show(name: Name, *, config: ConfigFile = None, output: FormatOption = None) -> None:
    """Show one model: what it was made from, its figures, and what is usual to it.

    It is loaded, with every check that the daemon makes.

    Exit codes: 0 shown, 2 there is no such model, or it does not fit this version.

    Example: ai-suricata models show default
    """
    settings = settings_of(config)
    model = named(settings, name)
    if chosen(output) is Format.JSONL:
        write_lines([as_object(name, model)])
        return
    facts = ((key, str(value)) for key, value in facts_of(model).items())
    figures = ((f"figure {key}", f"{value:.4f}") for key, value in sorted(model.figures.items()))
    write_table(f"Model {name}", ("what", "value"), (*facts, *figures))
    write_table(
        "Usual values of sources that do no harm",
        ("feature", "5%", "50%", "95%", "meaning"),
        (
            (
                one["feature"],
                *(f"{one[at]:.6g}" for at in ("low", "median", "high")),
                one["meaning"],
            )
            for one in usual_of(model)
        ),
    )


@app.command("promote")
def promote(name: Name, *, config: ConfigFile = None, output: FormatOption = None) -> None:
    """Let a model serve: from the daemon's next start on, or at once with SIGHUP.

    An artifact that is named by its path is checked and put into STATE_DIR/models first. The 20
    newest are kept there, besides the one that serves and the one before it.

    Exit codes: 0 promoted, 1 the choice can't be stored, 2 there is no such model, or it does not
    fit this version.

    Example: ai-suricata models promote 3
    """
    settings = settings_of(config)
    from ai_suricata.core.errors import ArtifactError, StateError

    store = store_of(settings)
    model = named(settings, name)  # what does not fit must not be chosen
    try:
        choice = store.promote(_stored(settings, name, model))
    except (ArtifactError, StateError) as error:
        fail(Exit.FAILED, str(error))
    _tell_choice("Promoted", choice, model, output)


@app.command("rollback")
def rollback(*, config: ConfigFile = None, output: FormatOption = None) -> None:
    """Let the model serve again that served before the present one.

    Exit codes: 0 done, 1 there is none, or the choice can't be stored, 2 a setting is wrong, or
    the earlier model does not fit this version.

    Example: ai-suricata models rollback
    """
    settings = settings_of(config)
    from ai_suricata.core.errors import StateError

    store = store_of(settings)
    try:
        model = named(settings, store.earlier().name)
        choice = store.rollback()
    except StateError as error:
        fail(Exit.FAILED, str(error))
    _tell_choice("Rolled back", choice, model, output)


@app.command("diff")
def diff(
    first: Name,
    second: Name,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILES]", help="eve.json files, plain or .gz, to score with both."),
    ] = None,
    *,
    config: ConfigFile = None,
    home_net: Annotated[
        str, typer.Option(help="HOME_NET for these files: networks, with commas between.")
    ] = "",
    output: FormatOption = None,
) -> None:
    """Hold two models against each other: what they were made from, figures, usual values.

    With files, both score them from the first event on: how far the scores lie apart, and which
    sources come to another level, as `replay --compare` tells. If the daemon scores a shadow model,
    what it has found is told, too.

    Exit codes: 0 done, whether they differ or not, 1 a file could not be read, 2 there is no such
    model, or it does not fit this version.

    Example: ai-suricata models diff default active
    """
    settings = settings_of(config, **({"HOME_NET": home_net} if home_net else {}))
    one, other = named(settings, first), named(settings, second)
    rows = list(differences(one, other))
    if chosen(output) is Format.JSONL:
        write_lines({"what": what, "first": a, "second": b} for what, a, b in rows)
    else:
        shown = [(what, text_of(a), text_of(b)) for what, a, b in rows]
        write_table(f"{first} and {second}: what differs", ("what", first, second), shown)
    _tell_shadow(settings)
    if files:
        _diff_files(settings, files, (first, second), (one, other), chosen(output))


def _diff_files(
    settings: Settings,
    files: list[Path],
    names: tuple[str, str],
    pair: tuple[Model, Model],
    output: Format,
) -> None:
    from ai_suricata.cli.recording import ended_in_order, recordings
    from ai_suricata.comparison import Comparison

    found = recordings(files, settings, None, None)
    comparison = Comparison(settings, *pair)
    whole = True
    with ended_in_order():
        for recording in found:
            comparison.forget()
            whole = compare_recording(comparison, recording, names, output) and whole
    if not whole:
        raise typer.Exit(Exit.FAILED)


def _stored(settings: Settings, name: str, model: Model) -> str:
    """Return the name of a model in the store; one that is only a file is put into it."""
    import time

    from ai_suricata.classify.store import ACTIVE, DEFAULT, Origin

    store = store_of(settings)
    if name == ACTIVE:
        return store.choice().name
    if name == DEFAULT or name.isdecimal():
        return name
    return store.add(model, Origin.IMPORTED, time.time()).name


def _tell_choice(done: str, choice: Choice, model: Model, output: Format | None) -> None:
    if chosen(output) is Format.JSONL:
        write_lines([{"active": choice.name, "version": model.version, "before": choice.before}])
        return
    typer.echo(
        f"{done}: {choice.name} ({model.version}). A daemon that runs takes it with SIGHUP "
        "(systemctl reload ai-suricata), or at its next start."
    )


def _served(settings: Settings, choice: Choice) -> str:
    path = settings.classify.model_path
    if path is not None:
        return f"Models; MODEL_PATH={path} serves, whatever is promoted"
    return f"Models; {choice.name} serves"


def _default(choice: Choice) -> dict[str, Any]:
    from ai_suricata.classify import artifact
    from ai_suricata.classify.store import DEFAULT
    from ai_suricata.core.errors import ArtifactError

    start = {"name": DEFAULT, "active": choice.name == DEFAULT, "origin": "shipped"}
    try:
        model = artifact.default()
    except ArtifactError as error:
        return {**start, "version": "none", "problem": str(error), "figures": {}}
    return {**start, **facts_of(model), "figures": model.figures}


def _entry_object(entry: Entry, choice: Choice) -> dict[str, Any]:
    from ai_suricata.cli.entry import moment

    return {
        "name": entry.name,
        "active": choice.name == entry.name,
        "origin": entry.origin.value,
        "version": entry.version,
        "added": moment(entry.added),
        "trained_at": entry.trained_at,
        "rows": entry.rows,
        "local": entry.local,
        "bytes": entry.bytes,
        "digest": entry.digest,
        "figures": entry.figures,
    }


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    figures = list(one["figures"].items())[:_MOST_FIGURES]
    return (
        "*" if one["active"] else "",
        one["name"],
        one["version"],
        one["origin"],
        one.get("added", ""),
        one.get("trained_at", ""),
        str(one.get("rows", "")),
        "yes" if one.get("local") else "no",
        one.get("problem") or ", ".join(f"{name} {value:.3f}" for name, value in figures),
    )


def _tell_shadow(settings: Settings) -> None:
    """Say on standard error what the shadow model of a daemon that runs has found."""
    if not settings.classify.shadow_model:
        return
    from ai_suricata.cli.order import tell
    from ai_suricata.control.order import Status
    from ai_suricata.respond.order import Standing

    try:
        standing = tell(settings, Status(), Standing)
    except typer.Exit:
        return  # no daemon runs; `tell` has said so
    part = standing.daemon.get("parts", {}).get("shadow model")
    if part:
        typer.echo(f"ai-suricata: shadow model: {part.get('detail', '')}", err=True)
