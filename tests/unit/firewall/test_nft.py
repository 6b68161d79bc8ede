"""What is said to nft, and what its complaints mean, as text."""

from __future__ import annotations

import json
import math
from ipaddress import IPv4Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from ai_suricata.core.errors import FirewallRefusedError
from ai_suricata.firewall import nft
from ai_suricata.firewall.nft import Command
from ai_suricata.firewall.pfctl import Reply
from ai_suricata.firewall.ruleset import Element, Ruleset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_suricata.core.address import Target

ATTACKER, OTHER = ip_address("203.0.113.7"), ip_address("198.51.100.9")
NETWORK, AROUND = ip_network("192.0.2.0/25"), ip_network("192.0.2.0/24")
SHOW = nft.show("t")


def said(commands: Iterable[Command]) -> list[list[tuple[str, str, list[Any]]]]:
    """Return (verb, set, elements) of each part of each transaction."""
    found = []
    for command in commands:
        parts = json.loads(command.stdin)["nftables"]
        bodies = [(verb, part[verb]["element"]) for part in parts for verb in part]
        assert {("inet", "t")} == {(body["family"], body["table"]) for _, body in bodies}
        found.append([(verb, body["name"], body["elem"]) for verb, body in bodies])
    return found


def of_block4(element: str) -> str:
    """Return a listing with this element."""
    named = f'{{"set": {{"name": "block4", "elem": [{element}]}}}}'
    return f'{{"nftables": [{{"table": {{"name": "t"}}}}, {named}]}}'


def test_an_element_carries_its_seconds_rounded_up_and_whose_it_is() -> None:
    """Addresses and networks alike: by the comment they are known as ours."""
    address = {"val": "203.0.113.7", "timeout": 61, "comment": "ai-suricata"}
    network = {"addr": "192.0.2.0", "len": 25}
    marked = {"val": {"prefix": network}, "timeout": 5, "comment": "ai-suricata"}

    assert [[("add", "block4", [{"elem": address}])]] == said(
        nft.add("t", "block4", {ATTACKER: 60.2}, {})
    )
    assert [[("add", "block4_net", [{"elem": marked}])]] == said(
        nft.add("t", "block4_net", {NETWORK: 5}, {})
    )


@pytest.mark.parametrize(
    ("seconds", "timeout"), [(0.0, 1), (-5.0, 1), (math.inf, 315_360_000), (1e300, 315_360_000)]
)
def test_no_element_is_for_ever(seconds: float, timeout: int) -> None:
    """A timeout of 0 would be none, and the kernel has a longest one."""
    [[(_, _, [element])]] = said(nft.add("t", "block4", {ATTACKER: seconds}, {}))

    assert timeout == element["elem"]["timeout"]


def test_what_is_there_is_taken_out_and_put_in_with_the_later_end() -> None:
    """In one transaction; what ends later, or never, is let alone, and alone sends nothing."""
    held: dict[Target, Element] = {ATTACKER: Element(left=10), OTHER: Element(left=math.inf)}

    [[again, out, new]] = said(nft.add("t", "block4", {ATTACKER: 60, OTHER: 60}, held))

    assert ("add", "block4", ["203.0.113.7"]) == again
    assert ("delete", "block4", ["203.0.113.7"]) == out
    assert ("add", "block4", [{"elem": {"val": "203.0.113.7", "timeout": 60}}]) == new
    assert [] == said(nft.add("t", "block4", {ATTACKER: 10, OTHER: 60}, held))


@pytest.mark.parametrize(
    ("left", "ours", "sent"),
    [(1000, True, True), (1000, False, False), (math.inf, False, False), (65, True, False)],
)
def test_only_what_is_ours_is_cut_short(left: float, ours: bool, sent: bool) -> None:  # noqa: FBT001 - columns of the table above
    """A block that was shortened ends in the kernel, too; a few seconds are no matter."""
    held: dict[Target, Element] = {ATTACKER: Element(left=left, ours=ours)}

    assert sent == bool(said(nft.add("t", "block4", {ATTACKER: 60}, held)))


@pytest.mark.parametrize("ours", [True, False])
def test_what_somebody_else_put_in_stays_theirs(ours: bool) -> None:  # noqa: FBT001 - a parameter
    """Also where it is put in anew for longer: nobody may cut it short after that."""
    held: dict[Target, Element] = {ATTACKER: Element(left=10, ours=ours)}

    [[*_, (_, _, [element])]] = said(nft.add("t", "block4", {ATTACKER: 60}, held))

    assert ours == ("comment" in element["elem"])


def test_what_gives_way_to_a_wider_network_goes_first_and_once() -> None:
    """Within the transaction that puts the wider one in."""
    narrow = {"prefix": {"addr": "192.0.2.0", "len": 25}}

    [[out, new]] = said(nft.add("t", "block4_net", {AROUND: 60}, {NETWORK: Element()}, [NETWORK]))

    assert ("delete", "block4_net", [narrow]) == out
    assert "add" == new[0]


def test_of_networks_fewer_go_into_a_transaction_and_what_gives_way_goes_once() -> None:
    """Taking one out is slow work for nft: each transaction has to end within its time."""
    many = [ip_network((number << 8, 24)) for number in range(nft.NETWORKS + 1)]
    wide = ip_network("192.0.0.0/16")

    added = said(nft.add("t", "block4_net", dict.fromkeys(many, 60.0), {}, [wide]))
    deleted = list(nft.delete("t", "block4_net", many, dict.fromkeys(many, Element())))

    verbs = [[(verb, len(elements)) for verb, _, elements in parts] for parts in added]
    assert [[("delete", 1), ("add", nft.NETWORKS)], [("add", 1)]] == verbs
    assert [nft.NETWORKS, 1] == [command.size for command in deleted]


def test_only_what_is_there_is_deleted() -> None:
    """Put in first, so that one which expires meanwhile does not fail the rest; no half range."""
    held: dict[Target, Element] = {ATTACKER: Element(left=10), OTHER: Element(whole=False)}

    found = said(nft.delete("t", "block4", [ATTACKER, OTHER, ip_address("192.0.2.1")], held))

    assert [[("add", "block4", ["203.0.113.7"]), ("delete", "block4", ["203.0.113.7"])]] == found
    assert [] == said(nft.delete("t", "block4", [ATTACKER], {}))


def test_a_batch_is_cut_and_nothing_is_lost_at_the_cut() -> None:
    """A transaction that grows without end would block the kernel's tables for others."""
    many = [IPv4Address(number) for number in range(2 * nft.CHUNK + 1)]

    commands = list(nft.add("t", "block4", dict.fromkeys(many, 60.0), {}))

    assert [nft.CHUNK, nft.CHUNK, 1] == [command.size for command in commands]
    sent = [one["elem"]["val"] for [(_, _, elements)] in said(commands) for one in elements]
    assert list(map(str, many)) == sent


@pytest.mark.parametrize(
    ("stderr", "remedy"),
    [
        ("netlink: Error: cache initialization failed: Operation not permitted", "CAP_NET_ADMIN"),
        ("Error: Could not process rule: Too many open files in system", "larger `size`"),
        ("Error: interval overlaps with an existing one", "somebody else"),
        ("Error: Could not process rule: File exists", "somebody else"),
        ("internal:0:0-0: Error: No such file or directory", "looks anew"),
        ("Error: Could not process rule: Operation not supported", "`flags timeout`"),
        ("netlink: Error: cache initialization failed: Protocol not supported", "nf_tables"),
        ("what nobody has seen before", "nft list table inet t"),
    ],
)
def test_a_complaint_is_told_with_its_remedy(stderr: str, remedy: str) -> None:
    """The operator reads what nft said, and what to do."""
    command = Command("add", "{}", 1)

    with pytest.raises(FirewallRefusedError) as refused:
        nft.check(command, Reply(1, "", f"{stderr}\n\n"), "t")

    assert stderr in str(refused.value)
    assert remedy in str(refused.value).rpartition("': ")[2]
    nft.check(command, Reply(0, "", stderr), "t")


@pytest.mark.parametrize(
    "stderr",
    [
        "internal:0:0-0: Error: No such file or directory\n\n",
        "Error: Could not process rule: No such file or directory\n",
    ],
)
def test_a_table_that_does_not_exist_is_an_empty_ruleset(stderr: str) -> None:
    """Nothing is in it: who needs it says so, who takes something out is done."""
    assert Ruleset("t") == nft.read_ruleset(SHOW, Reply(1, "", stderr), "t")


def test_other_complaints_about_a_listing_are_no_empty_ruleset() -> None:
    """All would seem released otherwise."""
    with pytest.raises(FirewallRefusedError, match="not permitted"):
        nft.read_ruleset(SHOW, Reply(1, "", "Operation not permitted"), "t")


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "table inet t {",
        "[]",
        "{}",
        '{"nftables": [{"table": {"name": "t", "flags": ',
        '{"nftables": []}',
        '{"nftables": [{"table": {"name": "other"}}]}',
        of_block4('"x"'),
        of_block4("5"),
        of_block4("{}"),
        of_block4('{"prefix": {"addr": "192.0.2.1", "len": 99}}'),
        of_block4('{"range": ["192.0.2.9", "2001:db8::"]}'),
        of_block4('{"range": ["192.0.2.9", "192.0.2.1"]}'),
    ],
)
def test_an_answer_that_is_no_listing_is_refused(stdout: str) -> None:
    """Success without the very words is no proof, and nothing that is said raises anything else."""
    with pytest.raises(FirewallRefusedError, match="can't be read"):
        nft.read_ruleset(SHOW, Reply(0, stdout), "t")
    nft.read_ruleset(SHOW, Reply(0, of_block4('"192.0.2.1"')), "t")
