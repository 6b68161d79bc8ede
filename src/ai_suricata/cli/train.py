"""`ai-suricata train`: a model of a network out of its own events."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_suricata.cli.outcome import ConfigFile, Exit, fail, settings_of
from ai_suricata.cli.recording import (
    FilesArgument,
    RulesOption,
    SuricataConfigOption,
    ended_in_order,
    recordings,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ai_suricata.cli.recording import Recording
    from ai_suricata.config.settings import Settings


def train(
    files: FilesArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the artifact goes.")] = Path(
        "model.zip"
    ),
    config: ConfigFile = None,
    home_net: Annotated[
        str, typer.Option(help="HOME_NET for these files: networks, with commas between.")
    ] = "",
    suricata_config: SuricataConfigOption = None,
    rules: RulesOption = None,
) -> None:
    """Learn what is usual from recorded events, all of them, and write a model artifact.

    The same files give the same model. Put it into STATE_DIR as model.zip, and the daemon serves
    it instead of learning for itself.

    Exit codes: 0 written, 1 it could not be, 2 an argument is wrong.

    Example: ai-suricata train --output model.zip /var/log/suricata/eve.json
    """
    settings = settings_of(config, **({"HOME_NET": home_net} if home_net else {}))
    found = recordings(files, settings, suricata_config, rules)
    from ai_suricata.classify.artifact import dump
    from ai_suricata.core.errors import StateError
    from ai_suricata.replay import learn_batches
    from ai_suricata.source.pcap.run import SuricataError
    from ai_suricata.state.file import replace

    try:
        with ended_in_order(), closing(_all(found, settings)) as batches:
            model = learn_batches(settings, batches)
        replace(output, dump(model))
    except (OSError, ValueError, StateError, SuricataError) as error:
        fail(Exit.FAILED, str(error))
    typer.echo(f"{output}: {model.version}, learned from {model.rows} feature vectors")


def _all(found: Sequence[Recording], settings: Settings) -> Generator[list[bytes]]:
    """Yield the lines of all; what is damaged is an error, since a model of half is no model."""
    for recording in found:
        with closing(recording.batches(settings)) as batches:
            yield from batches
        for sentence in recording.hints:
            typer.echo(f"ai-suricata: {sentence}", err=True)
        if recording.damage:
            raise OSError("; ".join(recording.damage))
