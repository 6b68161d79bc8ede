"""`ai-suricata train`: a model of a network out of its own events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ai_suricata.cli.outcome import ConfigFile, Exit, check_files, fail, settings_of


def train(
    files: Annotated[list[Path], typer.Argument(help="eve.json files, plain or .gz.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the artifact goes.")] = Path(
        "model.zip"
    ),
    config: ConfigFile = None,
    home_net: Annotated[
        str, typer.Option(help="HOME_NET for these files: networks, with commas between.")
    ] = "",
) -> None:
    """Learn what is usual from recorded events, all of them, and write a model artifact.

    The same files give the same model. Put it into STATE_DIR as model.zip, and the daemon serves
    it instead of learning for itself.

    Exit codes: 0 written, 1 it could not be, 2 an argument is wrong.

    Example: ai-suricata train --output model.zip /var/log/suricata/eve.json
    """
    check_files(files)
    settings = settings_of(config, **({"HOME_NET": home_net} if home_net else {}))
    from ai_suricata.classify.artifact import dump
    from ai_suricata.core.errors import StateError
    from ai_suricata.replay import learn
    from ai_suricata.state.file import replace

    try:
        model = learn(settings, files)
        replace(output, dump(model))
    except (OSError, ValueError, StateError) as error:
        fail(Exit.FAILED, str(error))
    typer.echo(f"{output}: {model.version}, learned from {model.rows} feature vectors")
