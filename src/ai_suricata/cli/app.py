"""The commands and their help. What a command needs is loaded when it runs, not for `--help`."""

from __future__ import annotations

import typer

from ai_suricata.cli import (
    alerts,
    allow,
    blocks,
    demo,
    doctor,
    evaluate,
    models,
    pause,
    replay,
    run,
    settings,
    status,
    train,
)

app = typer.Typer(
    name="ai-suricata",
    help="Follows Suricata's eve.json, tells attackers from clients, and blocks them on pfSense.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.callback()(settings.main)
app.command()(run.run)
app.command()(status.status)
app.command("check-config")(settings.check_config)
app.command()(doctor.doctor)
app.command()(replay.replay)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(demo.demo)
app.add_typer(blocks.app, name="blocks")
app.add_typer(allow.app, name="allow")
app.add_typer(models.app, name="models")
app.command()(pause.pause)
app.command()(pause.resume)
app.add_typer(alerts.app, name="alerts")
app.command()(settings.version)
