"""The reader of the rotation test: follows one file with the project's own source, as a process.

`python benchmarks/rotation_reader.py FILE STATE`. What it has read goes into the daemon's own log
of changes, together with the position, one record a batch (`ai_suricata.state.behaviour`): a
SIGKILL at any moment leaves both or neither. The notes of a record are

- `lines`: runs of lines in their order, each `CONTENT:FIRST:LAST` (`Run`);
- `strange`: what is neither a line of the writer's nor the beginning of one;
- `losses`: the reason of each loss that the source has reported since the record before;
- `rotations`: how many it has seen since then.

SIGTERM ends it as it ends the daemon: what has been handed out is stored, then it exits with 0.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rotation_line import runs, strange

from ai_suricata.config.source import SourceSettings
from ai_suricata.features.table import LAYOUT, Columns
from ai_suricata.source.file.tail import Tail
from ai_suricata.state.base import Changes
from ai_suricata.state.behaviour import BehaviourLog
from ai_suricata.state.row import Rows

if TYPE_CHECKING:
    from ai_suricata.core.position import Position

READY = b"reading\n"
GRACE = 2.0
"""Seconds for which a renamed file is read on: the writer must be through with it by then."""
_NEVER_COMPACTED = 2**60
_EMPTY = Rows([], dict(Columns.empty(0).items()))


class Reader:
    """Follows, and stores what it has read with the position."""

    def __init__(self, log: BehaviourLog, tail: Tail, clock: int) -> None:
        """`clock`: how many lines earlier runs have stored."""
        self._log = log
        self._tail = tail
        self._clock = clock
        self._losses: Counter[str] = Counter()
        self._rotations = 0

    async def run(self) -> None:
        """Read until told to stop."""
        async for batch in self._tail.batches():
            await self._save(batch.lines, batch.position)
        await self._save([], self._tail.position)

    async def _save(self, lines: list[bytes], position: Position) -> None:
        losses = self._tail.losses.occasions.copy()
        rotations, self._rotations = self._tail.rotations - self._rotations, self._tail.rotations
        notes = {
            "lines": tuple(f"{run.content}:{run.first}:{run.last}" for run in runs(lines)),
            "strange": tuple(strange(lines)),
            "losses": tuple((losses - self._losses).elements()),
            "rotations": (str(rotations),),
        }
        self._clock += len(lines)
        self._losses = losses
        await self._log.save(Changes(position, self._clock, _EMPTY, notes=notes))


async def main(eve: str, state: Path) -> None:
    """Follow `eve` from where the latest run stood, until SIGTERM."""
    log = BehaviourLog(state, LAYOUT, least=_NEVER_COMPACTED)
    known = await log.load()
    settings = SourceSettings(paths=(eve,), start="beginning", batch_size=100, rotation_grace=GRACE)
    tail = Tail(settings, known.position if known else None)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, tail.stop)
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    await Reader(log, tail, known.clock if known else 0).run()
    await log.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
