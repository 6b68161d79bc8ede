"""How an address behaves at this moment, as a person's label or a block by hand records it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.schema import FEATURE_NAMES
from ai_suricata.features.derive import derive

if TYPE_CHECKING:
    from ai_suricata.features.table import Table


def features_of(table: Table, address: str) -> dict[str, float] | None:
    """Return all features of an address by name, or None where the table does not know it.

    What is known of the address is looked at, not touched: it stays as cold as it was.
    """
    row = table.row_of.get(address)
    if row is None:
        return None
    [vector] = derive(table.columns, np.array([row], dtype=np.int64)).tolist()
    return dict(zip(FEATURE_NAMES, vector, strict=True))
