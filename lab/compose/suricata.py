"""The real Suricata reads a day: `suricata -r`, with the time-outs of a sensor on a live link.

See the Suricata user guide, "Command Line Options", "Flow Settings" and "Runmodes". One thread
works through the packets, so that their order is that of the capture.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from ai_suricata.source.pcap.suricata import VARIABLES
from lab.process import LabError
from lab.suricata import read_rules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIMEOUTS = {
    "TCP": {"new": 60, "established": 600, "closed": 10},
    "UDP": {"new": 30, "established": 300, "closed": 0},
    "ICMP": {"new": 30, "established": 300, "closed": 0},
}
"""Seconds of silence after which a flow of a state is over, by protocol."""
_LIMIT = 1_800.0  # seconds: tens of thousands of rules, a million packets, a slow machine
_CONFIG = (
    VARIABLES
    + """\
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
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
logging:
  default-log-level: notice
  outputs:
    - file: {{enabled: yes, level: notice, filename: suricata.log}}
pcap-file:
  checksum-checks: no
unix-command: {{enabled: no}}
classification-file: {work}/classification.config
reference-config-file: {work}/reference.config
default-rule-path: {work}
rule-files: [day.rules]
app-layer:
  protocols:
    tls: {{enabled: yes, detection-ports: {{dp: 443}}, ja3-fingerprints: auto}}
    ssh: {{enabled: yes, hassh: yes}}
    http: {{enabled: yes}}
    smtp: {{enabled: yes}}
    ftp: {{enabled: yes}}
    imap: {{enabled: detection-only}}
    rdp: {{enabled: yes}}
    dns:
      tcp: {{enabled: yes, detection-ports: {{dp: 53}}}}
      udp: {{enabled: yes, detection-ports: {{dp: 53}}}}
stream:
  memcap: 512mb
  checksum-validation: no
  inline: no
  reassembly: {{memcap: 1gb}}
flow: {{memcap: 1gb, hash-size: 65536, prealloc: 10000, emergency-recovery: 30}}
flow-timeouts:
  default: {{new: 30, established: 300, closed: 0, bypassed: 100}}
  tcp: {{new: 60, established: 600, closed: 10, bypassed: 100}}
  udp: {{new: 30, established: 300, bypassed: 100}}
  icmp: {{new: 30, established: 300, bypassed: 100}}
"""
)
_REFERENCES = "".join(
    f"config reference: {name} http://\n"
    for name in ("url", "cve", "bugtraq", "md5", "nessus", "arachnids", "telus", "osvdb", "mcafee")
)


def configure(work: Path, home_net: Sequence[str], rules: Path | None) -> Path:
    """Write suricata.yaml and what it refers to into `work`; return its path.

    `rules`: a file, plain or .gz, with classification.config beside it.
    """
    (work / "classification.config").touch()
    if rules is not None:
        shutil.copyfile(rules.with_name("classification.config"), work / "classification.config")
    (work / "reference.config").write_text(_REFERENCES, encoding="ascii")
    (work / "day.rules").write_bytes(read_rules(rules))
    config = work / "suricata.yaml"
    config.write_text(_CONFIG.format(home_net=",".join(home_net), work=work), encoding="ascii")
    return config


def read_capture(capture: Path, work: Path, home_net: Sequence[str], rules: Path | None) -> Path:
    """Have Suricata read a capture; return the path of its eve.json, in `work`.

    Raises LabError where it is missing, fails, or takes longer than half an hour.
    """
    config = configure(work, home_net, rules)
    words = ("suricata", "-c", str(config), "-r", str(capture), "-l", str(work))
    try:
        done = subprocess.run(
            (*words, "-k", "none", "--runmode=single"),
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"Suricata did not read the day: {error}") from error
    if done.returncode != 0:
        raise LabError(f"Suricata ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return work / "eve.json"
