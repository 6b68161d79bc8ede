"""Labels survive being written, and no address has two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.label import Actor, Label, Role, read_labels, write_labels

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = Actor("198.51.100.7", Label.BENIGN, Role.WEB_CLIENT, "asyncio")
SCANNER = Actor(
    "2001:db8:2::5", Label.MALICIOUS, Role.SYN_SCANNER, "nmap", handshake=False, campaign="a-1"
)


def test_labels_read_as_they_were_written(tmp_path: Path) -> None:
    """Reading gives the actors that were written, by address."""
    file = tmp_path / "labels.csv"
    write_labels(file, [CLIENT, SCANNER])

    assert {CLIENT.address: CLIENT, SCANNER.address: SCANNER} == read_labels(file)


def test_file_has_the_documented_columns(tmp_path: Path) -> None:
    """The heading and the spelling of each value are what users of the file rely on."""
    file = tmp_path / "labels.csv"
    write_labels(file, [SCANNER])

    assert [
        "ip,label,role,handshake,tool,campaign",
        "2001:db8:2::5,malicious,syn-scanner,no,nmap,a-1",
    ] == file.read_text(encoding="ascii").splitlines()


def test_second_label_of_an_address_is_an_error(tmp_path: Path) -> None:
    """Labels are exact, so an address in two roles stops the writing and is named."""
    with pytest.raises(ValueError, match=r"198\.51\.100\.7 has two labels"):
        write_labels(tmp_path / "labels.csv", [CLIENT, CLIENT])


def test_unknown_label_is_an_error(tmp_path: Path) -> None:
    """A word that is no label does not pass for one."""
    file = tmp_path / "labels.csv"
    file.write_text("ip,label,role,handshake,tool\n192.0.2.1,evil,server,yes,x\n", encoding="ascii")

    with pytest.raises(ValueError, match="evil"):
        read_labels(file)


def test_early_file_has_no_campaigns(tmp_path: Path) -> None:
    """A file without that column is read as before."""
    file = tmp_path / "labels.csv"
    row = "198.51.100.7,benign,web-client,yes,asyncio"
    file.write_text(f"ip,label,role,handshake,tool\n{row}\n", encoding="ascii")

    assert {CLIENT.address: CLIENT} == read_labels(file)
