"""What the sources take: where Suricata's events come from, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from ai_suricata.config.kinds import Group, RedisUrl, Words, setting


def _absolute(path: Path) -> Path:
    """Refuse a relative path: Suricata connects from a folder of its own."""
    if not path.is_absolute():
        raise ValueError("the path has to begin with /, since Suricata connects to it as well")
    return path


class SourceSettings(Group):
    """What `source` takes."""

    eve_source: Literal["file", "ssh", "socket", "redis"] = setting(
        "EVE_SOURCE",
        "file",
        "how events arrive: file (local), ssh (files on pfSense, logged in to as PFSENSE_ says), "
        "socket (Suricata connects to us), redis (Suricata's own Redis output)",
    )
    paths: Words = setting(
        "EVE_PATH",
        ("/var/log/suricata/eve.json",),
        "files to follow: a path, a list, or globs (pfSense writes one file for each interface)",
        min_length=1,
    )
    start: Literal["end", "beginning"] = setting(
        "EVE_START", "end", "where a first start begins: end or beginning of the file"
    )
    watch: Literal["auto", "poll"] = setting(
        "EVE_WATCH",
        "auto",
        "how a new line is noticed: auto (inotify; polling on NFS and the like), or poll always",
    )
    poll_interval: float = setting(
        "EVE_POLL_INTERVAL",
        0.05,
        "how often a quiet file is looked at, where the kernel does not tell",
        unit="seconds",
        gt=0,
        le=10,
    )
    rotation_grace: float = setting(
        "EVE_ROTATION_GRACE",
        5.0,
        "how long a renamed file is still read after its last line: Suricata writes on into it",
        unit="seconds",
        ge=0,
        le=3600,
    )
    batch_size: int = setting(
        "BATCH_SIZE", 1000, "most lines handed on at once", unit="lines", ge=1, le=100_000
    )
    max_line_bytes: int = setting(
        "MAX_LINE_BYTES",
        16 * 1024 * 1024,
        "longer lines are rejected and counted",
        unit="bytes",
        ge=1024,
        le=1024**3,
    )
    buffer_bytes: int = setting(
        "EVE_BUFFER_BYTES",
        64 * 1024 * 1024,
        "most that is read and waits to be analysed; past it reading pauses, and what can't be "
        "made to wait (datagrams, a Redis channel) is dropped and counted",
        unit="bytes",
        ge=1024 * 1024,
        le=64 * 1024**3,
    )
    socket_path: Annotated[Path, AfterValidator(_absolute)] = setting(
        "EVE_SOCKET",
        Path("/run/ai-suricata/eve.sock"),
        "unix socket on which we listen: `filename` of Suricata's eve-log",
    )
    socket_type: Literal["stream", "datagram"] = setting(
        "EVE_SOCKET_TYPE",
        "stream",
        "stream or datagram, as Suricata's `filetype` says (unix_stream, unix_dgram); a datagram "
        "holds one line and can be lost",
    )
    redis_mode: Literal["list", "rpush", "channel", "stream"] = setting(
        "EVE_REDIS_MODE",
        "list",
        "`mode` of Suricata's Redis output: list (lpush), rpush, channel (publish; lines can be "
        "lost) or stream (xadd)",
    )
    redis_key: str = setting(
        "EVE_REDIS_KEY", "suricata", "its `key`: the list, channel or stream", min_length=1
    )
    redis_url: RedisUrl = setting(
        "EVE_REDIS_URL",
        None,
        "the Redis that Suricata writes to, if it is another than that of REDIS_URL or REDIS_HOST",
    )
