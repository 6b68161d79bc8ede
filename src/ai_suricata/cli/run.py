"""`ai-suricata run`: the daemon."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ai_suricata.cli.outcome import ConfigFile, Exit, fail, load_settings, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ai_suricata.config.settings import Settings


def run(config: ConfigFile = None) -> None:
    """Follow eve.json, and block attackers where the settings say so, until SIGTERM.

    SIGHUP reads the configuration again: thresholds, durations, NEVER_BLOCK, AUTO_BLOCK and the
    log's settings take effect at once, and a model that was promoted serves; the log names the
    settings that need a restart.

    Exit codes: 0 stopped as asked, 1 could not go on, 2 a setting is wrong.

    Example: ai-suricata run --config /etc/ai-suricata/config.env
    """
    settings = settings_of(config)
    from ai_suricata.core.errors import AiSuricataError, ConfigError
    from ai_suricata.telemetry.logs import configure

    configure(settings.telemetry)
    try:
        _serve(settings, lambda: load_settings(config))
    except ConfigError as error:
        fail(Exit.USAGE, *error.problems)
    except AiSuricataError as error:
        fail(Exit.FAILED, str(error))
    except ExceptionGroup as group:  # tasks fail in groups, one in another
        sentences = _sentences(group)
        if not sentences:
            raise
        fail(Exit.FAILED, *sentences)
    except asyncio.CancelledError:
        fail(
            Exit.FAILED,
            "stopped before all was done: a second signal, or the time to drain was over",
        )


def _sentences(group: ExceptionGroup) -> list[str]:
    """Return what the errors say, each once; nothing where one of them is the program's fault."""
    from ai_suricata.core.errors import AiSuricataError

    ours, others = group.split(AiSuricataError)
    return list(dict.fromkeys(map(str, _leaves(ours)))) if ours and not others else []


def _leaves(group: ExceptionGroup) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _serve(settings: Settings, reload: Callable[[], Settings]) -> None:
    import uvloop

    from ai_suricata.daemon import Daemon

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Daemon(settings, reload=reload).run())
