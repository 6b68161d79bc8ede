"""Labelled recordings: who is at home, and under which settings they are replayed."""

from __future__ import annotations

import gzip
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from ai_suricata.study.dataset import Kind, Purpose, find, home_of, own, portions
from ai_suricata.study.label import DataSetError, Label, Truth
from fakes import eve
from unit.study import recording

if TYPE_CHECKING:
    from pathlib import Path


def lab_folder(folder: Path, purposes: str = "train test") -> Path:
    """Return a folder as the lab leaves it, with a set for each purpose."""
    lines = ["name,purpose,seed,home_net,seconds,held_out_tools"]
    for purpose in purposes.split():
        lines.append(f'{purpose}-1,{purpose},1,"10.0.0.0/8,2001:db8::/48",86400,medusa wapiti')
        recording.written(folder / f"{purpose}-1.json.gz", recording.records())
        recording.labels_file(folder / f"{purpose}-1.labels.csv", recording.labels().values())
    (folder / "sets.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_folder_of_the_lab_says_what_each_set_is_for(tmp_path: Path) -> None:
    """And who is at home, and which tools nobody was trained on."""
    train, test = find(lab_folder(tmp_path))

    assert (Purpose.TRAIN, Purpose.TEST) == (train.purpose, test.purpose)
    assert (ip_network("10.0.0.0/8"), ip_network("2001:db8::/48")) == test.home
    assert frozenset({"medusa", "wapiti"}) == test.held_out
    assert Kind.LAB is test.kind
    assert recording.labels() == test.labels


def test_a_purpose_that_is_none_is_refused(tmp_path: Path) -> None:
    """A set for testing must not slip into the training by a typing error."""
    lab_folder(tmp_path)
    path = tmp_path / "sets.csv"
    path.write_text(path.read_text().replace(",test,", ",tset,"))
    with pytest.raises(DataSetError, match="'tset' is not a valid Purpose"):
        find(tmp_path)


def test_a_shared_folder_takes_home_from_the_roles_of_each_file(tmp_path: Path) -> None:
    """Protected hosts, victims and clients are at home; servers and peers are not."""
    recording.written(tmp_path / "ctu-1.json.gz", [eve.flow()])
    text = (
        "eve_file,ip,label,role\n"
        "ctu-1.json,192.0.2.1,benign,protected host\n"
        "ctu-1.json,192.0.2.2,benign,lab client: curl\n"
        "ctu-1.json,192.0.2.3,benign,server or peer\n"
        "ctu-1.json,0.0.0.0,benign,client\n"
    )
    (tmp_path / "labels.csv.gz").write_bytes(gzip.compress(text.encode()))
    (found,) = find(tmp_path)

    assert (ip_network("192.0.2.1/32"), ip_network("192.0.2.2/32")) == found.home
    assert (Kind.RECORDED, True, "ctu-1") == (found.kind, found.internet, found.name)
    assert "192.0.2.1, 192.0.2.2" == found.home_in_words()


def test_without_a_role_at_home_the_network_must_be_given(tmp_path: Path) -> None:
    """Nothing is guessed: the remedy is named."""
    only = [Label("192.0.2.1", Truth.MALICIOUS, "attacker")]
    with pytest.raises(DataSetError, match="give --home-net"):
        home_of(only, "labels.csv")
    path = recording.written(tmp_path / "eve.json.gz", [eve.flow()])
    labels = recording.labels_file(tmp_path / "labels.csv", only)

    assert recording.HOME == own(path, labels, recording.HOME).home


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    """A folder without labels, and labels without their file."""
    with pytest.raises(DataSetError, match=r"neither sets\.csv nor labels\.csv\.gz"):
        find(tmp_path)
    lab_folder(tmp_path)
    (tmp_path / "test-1.json.gz").unlink()
    with pytest.raises(DataSetError, match=r"test-1\.json\.gz does not exist"):
        find(tmp_path)


def test_settings_are_those_of_the_recording(tmp_path: Path) -> None:
    """Its home network, the spoof guard as asked for, and allowed scanners on NEVER_BLOCK."""
    data, base = recording.data_set(tmp_path), eve.settings(NEVER_BLOCK="192.0.2.1")
    guarded, open_ = data.settings(base), data.settings(base, spoof_guard=False)

    assert recording.HOME == guarded.features.home_net
    assert (True, False) == (guarded.classify.spoof_guard, open_.classify.spoof_guard)
    assert [ip_network("192.0.2.1/32"), ip_network(recording.ALLOWED)] == list(
        guarded.respond.never_block
    )


def test_recordings_share_the_work_by_their_size(tmp_path: Path) -> None:
    """From 0 to 1 without a gap."""
    first = recording.data_set(tmp_path, name="first")
    second = recording.data_set(tmp_path, name="second")
    assert [(first, 0.0, 0.5), (second, 0.5, 1.0)] == list(portions([first, second]))
