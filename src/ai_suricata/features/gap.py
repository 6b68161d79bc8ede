"""The time from one connection of a source to its next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.behaviour import RECENT_SECONDS, Counter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ai_suricata.features.evidence import Evidence
    from ai_suricata.features.table import Columns

_LONGEST = RECENT_SECONDS * 1000  # milliseconds


def space(
    columns: Columns, rows: NDArray[np.int64], times: NDArray[np.int64], evidence: Evidence
) -> None:
    """Put the gaps between the flows of each source into the evidence of a batch.

    `rows`, `times` (microseconds): of its events, in order. Gaps are between neighbours in the
    order in which flows were told of. A gap is a distance, since records come late; one of more
    than ten minutes counts as ten.
    """
    flows = np.flatnonzero(evidence.added[:, Counter.FLOWS])
    if not len(flows):
        return
    flows = flows[np.argsort(rows[flows], kind="stable")]
    mine, began = rows[flows], times[flows]
    same = mine[1:] == mine[:-1]
    before = np.concatenate((began[:1], began[:-1]))
    first = np.concatenate(([True], ~same))
    before[first] = columns.last_flow[mine[first]]
    gaps = np.minimum(np.abs(began - before) // 1000, _LONGEST) * (before >= 0)
    evidence.added[flows, Counter.GAPS] = before >= 0
    evidence.added[flows, Counter.GAP_MS] = gaps
    evidence.added[flows, Counter.GAP_SQUARES] = gaps * gaps
    last = np.concatenate((~same, [True]))
    columns.last_flow[mine[last]] = began[last]
