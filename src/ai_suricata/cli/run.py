"""`ai-suricata run`: the daemon."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ai_suricata.cli.outcome import ConfigFile, Exit, fail, load_settings, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ai_suricata.config.settings import Settings


def run(config: ConfigFile = None) -> None:
    """Follow eve.json, and block attackers where the settings say so, until SIGTERM.

    SIGHUP reads the configuration again: thresholds, durations, NEVER_BLOCK, AUTO_BLOCK and the
    log's settings take effect at once; the log names those that need a restart.

    Exit codes: 0 stopped as asked, 1 could not go on, 2 a setting is wrong.

    Example: ai-suricata run --config /etc/ai-suricata/config.env
    """
    settings = settings_of(config)
    from ai_suricata.core.errors import ConfigError, StateError
    from ai_suricata.telemetry.logs import configure

    configure(settings.telemetry)
    try:
        _serve(settings, lambda: load_settings(config))
    except ConfigError as error:
        fail(Exit.USAGE, *error.problems)
    except StateError as error:
        fail(Exit.FAILED, str(error))
    except asyncio.CancelledError:
        fail(
            Exit.FAILED,
            "stopped before all was done: a second signal, or the time to drain was over",
        )


def _serve(settings: Settings, reload: Callable[[], Settings]) -> None:
    import uvloop

    from ai_suricata.daemon import Daemon

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Daemon(settings, reload=reload).run())
