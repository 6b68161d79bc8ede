"""CrowdSec 1.4 as Debian packages it, over an EVE file: whom it would ban.

Its parser of eve.json and its two Suricata scenarios come out of the package's own hub
(crowdsecurity/suricata): `suricata-major-severity` bans at the first TCP alert of severity 1,
`suricata-high-medium-severity` reports three different TCP signatures of severity 2 within about a
minute and bans nobody. Debian's list of private networks is exempt from both, and so is the home
network, as an operator would have it who wants to keep his own servers.

It runs once over the alerts of the file (`-dsn file://`), in a folder of its own that is deleted
afterwards: own configuration, own database, a local API on loopback, no central one. Times are
the events' own, so old captures are judged as they were at their time.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ai_suricata.core.address import parse_address
from ai_suricata.core.errors import AiSuricataError
from ai_suricata.replay import eve_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ai_suricata.core.address import Network

HUB = Path("/usr/share/crowdsec/hub")
"""Parsers and scenarios, as the package ships them; what an operator updated is elsewhere."""
PATTERNS = Path("/etc/crowdsec/patterns")
"""Names of grok expressions that the parsers refer to."""
SECONDS = 600.0
"""Longest time for one file; it handles about a thousand bans a second."""

_TYPE = "suricata-evelogs"
_MACHINE = "study"
_BATCH = 1000
_LAST_WORDS = 3  # lines of its log that an error repeats
_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder below it has a name that nobody can guess
_ITEMS = (
    ("parsers/s00-raw", "syslog-logs"),
    ("parsers/s01-parse", "suricata-logs"),
    ("parsers/s02-enrich", "dateparse-enrich"),
    ("scenarios", "suricata-alerts"),
)
_EXEMPTION = ("parsers/s02-enrich", "whitelists")
# As in Debian's profiles.yaml, which an operator may have changed.
_PROFILE: Mapping[str, object] = {
    "name": "default_ip_remediation",
    "filters": ['Alert.Remediation == true && Alert.GetScope() == "Ip"'],
    "decisions": [{"type": "ban", "duration": "4h"}],
    "on_success": "break",
}


class CrowdSecAbsentError(AiSuricataError):
    """CrowdSec is not installed, or not all of it. The text names what is missing."""


class CrowdSecError(AiSuricataError):
    """CrowdSec did not come to the end of a file. The text has its last words."""


class _Record(msgspec.Struct):
    """Of an EVE record what CrowdSec's parser reads."""

    event_type: str
    timestamp: str
    src_ip: str
    proto: str = ""
    flow_id: int | None = None
    dest_ip: str | None = None
    dest_port: int | None = None
    alert: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What CrowdSec said of the sources of one file; addresses in their canonical spelling."""

    banned: frozenset[str]
    """Those with a decision "ban"."""
    reported: frozenset[str]
    """Those in any of its alerts: the banned ones, and those it only reports."""


def banned(
    eve: Path,
    home_net: Iterable[Network] = (),
    *,
    private: bool = False,
    seconds: float = SECONDS,
) -> set[str]:
    """Return the sources that CrowdSec bans over the file; arguments and errors as `judge`."""
    return set(judge(eve, home_net, private=private, seconds=seconds).banned)


def judge(
    eve: Path,
    home_net: Iterable[Network] = (),
    *,
    private: bool = False,
    seconds: float = SECONDS,
) -> Judgement:
    """Return what CrowdSec says of the sources of an EVE file, plain or gzip'd.

    `home_net` is never banned, nor are private addresses, which Debian exempts, unless `private`.
    `seconds`: longest time. Raises CrowdSecAbsentError where it is not installed, CrowdSecError
    where it fails or takes too long, OSError where the file can't be read.
    """
    daemon, client = programs()
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None  # each ban is an fsync on a disk
    with tempfile.TemporaryDirectory(prefix="ai-suricata-crowdsec-", dir=memory) as name:
        folder = Path(name)
        if _write_alerts(eve, folder / "eve.json") == 0:
            return Judgement(frozenset(), frozenset())
        config = _prepare(folder, home_net, private=private)
        machine = ["machines", "add", _MACHINE, "--password", secrets.token_hex(16), "--force"]
        credentials = ["-f", str(folder / "credentials.yaml")]
        _run([client, "-c", str(config), *machine, *credentials], folder, seconds)
        alerts = ["-dsn", f"file://{folder}/eve.json", "-type", _TYPE]
        _run([daemon, "-c", str(config), "-no-capi", *alerts], folder, seconds)
        return _read(folder / "crowdsec.db")


def programs() -> tuple[str, str]:
    """Return the paths of `crowdsec` and `cscli`; raises CrowdSecAbsentError."""
    found = [(name, shutil.which(name)) for name in ("crowdsec", "cscli")]
    missing = [name for name, path in found if path is None]
    needed = [PATTERNS, *(_item(stage, name) for stage, name in (*_ITEMS, _EXEMPTION))]
    missing += [str(path) for path in needed if not path.exists()]
    if missing:
        raise CrowdSecAbsentError(
            f"CrowdSec is not installed as Debian packages it ({missing[0]} is missing): "
            "put a comment into /etc/crowdsec/online_api_credentials.yaml, so that nothing is "
            "registered anywhere, and run apt-get install crowdsec"
        )
    daemon, client = (str(path) for _, path in found)
    return daemon, client


def _item(stage: str, name: str) -> Path:
    return HUB / stage / "crowdsecurity" / f"{name}.yaml"


def _write_alerts(eve: Path, path: Path) -> int:
    """Write the alerts with the fields that CrowdSec's parser reads; return how many.

    It passes over all other events; a line above 64 KiB would silently end its reading.
    """
    count = 0
    decoder = msgspec.json.Decoder(_Record)
    with path.open("wb") as file:
        for lines in eve_batches(eve, _BATCH):
            for line in lines:
                record = _alert(decoder, line)
                if record is not None:
                    file.write(msgspec.json.encode(record) + b"\n")
                    count += 1
    return count


def _alert(decoder: msgspec.json.Decoder[_Record], line: bytes) -> _Record | None:
    """Return the record where the line is an alert that has an address."""
    if b'"alert"' not in line:
        return None
    try:
        record = decoder.decode(line)
        record.src_ip = str(parse_address(record.src_ip))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    if record.event_type != "alert" or record.alert is None:
        return None
    wanted = ("signature_id", "rev", "signature", "severity")
    record.alert = {name: record.alert[name] for name in wanted if name in record.alert}
    return record


def _prepare(folder: Path, home_net: Iterable[Network], *, private: bool) -> Path:
    """Write the configuration into the folder; return its path."""
    items = folder / "config"
    for stage, name in _ITEMS if private else (*_ITEMS, _EXEMPTION):
        (items / stage).mkdir(parents=True, exist_ok=True)
        (items / stage / f"{name}.yaml").symlink_to(_item(stage, name))
    (items / "patterns").symlink_to(PATTERNS)
    _write(items / "simulation.yaml", {"simulation": False})
    _write(items / "profiles.yaml", _PROFILE)
    _write(folder / "credentials.yaml", {})
    networks = [str(network) for network in home_net]
    if networks:
        exempt = {"reason": "the home network", "cidr": networks}
        whitelist = {"name": "study/home", "description": "home network", "whitelist": exempt}
        _write(items / "parsers/s02-enrich/zz-home.yaml", whitelist)
    config = folder / "config.yaml"
    _write(config, _config(folder, items))
    return config


def _config(folder: Path, items: Path) -> dict[str, object]:
    return {
        "common": {
            "daemonize": False,
            "log_media": "stdout",
            "log_level": "warning",
            "working_dir": str(folder),
        },
        "config_paths": {
            "config_dir": str(items),
            "data_dir": str(folder),
            "simulation_path": str(items / "simulation.yaml"),
            "hub_dir": str(HUB),
            "index_path": str(HUB / ".index.json"),
            "notification_dir": str(folder / "notifications"),
            "plugin_dir": str(folder / "plugins"),
        },
        # One routine each: the same file, the same order, the same bans.
        "crowdsec_service": {"parser_routines": 1, "buckets_routines": 1, "output_routines": 1},
        "cscli": {"output": "json"},
        "db_config": {
            "type": "sqlite",
            "db_path": str(folder / "crowdsec.db"),
            "log_level": "warning",
            "use_wal": True,
        },
        "api": {
            "client": {"credentials_path": str(folder / "credentials.yaml")},
            "server": {
                "listen_uri": f"127.0.0.1:{_free_port()}",
                "profiles_path": str(items / "profiles.yaml"),
                "console_path": str(folder / "console.yaml"),
                "log_level": "warning",
            },
        },
        "prometheus": {"enabled": False},
    }


def _write(path: Path, content: Mapping[str, object]) -> None:
    """Write JSON, which is YAML."""
    path.write_text(json.dumps(content))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _run(words: list[str], folder: Path, seconds: float) -> None:
    log = folder / "log"
    try:
        with log.open("wb") as output:
            code = subprocess.run(  # noqa: S603 - a list of words, no shell
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                timeout=seconds,
                check=False,
            ).returncode
    except subprocess.TimeoutExpired as error:
        raise CrowdSecError(f"{words[0]} took longer than {seconds:.0f} seconds") from error
    if code != 0:
        last = log.read_text(errors="replace").splitlines()[-_LAST_WORDS:]
        raise CrowdSecError(f"{words[0]} ended with code {code}: {' | '.join(last)}")


def _read(database: Path) -> Judgement:
    """Return the sources of its decisions and alerts."""
    with closing(sqlite3.connect(database)) as connection:
        bans = connection.execute("SELECT DISTINCT value FROM decisions WHERE type = 'ban'")
        decided = frozenset(str(parse_address(value)) for (value,) in bans)
        alerts = connection.execute("SELECT DISTINCT source_value FROM alerts")
        named = frozenset(str(parse_address(value)) for (value,) in alerts)
    return Judgement(decided, named)
