"""`python -m lab --out DIR`: make traffic, have Suricata watch it, write down who was who."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.process import LabError
from lab.run import Order, Run
from lab.take import TEST_TOOLS, TRAINING_TOOLS

if TYPE_CHECKING:
    from types import FrameType

TOOLS = (
    "ip",
    "suricata",
    "tcpdump",
    "ping",
    "ssh",
    "ssh-keygen",
    "/usr/sbin/sshd",
    "openssl",
    "unshare",
    *sorted(TRAINING_TOOLS | TEST_TOOLS),
)
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_EXAMPLE = """\
example:
  python -m lab --out /tmp/lab-run --seed 7 --minutes 4 --rules et-open.rules.gz

Needs root, for namespaces and raw sockets. DIR gets eve.json, capture.pcap, labels.csv,
run.json, suricata.log and logs/; nothing else outlasts the run. Only a lab that was killed
outright (SIGKILL) leaves its namespaces behind, named aisl-PID-...: see `ip netns list`.
"""


def main() -> int:
    """Run the lab as the command line says; return the exit status."""
    order = _parse()
    for number in _ENDINGS:
        signal.signal(number, _leave)
    try:
        check(order)
        Run(order).go()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: stopped, and cleaned up", file=sys.stderr)
        return 130
    return 0


def missing_tools() -> list[str]:
    """Return the programs that the lab needs and this machine has not got."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def _parse() -> Order:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="made if missing")
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        help="of addresses, tools, options and timings; odd ones are for testing (1)",
    )
    parser.add_argument("--minutes", type=float, default=4.0, help="of traffic (4)")
    parser.add_argument(
        "--rules",
        type=Path,
        metavar="FILE",
        help="a rules file, plain or .gz, with classification.config beside it (none)",
    )
    given = parser.parse_args()
    return Order(given.out.resolve(), given.seed, given.minutes, given.rules)


def check(order: Order) -> None:
    """Raise LabError where the run can't succeed, before anything is made."""
    if os.geteuid() != 0:
        raise LabError("the lab makes namespaces and raw sockets: run it as root")
    if missing := missing_tools():
        raise LabError(f"not installed: {', '.join(missing)}")
    if order.minutes <= 0:
        raise LabError("--minutes must be greater than 0")
    if order.rules and not order.rules.is_file():
        raise LabError(f"no rules file {order.rules}")
    if order.rules and not order.rules.with_name("classification.config").is_file():
        raise LabError(f"no classification.config beside {order.rules}")
    if (order.out / "eve.json").exists():
        raise LabError(f"{order.out} already has an eve.json: name another folder")


def _leave(number: int, frame: FrameType | None) -> None:
    """Unwind, so that whatever was made is cleaned up; a second signal does not disturb that."""
    del number, frame
    for ending in _ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
