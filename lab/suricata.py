"""The real Suricata, listening on one interface with a small configuration of its own.

See the Suricata user guide, "Suricata.yaml" and "Interacting via Unix Socket".
"""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ai_suricata.source.pcap.suricata import VARIABLES
from lab.network import inside
from lab.process import LabError, end, running

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_DISABLED_SIDS = frozenset({2016867})
_START_LIMIT = 180.0  # seconds: tens of thousands of rules take a while to compile
_STOP_LIMIT = 90.0  # seconds: a stopping Suricata writes every flow that it still holds
_PROBE_PAUSE = 0.5

_CONFIG = (
    VARIABLES
    + """\
default-log-dir: {out}
stats:
  enabled: yes
  interval: 30
outputs:
  - eve-log:
      enabled: yes
      {eve}
      types:
        - alert
        - anomaly
        - http: {{extended: yes}}
        - dns
        - tls: {{extended: yes}}
        - ssh
        - ftp
        - smtp
        - rdp
        - flow
        - stats: {{totals: yes, threads: no}}
logging:
  default-log-level: notice
  outputs:
    - file: {{enabled: yes, level: info, filename: suricata.log}}
af-packet:
  - interface: {interface}
    threads: 1
    cluster-id: 99
    cluster-type: cluster_flow
    defrag: yes
    tpacket-v3: yes
    checksum-checks: no
    # The kernel's own chatter between neighbours is no traffic of anybody's.
    bpf-filter: "ip or (ip6 and not net fe80::/10 and not net ff00::/8)"
unix-command:
  enabled: yes
  filename: {control}
classification-file: {classification}
reference-config-file: {reference}
default-rule-path: {work}
rule-files: [lab.rules]
app-layer:
  protocols:
    tls: {{enabled: yes, detection-ports: {{dp: 443}}, ja3-fingerprints: auto}}
    ssh: {{enabled: yes, hassh: yes}}
    http: {{enabled: yes}}
    smtp: {{enabled: yes}}
    ftp: {{enabled: yes}}
    rdp: {{enabled: yes}}
    imap: {{enabled: detection-only}}
    dns:
      tcp: {{enabled: yes, detection-ports: {{dp: 53}}}}
      udp: {{enabled: yes, detection-ports: {{dp: 53}}}}
stream:
  checksum-validation: no
  inline: no
# Short, so that a flow's record follows it closely.
flow-timeouts:
  default: {{new: 8, established: 30, closed: 0, bypassed: 10}}
  tcp: {{new: 10, established: 60, closed: 3, bypassed: 10}}
  udp: {{new: 8, established: 12, bypassed: 10}}
  icmp: {{new: 5, established: 10, bypassed: 10}}
"""
)
REGULAR = "filetype: regular\n      filename: eve.json"
"""Of the eve-log: into a file, as YAML of six spaces' depth."""

_REFERENCES = "".join(
    f"config reference: {name} http://\n"
    for name in ("url", "cve", "bugtraq", "md5", "nessus", "arachnids", "telus", "osvdb", "mcafee")
)


@dataclass(frozen=True, slots=True)
class Sensor:
    """Where Suricata listens, and where it writes."""

    namespace: str
    interface: str
    home_net: Sequence[str]
    out: Path
    """Gets eve.json and suricata.log."""
    work: Path
    """Gets the configuration, the unpacked rules and the control socket."""
    rules: Path | None
    """A rules file, plain or .gz; its classification.config lies beside it."""
    eve: str = REGULAR
    """Where events go: `filetype` and what belongs to it, as `REGULAR`."""


@contextmanager
def listening(sensor: Sensor, probe: Callable[[], None]) -> Iterator[subprocess.Popen[bytes]]:
    """Run Suricata; it has seen a packet before the block begins, and written all after it.

    `probe` sends something past the interface; it is repeated until Suricata counts a packet.
    Yields its process, for signals.
    Raises LabError where Suricata doesn't start, dies, or sees nothing.
    """
    config = configure(sensor)
    words = ["suricata", "-c", str(config), f"--af-packet={sensor.interface}", "--runmode=workers"]
    command = inside(sensor.namespace, *words, "-l", str(sensor.out))
    log = sensor.work / "suricata.out"
    with running(command, cwd=sensor.work, log=log, grace=_STOP_LIMIT) as process:
        _await_capture(sensor, process, probe)
        yield process
        if process.poll() is not None:
            raise LabError(f"Suricata died: {_last_words(sensor)}")
        if end(process, _STOP_LIMIT) != 0:
            raise LabError(f"Suricata ended badly: {_last_words(sensor)}")


def configure(sensor: Sensor) -> Path:
    """Write suricata.yaml and what it refers to; return its path."""
    classification = sensor.work / "classification.config"
    classification.touch()
    if sensor.rules is not None:
        shutil.copyfile(sensor.rules.with_name("classification.config"), classification)
    reference = sensor.work / "reference.config"
    reference.write_text(_REFERENCES, encoding="ascii")
    (sensor.work / "lab.rules").write_bytes(read_rules(sensor.rules))
    config = sensor.work / "suricata.yaml"
    text = _CONFIG.format(
        home_net=",".join(sensor.home_net),
        eve=sensor.eve,
        interface=sensor.interface,
        out=sensor.out,
        work=sensor.work,
        control=_control(sensor),
        classification=classification,
        reference=reference,
    )
    config.write_text(text, encoding="ascii")
    return config


def read_rules(path: Path | None) -> bytes:
    """Return the rules without those that are disabled; none at all where there is no file."""
    if path is None:
        return b""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    disabled = [b"sid:%d;" % sid for sid in _DISABLED_SIDS]
    lines = content.splitlines(keepends=True)
    return b"".join(line for line in lines if not any(sid in line for sid in disabled))


def _control(sensor: Sensor) -> Path:
    return sensor.work / "control"


def _await_capture(
    sensor: Sensor, process: subprocess.Popen[bytes], probe: Callable[[], None]
) -> None:
    limit = time.monotonic() + _START_LIMIT
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise LabError(f"Suricata did not start: {_last_words(sensor)}")
        if _control(sensor).exists() and _packets(sensor) > 0:
            return
        if _engine_started(sensor):
            probe()
        time.sleep(_PROBE_PAUSE)
    raise LabError(f"Suricata saw no packet in {_START_LIMIT:g} s: {_last_words(sensor)}")


def _engine_started(sensor: Sensor) -> bool:
    log = sensor.out / "suricata.log"
    return log.exists() and "Engine started" in log.read_text(errors="replace")


def _packets(sensor: Sensor) -> int:
    """Ask the running Suricata how many packets it has captured; 0 where it can't answer yet."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.settimeout(5)
            control.connect(str(_control(sensor)))
            _ask(control, {"version": "0.2"})
            arguments = {"iface": sensor.interface}
            answer = _ask(control, {"command": "iface-stat", "arguments": arguments})
    except (OSError, ValueError):  # not listening yet, or not ready for commands
        return 0
    message = answer["message"]
    return int(message["pkts"]) if isinstance(message, dict) else 0


def _ask(control: socket.socket, question: dict[str, object]) -> dict[str, object]:
    control.sendall(json.dumps(question).encode() + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        piece = control.recv(4096)
        if not piece:
            raise OSError("the control socket was closed")
        answer += piece
    decoded: dict[str, object] = json.loads(answer)
    return decoded


def _last_words(sensor: Sensor) -> str:
    log = sensor.out / "suricata.log"
    if not log.exists():
        log = sensor.work / "suricata.out"
    return " | ".join(log.read_text(errors="replace").splitlines()[-3:])
