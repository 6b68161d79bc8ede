"""The recorder beside Suricata: tcpdump(8) writes every packet of a run, whole, in one file."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.network import inside
from lab.process import LabError, end, running, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CAPTURE = "capture.pcap"
FILTER = "ip or (ip6 and not net fe80::/10 and not net ff00::/8)"
"""The kernel's own chatter between neighbours is no traffic of anybody's."""
_BUFFER = 65536  # KiB in the kernel, so that a burst of a flood is not lost
_START_LIMIT = 20.0
_STOP_LIMIT = 20.0


@contextmanager
def recording(namespace: str, interface: str, out: Path, log: Path) -> Iterator[None]:
    """Write `out`/capture.pcap while the block runs; raises LabError where tcpdump fails.

    `log` gets what tcpdump says, the packets that the kernel dropped among it.
    """
    file = out / CAPTURE
    options = ("-i", interface, "-n", "-s", "0", "-B", str(_BUFFER), "-Z", "root", "-w", str(file))
    command = inside(namespace, "tcpdump", *options, FILTER)
    with running(command, cwd=out, log=log, grace=_STOP_LIMIT) as process:
        wait_until(
            lambda: "listening on" in log.read_text(errors="replace") or process.poll() is not None,
            limit=_START_LIMIT,
            what="tcpdump to listen",
        )
        yield
        if end(process, _STOP_LIMIT) != 0:
            raise LabError(f"tcpdump ended badly: {log.read_text(errors='replace')[-300:]}")
