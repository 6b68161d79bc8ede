"""The list of data sets: `sets.csv`, one row for each, in the order of their names."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FILE = "sets.csv"


@dataclass(frozen=True, slots=True)
class DataSet:
    """One labelled data set."""

    name: str
    purpose: str
    """`train` or `test`."""
    seed: int
    home_net: str
    """Networks with commas between them, as in HOME_NET."""
    seconds: int
    held_out_tools: str
    """Tools that no training set has, with spaces between them; of a training set: none."""


def read_sets(folder: Path) -> list[DataSet]:
    """Return the listed sets: none where there is no list; ValueError where it can't be read."""
    path = folder / FILE
    if not path.exists():
        return []
    with path.open(newline="", encoding="ascii") as file:
        return [
            DataSet(
                name=row["name"],
                purpose=row["purpose"],
                seed=int(row["seed"]),
                home_net=row["home_net"],
                seconds=int(row["seconds"]),
                held_out_tools=row["held_out_tools"],
            )
            for row in csv.DictReader(file)
        ]


def list_set(folder: Path, added: DataSet) -> None:
    """Add a set to the list, or put it in the place of the one of that name."""
    sets = {one.name: one for one in read_sets(folder)} | {added.name: added}
    with (folder / FILE).open("w", newline="", encoding="ascii") as file:
        names = [field.name for field in fields(DataSet)]
        rows = csv.DictWriter(file, names, lineterminator="\n")
        rows.writeheader()
        rows.writerows(asdict(sets[name]) for name in sorted(sets))
