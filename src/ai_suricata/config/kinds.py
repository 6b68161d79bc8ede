"""Kinds of values that a setting can have, and how each is read from text."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ai_suricata.core.address import Network, parse_network

if TYPE_CHECKING:
    from pydantic.config import JsonDict


class Group(BaseSettings):
    """Base of every group: frozen; variables of other groups are ignored."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not read
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not read
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is passed and nothing else: `config.load` alone reads the environment."""
        return (init_settings,)


def setting(
    variable: str,
    default: Any,  # noqa: ANN401 - whatever the annotation says, as in pydantic's own `Field`
    meaning: str,
    *,
    unit: str = "",
    **bounds: Any,  # noqa: ANN401 - handed on to `Field`
) -> Any:  # noqa: ANN401 - as `Field`
    """Declare a setting: its variable, default, meaning and unit stand in one place."""
    extra: JsonDict = {"unit": unit} if unit else {}
    return Field(
        default=default,
        validation_alias=variable,
        description=meaning,
        json_schema_extra=extra,
        **bounds,
    )


def _words(value: object) -> object:
    """Split a list written with commas or blanks."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def networks_of(words: tuple[str, ...] | list[str]) -> tuple[Network, ...]:
    """Read networks, addresses, and `@file`s that hold one a line (`#` starts a comment).

    Raises ValueError with the word, the file and the remedy.
    """
    found: list[Network] = []
    for word in words:
        if word.startswith("@"):
            found.extend(networks_of(_lines_of(Path(word[1:]))))
            continue
        try:
            found.append(parse_network(word))
        except ValueError:
            raise ValueError(
                f"{word!r} is neither an address nor a network; "
                "write it like 192.0.2.1 or 192.0.2.0/24"
            ) from None
    return tuple(found)


def _lines_of(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"{path} can't be read ({error.strerror}); create it or take @{path} out"
        ) from None
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    return [word for words in lines for word in words if not word.startswith("@")]


def _networks(value: object) -> object:
    """Read a list of networks out of text."""
    if isinstance(value, str):
        return networks_of(value.replace(",", " ").split())
    return value


def _redis_url(value: SecretStr | None) -> SecretStr | None:
    """Refuse what is no address of a Redis, without repeating it: it may hold a password."""
    if value is not None and not value.get_secret_value().startswith(_REDIS_SCHEMES):
        raise ValueError(
            "it has to begin with redis://, rediss:// or unix://; write it like "
            "redis://USER:PASSWORD@HOST:6379/0, special characters percent-encoded"
        )
    return value


_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
RedisUrl = Annotated[SecretStr | None, AfterValidator(_redis_url)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
