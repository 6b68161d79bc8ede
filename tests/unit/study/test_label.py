"""Labels of recordings: what is read, and what is refused."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from ai_suricata.study.label import (
    DataSetError,
    Label,
    Truth,
    read_labels,
    read_labels_by_file,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_labels_are_read_with_canonical_addresses(tmp_path: Path) -> None:
    """Suricata writes IPv6 in full; columns that are missing are empty."""
    path = tmp_path / "labels.csv"
    path.write_text("ip,label,role\n2001:0db8::0001,benign,client\n192.0.2.1,malicious,\n")

    assert {
        "2001:db8::1": Label("2001:db8::1", Truth.BENIGN, "client"),
        "192.0.2.1": Label("192.0.2.1", Truth.MALICIOUS),
    } == read_labels(path)


def test_labels_of_several_recordings_are_parted_by_file(tmp_path: Path) -> None:
    """One address may be an attacker in one file and a client in another."""
    path = tmp_path / "labels.csv.gz"
    text = "eve_file,ip,label,role\na.json,192.0.2.1,malicious,\nb.json,192.0.2.1,benign,\n"
    path.write_bytes(gzip.compress(text.encode()))
    found = read_labels_by_file(path)

    assert {"a.json", "b.json"} == set(found)
    assert Truth.MALICIOUS == found["a.json"]["192.0.2.1"].truth
    assert Truth.BENIGN == found["b.json"]["192.0.2.1"].truth


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ip,label\n192.0.2.1,good\n", "line 2: 'good' is no label"),
        ("ip,label\n192.0.2,benign\n", "line 2: '192.0.2' is no address"),
        ("ip,truth\n192.0.2.1,benign\n", "lacks the column label"),
        ("ip,label\n192.0.2.1,benign\n192.0.2.1,malicious\n", "line 3: 192.0.2.1 is benign above"),
    ],
)
def test_labels_that_were_tampered_with_are_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    """With the file, the line and what is wrong."""
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(DataSetError, match=problem) as error:
        read_labels(path)

    assert str(path) in str(error.value)


def test_a_damaged_or_missing_file_is_refused(tmp_path: Path) -> None:
    """A gzip file cut short, and one that is not there."""
    path = tmp_path / "labels.csv.gz"
    path.write_bytes(gzip.compress(b"ip,label\n")[:-4])
    for one in (path, tmp_path / "none.csv"):
        with pytest.raises(DataSetError, match="can't be read"):
            read_labels(one)
