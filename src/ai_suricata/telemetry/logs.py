"""Logs: one line an entry on stderr, for people or as JSON, without secrets.

structlog and the standard library's logging (asyncssh, asyncio, warnings) meet in one handler, so
that a line looks the same whoever wrote it (structlog.org, "Standard Library Logging").
"""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import orjson
import structlog
from pydantic import SecretBytes, SecretStr

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "**********"
_SECRET_KEY = re.compile(r"password|passwd|passphrase|secret|token|key_data", re.IGNORECASE)
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


class LogSettings(Protocol):
    """What of the settings is needed here: `config` and `telemetry` know nothing of each other."""

    @property
    def log_level(self) -> str:
        """DEBUG, INFO, WARNING or ERROR."""

    @property
    def log_format(self) -> str:
        """`console` or `json`."""


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, to be told from other people's when `configure` is called again."""


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send all logs to `stream` (stderr unless given). Called again, the latest call holds."""
    stream = stream or sys.stderr
    handler = _Handler(stream)
    handler.setFormatter(_formatter(settings.log_format, colours=stream.isatty()))
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level)
    # asyncssh tells of each channel and packet at INFO: nothing that an operator asks for.
    logging.getLogger("asyncssh").setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace values that are secrets, or whose key says so, at any depth of dicts and lists."""
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: object, value: object) -> object:
    if isinstance(value, SecretStr | SecretBytes):
        return MASK
    if isinstance(key, str) and _SECRET_KEY.search(key):
        return MASK
    if isinstance(value, dict):
        return {k: _masked(k, v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(None, v) for v in value]
    return value


def escape_control(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write out control characters: text from the network must not forge lines or move cursors."""
    return {key: _escaped(value) for key, value in event.items()}


def _escaped(value: object) -> object:
    return value.translate(_CONTROL) if isinstance(value, str) else value


def _common() -> list[Processor]:
    """Return what happens to every entry, ours and the standard library's."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
    ]


def _formatter(log_format: str, *, colours: bool) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_common(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(_json() if log_format == "json" else _console(colours=colours)),
        ],
    )


def _json() -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]


def _console(*, colours: bool) -> list[Processor]:
    # The default formatter of exceptions shows local variables, and with them secrets.
    plain = structlog.dev.plain_traceback
    return [
        escape_control,
        structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain),
    ]


def _to_json(entry: EventDict, default: Callable[[Any], Any]) -> str:
    try:
        return orjson.dumps(entry, default=default, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # orjson refuses lone surrogates (a file name that is no UTF-8) and integers past 64 bits.
        return json.dumps(entry, default=default)
