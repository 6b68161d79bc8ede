"""What the Redis input knows without a server: names, places, sentences, older servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from redis.crc import key_slot
from structlog.testing import capture_logs

from ai_suricata.config.settings import RedisSettings
from ai_suricata.core.errors import ConfigError
from ai_suricata.source.base import Losses
from ai_suricata.source.redis.input import RedisInput
from ai_suricata.source.redis.list import Mark
from ai_suricata.source.redis.reader import LONGEST_PAUSE, Outage, TakenError, marker_of
from ai_suricata.source.redis.stream import StreamReader
from fakes.redis_servers import fake
from fakes.suricata_redis import KEY, settings_for

if TYPE_CHECKING:
    from ai_suricata.core.position import Position


@pytest.mark.parametrize("key", ["suricata", "ids:{eve}:x", "{a}", "a{", "}a{b}"])
def test_marker_is_in_the_slot_of_the_list(key: str) -> None:
    """On a Cluster a transaction reaches one slot alone."""
    marker = marker_of(key)
    assert key_slot(key.encode()) == key_slot(marker.encode())
    assert key != marker


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"e:7:one:two", Mark("e", 7)),
        ("e:7", Mark("e", 7)),
        (b"e:0:", Mark("e", 0)),
        (None, None),
        (b"", None),
        (b"e", None),
        (b":7:one", None),
        ("e:-7", None),
        ("e:\u0667", None),
        (b"\xff:x", None),
    ],
)
def test_marker_and_place_are_read(text: bytes | str | None, expected: Mark | None) -> None:
    """What is neither is none, whoever wrote it."""
    assert expected == Mark.read(text)


def test_instance_of_a_marker_may_have_any_name() -> None:
    """It is told, and nothing is compared with it."""
    found = Mark.read(b"e:7:one:two")
    assert found is not None
    assert "one:two" == found.instance


@pytest.mark.parametrize(
    ("mode", "place"), [("list", "e:7"), ("rpush", "e:7"), ("stream", "17-3:9")]
)
def test_position_stays_until_something_is_read(mode: str, place: str) -> None:
    """A daemon that stops before Redis answers stores the place that it found."""
    position: Position = {f"redis:{KEY}": (place,), "/var/log/eve.json": ()}
    source = RedisInput(settings_for(mode), RedisSettings(), position)
    assert {f"redis:{KEY}": (place,)} == source.position
    assert {} == RedisInput(settings_for(mode), RedisSettings()).position


def test_wrong_url_is_told_by_its_own_name() -> None:
    """The sentence names EVE_REDIS_URL, and shows no part of it."""
    settings = settings_for("list", redis_url=SecretStr("redis://user:se#cret@host"))
    with pytest.raises(ConfigError) as raised:
        RedisInput(settings, RedisSettings())
    assert str(raised.value).startswith("EVE_REDIS_URL can't be read")
    assert "cret" not in str(raised.value)


def test_url_of_another_redis_takes_nothing_of_ours() -> None:
    """Neither our password nor our Sentinels are for the server of EVE_REDIS_URL."""
    ours = RedisSettings(
        password=SecretStr("ours"), db=3, sentinels=("one:1",), sentinel_master="main"
    )
    settings = settings_for("list", redis_url=SecretStr("redis://other:7"))
    source = RedisInput(settings, ours)
    pool: Any = source._client.connection_pool  # type: ignore[union-attr] # no Cluster
    options = pool.connection_kwargs
    expected = {"host": "other", "port": 7, "db": 0, "password": None, "username": None}
    assert expected == {name: options[name] for name in expected}


def test_outage_is_told_once_with_growing_pauses() -> None:
    """The pauses are random, and bounded."""
    outage = Outage(settings_for("list"))
    with capture_logs() as logs:
        pauses = [outage.begin(TakenError(f"sentence {n}")) for n in range(30)]
        assert "sentence 29" == outage.reason
        outage.end()
        outage.end()
    assert ["warning", "info"] == [log["log_level"] for log in logs]
    assert pauses[0] <= 0.1
    assert 0.5 * LONGEST_PAUSE <= pauses[-1] <= LONGEST_PAUSE
    assert None is outage.reason


def reader_of_old_server(losses: Losses) -> StreamReader:
    """Return a reader that has come to the id 5-0."""
    return StreamReader(fake(), settings_for("stream"), "5-0:0", 2.0, losses)


def test_old_server_that_trims_is_noticed_once() -> None:
    """Redis before 7 has no `entries-added`: that lines may be lost is all that can be said."""
    losses = Losses()
    reader = reader_of_old_server(losses)
    for first in ("1-0", "5-0", "9-0", "9-0"):
        info = {"length": 3, "last-generated-id": b"10-0", "first-entry": (first.encode(), {})}
        reader._account(info, 1)
    assert {"trimmed": 1} == losses.occasions
    assert {} == losses.lines


def test_old_server_that_was_emptied_lost_nothing_that_is_known() -> None:
    """Where no entry is left, there is none that follows a gap."""
    losses = Losses()
    info = {"length": 0, "last-generated-id": b"5-0", "first-entry": None}
    reader_of_old_server(losses)._account(info, 0)
    assert Losses() == losses
