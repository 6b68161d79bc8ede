"""A program called `suricata`, for what the real one can't be made to do at will.

The real one is in tests/integration/test_pcap.py.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """\
#!{python}
import json, os, pathlib, signal, sys, time
home = pathlib.Path({home!r})
if "-V" in sys.argv:
    print({version!r})
    sys.exit()
(home / "words.json").write_text(json.dumps(sys.argv))
out = pathlib.Path(sys.argv[sys.argv.index("-l") + 1])
capture = sys.argv[sys.argv.index("-r") + 1]
eve = open(out / "eve.json", "ab", buffering=0)

def say(level, message, module="pcap"):
    engine = {{"message": message, "module": module}}
    print(json.dumps({{"log_level": level, "engine": engine}}), flush=True)

def wait_for(name):
    until = time.monotonic() + 30
    while not (home / name).exists() and time.monotonic() < until:
        time.sleep(0.01)

{body}
"""
VERSION = "This is Suricata version 7.0.10 RELEASE"


class FakeSuricata:
    """A `suricata` in a folder of its own, which is to stand first on PATH."""

    def __init__(self, home: Path) -> None:
        """`home`: takes the program, what it was called with, and the files it waits for."""
        self.home = home
        home.mkdir()
        self.behave()

    def behave(self, body: str = "", version: str = VERSION) -> None:
        """Let it do this when it is run over captures: Python with `eve`, `say`, `wait_for`."""
        text = _PROGRAM.format(
            python=sys.executable, home=str(self.home), version=version, body=body
        )
        (self.home / "suricata").write_text(text)
        (self.home / "suricata").chmod(0o755)

    def allow(self, name: str) -> None:
        """Let it go on where it waits for `name`."""
        (self.home / name).touch()

    @property
    def words(self) -> list[str]:
        """What it was called with, without its own name."""
        found: list[Any] = json.loads((self.home / "words.json").read_text())
        return [str(word) for word in found[1:]]
