"""Labelled recordings, and who is at home in each of them.

Three kinds of places are understood: a folder of the lab (with `sets.csv`), a folder of recorded
files with one `labels.csv.gz` for all, and one eve file with labels and a home network of one's
own. The sample of the lab (`lab.json.gz` beside `lab.labels.csv`) is a fourth, small one.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ai_suricata.config.kinds import networks_of
from ai_suricata.core.address import parse_address, parse_network
from ai_suricata.study.label import DataSetError, Label, read_labels, read_labels_by_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ai_suricata.config.settings import Settings
    from ai_suricata.core.address import Address, Network

SETS, SHARED_LABELS = "sets.csv", "labels.csv.gz"
SAMPLE_HOME = "192.0.2.0/24, 2001:db8:1::/64"
"""The protected network of `samples/lab.json.gz` (samples/README.md)."""
_AT_HOME = re.compile(r"\b(protected|victim|client)\b")
"""Words of the roles of those whom a sensor would protect."""
_INTERNET = "ctu-"
"""Prefix of the recordings of a whole day of a server on the Internet."""


class Kind(StrEnum):
    """Where a recording is from: figures of the one say little of the other."""

    RECORDED = "recorded"
    LAB = "lab"


class Purpose(StrEnum):
    """What a recording is for. What was trained on must not judge."""

    TRAIN = "train"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class DataSet:
    """One recording, with its labels and its home network."""

    name: str
    path: Path
    kind: Kind
    purpose: Purpose
    home: tuple[Network, ...]
    labels: Mapping[str, Label]
    held_out: frozenset[str] = field(default_factory=frozenset)
    """Attack tools that no training set has."""
    internet: bool = False
    """Whether it is a day of a server on the Internet: thousands of strangers, many unanswered."""

    def settings(self, base: Settings, *, spoof_guard: bool = True) -> Settings:
        """Return the settings under which it is replayed: its own home network and scanners."""
        allowed = [parse_network(one.address) for one in self.labels.values() if one.allowed]
        features = base.features.model_copy(update={"home_net": self.home})
        respond = base.respond.model_copy(
            update={"never_block": (*base.respond.never_block, *allowed)}
        )
        classify = base.classify.model_copy(update={"spoof_guard": spoof_guard})
        changed = {"features": features, "respond": respond, "classify": classify}
        return base.model_copy(update=changed)

    def home_in_words(self) -> str:
        """Return the home network for people: all of a few networks, else how many."""
        few = 4
        if len(self.home) <= few:
            return ", ".join(_short(network) for network in self.home)
        return f"{len(self.home)} hosts, {_short(self.home[0])} and so on"


def find(place: Path) -> list[DataSet]:
    """Return the recordings of a folder, of all purposes. Raises `DataSetError`."""
    if (place / SETS).is_file():
        return _of_lab(place)
    if (place / SHARED_LABELS).is_file():
        return _of_shared(place)
    if (place / "lab.labels.csv").is_file():
        return [sample(place)]
    raise DataSetError(
        f"{place} holds neither {SETS} nor {SHARED_LABELS}: name a folder that does, or an eve "
        "file with --labels and --home-net"
    )


def portions(sets: Sequence[DataSet]) -> Iterator[tuple[DataSet, float, float]]:
    """Yield each recording and where it begins and ends in all the bytes of them, 0..1."""
    sizes = [data.path.stat().st_size for data in sets]
    whole, done = max(sum(sizes), 1), 0
    for data, size in zip(sets, sizes, strict=True):
        yield data, done / whole, (done + size) / whole
        done += size


def sample(folder: Path) -> DataSet:
    """Return the small sample of the lab as a training set. Raises `DataSetError`."""
    return own(
        folder / "lab.json.gz",
        folder / "lab.labels.csv",
        networks_of(SAMPLE_HOME.replace(",", " ").split()),
        kind=Kind.LAB,
        purpose=Purpose.TRAIN,
    )


def own(
    path: Path,
    labels: Path,
    home: Iterable[Network] = (),
    *,
    kind: Kind = Kind.RECORDED,
    purpose: Purpose = Purpose.TEST,
) -> DataSet:
    """Return an eve file with its labels; without `home`, the roles say who is at home.

    Raises `DataSetError`.
    """
    found = read_labels(labels)
    return DataSet(
        name=_name(path),
        path=_existing(path),
        kind=kind,
        purpose=purpose,
        home=tuple(home) or home_of(found.values(), str(labels)),
        labels=found,
    )


def home_of(labels: Iterable[Label], place: str) -> tuple[Network, ...]:
    """Return the hosts whose role says that they are protected, a victim or a client.

    Raises `DataSetError` where there is none: `place` is then named.
    """
    hosts = [parse_address(one.address) for one in labels if _AT_HOME.search(one.role)]
    home = tuple(parse_network(str(host)) for host in hosts if _is_host(host))
    if not home:
        raise DataSetError(
            f"{place}: no role says who is at home (protected, victim, client); give --home-net"
        )
    return home


def _of_shared(folder: Path) -> list[DataSet]:
    by_file = read_labels_by_file(folder / SHARED_LABELS)
    return [
        DataSet(
            name=_name(folder / name),
            path=_existing(folder / f"{name}.gz", folder / name),
            kind=Kind.RECORDED,
            purpose=Purpose.TEST,
            home=home_of(labels.values(), f"{folder / SHARED_LABELS}, {name}"),
            labels=labels,
            internet=name.startswith(_INTERNET),
        )
        for name, labels in sorted(by_file.items())
    ]


def _of_lab(folder: Path) -> list[DataSet]:
    try:
        with (folder / SETS).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [_lab_set(folder, row) for row in rows]
    except (OSError, KeyError, ValueError, UnicodeDecodeError) as error:
        raise DataSetError(
            f"{folder / SETS} can't be used ({error}); it needs name, purpose, home_net"
        ) from error


def _lab_set(folder: Path, row: Mapping[str, str]) -> DataSet:
    name = row["name"]
    return DataSet(
        name=name,
        path=_existing(folder / f"{name}.json.gz"),
        kind=Kind.LAB,
        purpose=Purpose(row["purpose"]),
        home=networks_of(re.split(r"[\s,;]+", row["home_net"].strip())),
        labels=read_labels(folder / f"{name}.labels.csv"),
        held_out=frozenset(filter(None, re.split(r"[\s,;|]+", row.get("held_out_tools") or ""))),
    )


def _existing(*paths: Path) -> Path:
    for path in paths:
        if path.is_file():
            return path
    raise DataSetError(f"{paths[0]} does not exist; bring it back, or take it off the list")


def _is_host(address: Address) -> bool:
    return not (address.is_multicast or address.is_unspecified or address.is_loopback)


def _short(network: Network) -> str:
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _name(path: Path) -> str:
    return re.sub(r"\.json(\.gz)?$", "", path.name)
