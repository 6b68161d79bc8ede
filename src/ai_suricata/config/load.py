"""Reading the settings: config.env first, the environment over it; every problem named at once."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Any

from dotenv.parser import parse_stream
from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails  # noqa: TC002 - small, and pydantic has loaded it anyway

from ai_suricata.config.settings import Settings
from ai_suricata.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pydantic.fields import FieldInfo

    from ai_suricata.config.kinds import Group

_ADVICE = {
    "bool_parsing": "write true or false",
    "float_parsing": "write a number",
    "int_parsing": "write a whole number",
    "int_from_float": "write a whole number",
}
MASK = "********"


def groups() -> dict[str, type[Group]]:
    """Return the groups of settings by name, in the order in which they are shown."""
    return {name: field.annotation for name, field in Settings.model_fields.items()}  # type: ignore[misc]


def variables() -> dict[str, tuple[str, str, FieldInfo]]:
    """Return (group, field, declaration) of every variable."""
    return {
        str(field.validation_alias): (group, name, field)
        for group, kind in groups().items()
        for name, field in kind.model_fields.items()
    }


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of a config.env and the environment, which wins.

    An empty value says nothing, in either place. Raises `ConfigError` with one sentence for each
    problem: an unknown variable of the file (and the nearest known one), a value that can't be, a
    line or a file that can't be read.
    """
    given = dict(os.environ) if environment is None else dict(environment)
    stored, problems = _stored(path) if path is not None else ({}, [])
    problems.extend(_unknown(name, path) for name in stored if name not in variables())
    known = {name: value for name, value in given.items() if name in variables()}
    values = {k: v for source in (stored, known) for k, v in source.items() if v != ""}
    found: dict[str, Group] = {}
    for name, kind in groups().items():
        try:
            found[name] = kind.model_validate(_of_group(kind, values))
        except ValidationError as error:
            for detail in error.errors():
                problems.extend(_sentence(kind, detail).splitlines())
    if problems:
        raise ConfigError(problems)
    try:
        return Settings.model_validate(found)
    except ValidationError as error:
        sentences = [detail["msg"].removeprefix("Value error, ") for detail in error.errors()]
        raise ConfigError(sentences) from None


def _of_group(kind: type[Group], values: Mapping[str, str]) -> dict[str, Any]:
    names = {str(field.validation_alias) for field in kind.model_fields.values()}
    return {name: value for name, value in values.items() if name in names}


def _stored(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return the variables of a file, and a sentence for each line that is none."""
    try:
        with path.open(encoding="utf-8") as file:
            # The parser alone, without interpolation: a password may well hold a `$`.
            bindings = list(parse_stream(file))
    except OSError as error:
        raise ConfigError(
            [f"{path} can't be read ({error.strerror}); name another file with --config"]
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path} is not UTF-8 text; save it as UTF-8"]) from error
    broken = [
        f"{path}, line {binding.original.line}: this can't be read; "
        "write NAME=value, and close each quotation mark"
        for binding in bindings
        if binding.error
    ]
    return {b.key: b.value or "" for b in bindings if b.key is not None}, broken


def _unknown(name: str, path: Path | None) -> str:
    near = difflib.get_close_matches(name.upper(), variables(), n=1, cutoff=0.5)
    remedy = f"did you mean {near[0]}?" if near else "config.env.example lists all; take it out"
    return f"{name} in {path}: unknown variable; {remedy}"


def _sentence(kind: type[Group], detail: ErrorDetails) -> str:
    """Say in one sentence which setting is wrong, why, and what would be right."""
    text = detail["msg"].removeprefix("Value error, ")
    name = str(detail["loc"][0]) if detail["loc"] else ""
    field = next((f for f in kind.model_fields.values() if f.validation_alias == name), None)
    if field is None:
        return text
    shown = MASK if "SecretStr" in str(field.annotation) else repr(detail["input"])
    advice = _ADVICE.get(detail["type"], f"it is meant for: {field.description}")
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "shown" in extra:
        advice += f", or {extra['shown']}"
    return f"{name}={shown}: {text[0].lower()}{text[1:]}; {advice}"


def effective(settings: Settings) -> Iterator[tuple[str, str, str, bool]]:
    """Yield (group, variable, value with secrets masked, whether it is the default)."""
    for name, (group, field, declaration) in variables().items():
        value = getattr(getattr(settings, group), field)
        yield group, name, shown(value, declaration), value == declaration.default


def shown(value: object, declaration: FieldInfo) -> str:
    """Return a value as it would stand in config.env; a secret as asterisks."""
    extra = declaration.json_schema_extra
    if isinstance(value, SecretStr):
        return MASK
    if value is None:
        return str(extra["shown"]) if isinstance(extra, dict) and "shown" in extra else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
