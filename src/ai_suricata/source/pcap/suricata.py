"""The installed Suricata as a child process: how it is asked, and what it says.

See the Suricata user guide, "Command Line Options" and "Suricata.yaml" (a section that a file
given by `--include` defines again replaces the earlier one whole).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ai_suricata.source.pcap.capture import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network, IPv6Network

    from ai_suricata.source.pcap.folder import Capture

DEFAULT_CONFIG = Path("/etc/suricata/suricata.yaml")
EVE, LOG = "eve.json", "suricata.log"
_OVERRIDE, _MINIMAL = "override.yaml", "suricata.yaml"
_OLDEST = (7, 0)
"""The first version that knows `--include`."""
_ANSWER_LIMIT = 30.0  # seconds for telling its version
_VERSION = re.compile(r"version (\d+)\.(\d+)")

_OVERRIDDEN = """\
%YAML 1.1
---
# Whatever the operator's file says: what we count, into one file, and nothing anywhere else.
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types: [alert, anomaly, http, dns, tls, ssh, ftp, flow]
logging:
  default-log-level: notice
  outputs:
    - console: {enabled: yes, type: json}
# The socket is that of the Suricata that may be running beside this one.
unix-command: {enabled: no}
# It runs as whoever started us: another user could not write into our folder.
run-as:
"""
_PRIVATE = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"

VARIABLES = """\
%YAML 1.1
---
vars:
  address-groups:
    HOME_NET: "[{home_net}]"
    EXTERNAL_NET: "!$HOME_NET"
    HTTP_SERVERS: "$HOME_NET"
    SMTP_SERVERS: "$HOME_NET"
    SQL_SERVERS: "$HOME_NET"
    DNS_SERVERS: "$HOME_NET"
    TELNET_SERVERS: "$HOME_NET"
    AIM_SERVERS: "$EXTERNAL_NET"
    DC_SERVERS: "$HOME_NET"
    DNP3_SERVER: "$HOME_NET"
    DNP3_CLIENT: "$HOME_NET"
    MODBUS_CLIENT: "$HOME_NET"
    MODBUS_SERVER: "$HOME_NET"
    ENIP_CLIENT: "$HOME_NET"
    ENIP_SERVER: "$HOME_NET"
  port-groups:
    HTTP_PORTS: "80"
    SHELLCODE_PORTS: "!80"
    ORACLE_PORTS: 1521
    SSH_PORTS: 22
    DNP3_PORTS: 20000
    MODBUS_PORTS: 502
    FILE_DATA_PORTS: "[$HTTP_PORTS,110,143]"
    FTP_PORTS: 21
    GENEVE_PORTS: 6081
    VXLAN_PORTS: 4789
    TEREDO_PORTS: 3544
"""
"""A suricata.yaml of the variables that published rules take for granted; HOME_NET is left open."""


@dataclass(frozen=True, slots=True)
class Suricata:
    """How Suricata is run over captures."""

    config: Path | None = None
    """The operator's suricata.yaml; None: that of the system, where there is one."""
    rules: Path | None = None
    """The only rules file to load; None: those that the configuration names."""
    home_net: Sequence[IPv4Network | IPv6Network] = ()
    """HOME_NET for its rules; empty: as the configuration says."""

    def check(self) -> None:
        """Raise InputError where Suricata can't be run like this: missing, too old, no file."""
        for file in (self.config, self.rules):
            if file is not None and not os.access(file, os.R_OK):
                lack = "can't be read" if file.exists() else "does not exist"
                raise InputError(f"{file} {lack}")
        version = _version()
        if version < _OLDEST:
            raise InputError(
                f"Suricata {version[0]}.{version[1]} is too old to read captures for us: "
                f"install {_OLDEST[0]}.{_OLDEST[1]} or later (Debian 12: from backports)"
            )

    def prepare(self, folder: Path) -> None:
        """Write into its folder what it is started with."""
        (folder / _OVERRIDE).write_text(_OVERRIDDEN, encoding="ascii")
        (folder / _MINIMAL).write_text(VARIABLES.format(home_net=_PRIVATE), encoding="ascii")
        # Suricata appends: the file can be followed before it is there to write into it.
        (folder / EVE).touch(mode=0o600)

    def command(self, capture: Capture, folder: Path) -> list[str]:
        """Return the words of its command line; `folder` is prepared, and takes what it writes."""
        words = ["suricata", "-c", str(self._config(folder)), "--include", str(folder / _OVERRIDE)]
        words += ["-l", str(folder), "-r", str(capture.path.absolute())]
        # Rules may have Suricata remember what it has seen: not among what it sees live.
        words += ["--data-dir", str(folder)]
        # `workers`, which many configure, does not exist for captures. With one thread events come
        # in the order of their packets, but for flows, whose end other threads see in their time.
        words += ["--runmode", "single"]
        # A host's own captures hold the checksums that its network card was to compute: all wrong.
        words += ["-k", "none"]
        if self.home_net:
            networks = ",".join(map(str, self.home_net))
            words += ["--set", f"vars.address-groups.HOME_NET=[{networks}]"]
        if self.rules is not None:
            words += ["-S", str(self.rules.absolute())]
        return words

    def _config(self, folder: Path) -> Path:
        if self.config is not None:
            return self.config.absolute()
        return DEFAULT_CONFIG if os.access(DEFAULT_CONFIG, os.R_OK) else folder / _MINIMAL


def _version() -> tuple[int, int]:
    """Return the version of the Suricata on PATH; raises InputError where there is none."""
    program = shutil.which("suricata")
    if program is None:
        raise InputError("captures are read by Suricata, which is not installed: install suricata")
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, no shell
            [program, "-V"], capture_output=True, text=True, timeout=_ANSWER_LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{program} -V does not answer: {error}") from error
    found = _VERSION.search(done.stdout + done.stderr)
    if found is None:
        raise InputError(f"{program} -V does not tell a version of Suricata")
    return int(found[1]), int(found[2])
