"""What a line of the log looks like, and what it never holds."""

from __future__ import annotations

import io
import json
import logging
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import structlog
from pydantic import SecretStr

from ai_suricata.config.settings import TelemetrySettings
from ai_suricata.telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Undo what `configure` does to the process."""
    root, ssh = logging.getLogger(), logging.getLogger("asyncssh")
    levels, handlers = (root.level, ssh.level), list(root.handlers)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ssh.setLevel(levels[1])
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def configured(stream: io.StringIO, level: str = "INFO", form: str = "json") -> io.StringIO:
    """Configure logs to go to `stream`."""
    settings = TelemetrySettings.model_validate({"LOG_LEVEL": level, "LOG_FORMAT": form})
    logs.configure(settings, stream)
    return stream


def entries(stream: io.StringIO) -> list[dict[str, object]]:
    """Each line as JSON."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_entry_is_one_line_of_json_with_a_time_in_utc() -> None:
    """Event, level, logger, the values, and when: ISO 8601 in UTC."""
    stream = configured(io.StringIO())
    structlog.stdlib.get_logger("ours").info("blocked", address="192.0.2.1", score=0.9)
    (entry,) = entries(stream)
    moment = datetime.fromisoformat(str(entry.pop("timestamp")))

    assert {
        "event": "blocked",
        "level": "info",
        "logger": "ours",
        "address": "192.0.2.1",
        "score": 0.9,
    } == entry
    assert UTC.utcoffset(None) == moment.utcoffset()


def test_entries_of_the_standard_library_look_the_same() -> None:
    """Lines of asyncio have the same fields, with the arguments put in."""
    stream = configured(io.StringIO())
    logging.getLogger("asyncio").warning("task took %s s", 3)
    (entry,) = entries(stream)

    assert ("task took 3 s", "warning", "asyncio") == (
        entry["event"],
        entry["level"],
        entry["logger"],
    )
    assert "timestamp" in entry


def test_asyncssh_is_heard_from_warning_on() -> None:
    """Even where LOG_LEVEL is DEBUG."""
    stream = configured(io.StringIO(), "DEBUG")
    ssh = logging.getLogger("asyncssh")
    ssh.info("channel opened")
    ssh.warning("connection lost")

    assert ["connection lost"] == [entry["event"] for entry in entries(stream)]


def test_a_warning_of_python_is_an_entry() -> None:
    """A library's warning does not break the lines of JSON."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        stream = configured(io.StringIO())
        warnings.warn("old spelling", UserWarning, stacklevel=1)
    (entry,) = entries(stream)

    assert "py.warnings" == entry["logger"]
    assert "old spelling" in str(entry["event"])


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("DEBUG", ["debug", "info", "warning", "error"]),
        ("WARNING", ["warning", "error"]),
        ("ERROR", ["error"]),
    ],
)
def test_what_lies_below_the_level_is_not_written(level: str, expected: list[str]) -> None:
    """LOG_LEVEL holds for our entries and for the standard library's."""
    stream = configured(io.StringIO(), level)
    for logger in (structlog.stdlib.get_logger("ours"), logging.getLogger("theirs")):
        for name in ("debug", "info", "warning", "error"):
            getattr(logger, name)("said")

    assert expected + expected == [entry["level"] for entry in entries(stream)]


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "values",
    [
        {"password": "hunter2"},
        {"REDIS_PASSWORD": "hunter2"},
        {"api_token": "hunter2"},
        {"key_data": b"hunter2"},
        {"passphrase": ["hunter2"]},
        {"client_secret": {"value": "hunter2"}},
        {"settings": {"redis": [{"password": "hunter2"}]}},
        {"url": SecretStr("redis://:hunter2@localhost")},
        {"parts": (1, [SecretStr("hunter2")])},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_secret_is_never_written(form: str, values: dict[str, object]) -> None:
    """Whatever looks like a secret is masked, at any depth."""
    stream = configured(io.StringIO(), form=form)
    structlog.stdlib.get_logger("ours").info("connects", **values)

    assert "hunter2" not in stream.getvalue()
    assert logs.MASK in stream.getvalue()


def test_a_masked_value_looks_the_same_everywhere() -> None:
    """Whichever way a secret was recognised, the mask stands in its place."""
    stream = configured(io.StringIO())
    structlog.stdlib.get_logger("ours").info("connects", url=SecretStr("a"), key_data="b")
    (entry,) = entries(stream)

    assert (logs.MASK, logs.MASK) == (entry["url"], entry["key_data"])


def test_a_key_that_merely_rhymes_is_shown() -> None:
    """Masking takes nothing else away."""
    stream = configured(io.StringIO())
    structlog.stdlib.get_logger("ours").info("connects", key_file="/etc/key", user="admin")
    (entry,) = entries(stream)

    assert ("/etc/key", "admin") == (entry["key_file"], entry["user"])


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_is_written_without_local_variables(form: str) -> None:
    """Where it happened and what, and nothing that a variable held."""
    stream = configured(io.StringIO(), form=form)

    def fails() -> None:
        held = "hunter2"
        raise ValueError(len(held))

    try:
        fails()
    except ValueError:
        structlog.stdlib.get_logger("ours").exception("went wrong")
    text = stream.getvalue()

    assert "ValueError: 7" in text
    assert "in fails" in text
    assert "held =" not in text.replace('held = "hunter2"', "")
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "value", ["\udcff", 2**70, {1: "a"}, object()], ids=["surrogate", "big", "int key", "object"]
)
def test_whatever_is_logged_makes_a_line_of_json(value: object) -> None:
    """Values that orjson refuses are written all the same."""
    stream = configured(io.StringIO())
    structlog.stdlib.get_logger("ours").info("odd", value=value)

    assert ["odd"] == [entry["event"] for entry in entries(stream)]


@pytest.mark.parametrize("text", ["a\nforged line", "a\x1b[2J", "a\x9b2J", "a\rb"])
def test_text_from_outside_can_not_forge_a_line(text: str) -> None:
    """Control characters are written out on the console, in values and in other people's texts."""
    stream = configured(io.StringIO(), form="console")
    structlog.stdlib.get_logger("ours").info("seen", signature=text)
    logging.getLogger("theirs").warning("seen %s", text)
    lines = stream.getvalue().removesuffix("\n").split("\n")

    assert 2 == len(lines)
    assert not [c for line in lines for c in line if not c.isprintable()]


def test_colours_are_for_terminals() -> None:
    """A file or a pipe gets plain text."""
    escape = "\x1b["
    for stream, expected in ((Terminal(), True), (io.StringIO(), False)):
        configured(stream, form="console")
        structlog.stdlib.get_logger("ours").info("seen")

        assert expected == (escape in stream.getvalue())


def test_the_latest_configuration_holds() -> None:
    """Configured again, a line is written once, where the latest call says."""
    first = configured(io.StringIO())
    second = configured(io.StringIO())
    structlog.stdlib.get_logger("ours").info("seen")

    assert "" == first.getvalue()
    assert 1 == len(entries(second))


def test_logs_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output belongs to what a command prints."""
    logs.configure(TelemetrySettings.model_validate({"LOG_FORMAT": "json"}))
    structlog.stdlib.get_logger("ours").info("seen")
    written = capsys.readouterr()

    assert "" == written.out
    assert '"event":"seen"' in written.err
