"""What nft's listing of a table says of our sets, and of the rules that use them."""

from __future__ import annotations

import json
import math
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, TableAbsentError
from ai_suricata.firewall import ruleset
from ai_suricata.firewall.ruleset import Element, Ruleset, set_names, set_of

if TYPE_CHECKING:
    from ai_suricata.core.address import Target

ATTACKER, V6 = ip_address("203.0.113.7"), ip_address("2001:db8::bad")
DROP: dict[str, Any] = {"drop": None}
HOOKED = {"chain": {"name": "prerouting", "hook": "prerouting", "prio": -300}}
CALLED = {"chain": {"name": "called"}}


def looks_up(name: str, op: str = "==", end: str = "saddr") -> dict[str, Any]:
    """Return the part of a rule that looks the packet's source up in a set."""
    left = {"payload": {"protocol": "ip", "field": end}}
    return {"match": {"op": op, "left": left, "right": f"@{name}"}}


def rule(*parts: dict[str, Any], chain: str = "prerouting") -> dict[str, Any]:
    """Return a rule."""
    return {"rule": {"chain": chain, "handle": 1, "expr": [{"counter": {"packets": 0}}, *parts]}}


def jump(to: str = "called", verb: str = "jump") -> dict[str, Any]:
    """Return the part of a rule that calls a chain."""
    return {verb: {"target": to}}


def read(*items: dict[str, Any], elements: object = (), flags: object = None) -> Ruleset:
    """Read a listing with all of our sets; `elements` are those of block4."""
    table: dict[str, Any] = {"family": "inet", "name": "t", "handle": 1}
    if flags is not None:
        table["flags"] = flags
    sets = [{"set": {"name": name}} for each in Table for name in set_names(each)]
    sets[0]["set"]["elem"] = elements  # type: ignore[assignment]
    listed = [{"metainfo": {"version": "1.0.6"}}, {"table": table}, *sets, *items]
    return ruleset.read(json.dumps({"nftables": listed}), "t")


@pytest.mark.parametrize(
    ("element", "targets", "expected"),
    [
        ("203.0.113.7", ["203.0.113.7"], Element()),
        ({"elem": {"val": "203.0.113.7", "timeout": 9}}, ["203.0.113.7"], Element(9)),
        ({"elem": {"val": "203.0.113.7", "timeout": 9, "expires": 5}}, ["203.0.113.7"], Element(5)),
        ({"prefix": {"addr": "192.0.2.0", "len": 25}}, ["192.0.2.0/25"], Element()),
        (
            {
                "elem": {
                    "val": {"prefix": {"addr": "192.0.2.0", "len": 25}},
                    "timeout": 9,
                    "expires": 8,
                    "comment": "ai-suricata",
                }
            },
            ["192.0.2.0/25"],
            Element(8, ours=True),
        ),
        ({"elem": {"val": "203.0.113.7", "comment": "mine"}}, ["203.0.113.7"], Element()),
        (
            {"range": ["192.0.2.0", "192.0.2.2"]},
            ["192.0.2.0/31", "192.0.2.2"],
            Element(whole=False),
        ),
    ],
)
def test_each_way_of_printing_an_element(
    element: object, targets: list[str], expected: Element
) -> None:
    """Alone, with a timeout, with a comment; a range is the networks that it consists of."""
    read_targets = [ip_network(t) if "/" in t else ip_address(t) for t in targets]

    assert dict.fromkeys(read_targets, expected) == read(elements=[element]).sets["block4"]


def test_an_ipv4_mapped_entry_does_not_stand_for_ipv4() -> None:
    """It is looked up among IPv6 addresses, where it stops no IPv4 packet."""
    found = read(elements=["::ffff:203.0.113.7"]).sets["block4"]

    assert ATTACKER not in found


def test_sets_of_the_operator_may_hold_anything() -> None:
    """Ports, rates, concatenations: they are not read."""
    own = {"set": {"name": "rate4", "elem": [{"concat": ["192.0.2.1", 80]}, 5]}}

    assert {name for table in Table for name in set_names(table)} == read(own).sets.keys()


@pytest.mark.parametrize(
    ("items", "referred", "dropping"),
    [
        ([HOOKED, rule(looks_up("block4"), DROP)], True, True),
        ([HOOKED, rule(looks_up("block4", op="in"), {"reject": {}})], True, True),
        ([HOOKED, rule(looks_up("block4"), {"accept": None})], True, False),
        ([HOOKED, rule(looks_up("block4", op="!="), DROP)], False, False),
        ([HOOKED, rule(looks_up("block4", end="daddr"), DROP)], False, False),
        ([HOOKED, rule(looks_up("block44"), DROP)], False, False),
        ([HOOKED, rule(DROP), rule(looks_up("block4"))], True, False),
        ([CALLED, rule(looks_up("block4"), DROP, chain="called")], False, False),
        (
            [HOOKED, CALLED, rule(jump()), rule(looks_up("block4"), DROP, chain="called")],
            True,
            True,
        ),
        (
            [
                HOOKED,
                CALLED,
                rule(looks_up("block4"), jump(verb="goto")),
                rule(DROP, chain="called"),
            ],
            True,
            True,
        ),
        (
            [HOOKED, CALLED, rule(looks_up("block4"), jump()), rule({"log": None}, chain="called")],
            True,
            False,
        ),
        ([HOOKED, rule(jump("prerouting"), looks_up("block4"))], True, False),
        (
            [HOOKED, rule({"match": 5}, {"match": {"op": "==", "left": 1, "right": 2}})],
            False,
            False,
        ),
        (
            [HOOKED, rule({"jump": 5}, {"match": {"op": "==", "left": {"payload": 1}}})],
            False,
            False,
        ),
    ],
)
def test_which_rules_act(items: list[dict[str, Any]], *, referred: bool, dropping: bool) -> None:
    """One that packets reach, that looks up their source, and that drops or has it dropped."""
    found = read(*items)

    assert (referred, dropping) == ("block4" in found.referred, "block4" in found.dropping)


def test_only_elements_on_which_a_rule_acts_are_enforced() -> None:
    """A rule for addresses says nothing of networks; for the limit table any rule will do."""
    found = read(
        HOOKED, rule(looks_up("block4"), DROP), rule(looks_up("limit6")), elements=["192.0.2.1"]
    )

    assert {ip_address("192.0.2.1")} == found.enforced(Table.BLOCK, ["block4"])
    assert set() == found.enforced(Table.LIMIT, ["limit6"])
    assert {ip_address("192.0.2.1")} == found.enforced(Table.BLOCK, ["block4", "block4_net"])
    assert {"block4_net"} == found.idle(Table.BLOCK, ["block4", "block4_net"])
    with pytest.raises(FirewallRefusedError, match=r"@block4_net`, `.*run `nft -f "):
        found.enforced(Table.BLOCK, ["block4_net", "block6"])
    with pytest.raises(FirewallRefusedError, match="@limit4`"):
        found.enforced(Table.LIMIT, ["limit4"])


def test_a_set_that_is_gone_takes_no_other_with_it() -> None:
    """Nothing is in it, and no rule acts on it; without any of the table's, the table is gone."""
    found = read(HOOKED, rule(looks_up("block4"), DROP), elements=["192.0.2.1"])
    block4, limit4 = found.sets["block4"], found.sets["limit4"]

    some = Ruleset("t", {"block4": block4}, dropping=frozenset({"block4"}))
    assert {ip_address("192.0.2.1")} == some.enforced(Table.BLOCK, ["block4", "block6"])
    assert {"block4": block4} == some.elements(Table.BLOCK)
    for gone, words in (
        (Ruleset("t"), "^the table"),
        (Ruleset("t", {"limit4": limit4}), "^the set b"),
    ):
        with pytest.raises(TableAbsentError, match=words):
            gone.elements(Table.BLOCK)


def test_what_only_a_set_without_a_rule_holds_is_not_enforced() -> None:
    """An address that matches there is stopped by nobody."""
    found = read(HOOKED, rule(looks_up("block4_net"), DROP), elements=["192.0.2.1"])

    assert set() == found.enforced(Table.BLOCK, ["block4_net"])


def test_a_rule_that_lets_pass_blocks_nobody() -> None:
    """For the limit table any rule will do: what it does is the operator's choice."""
    found = read(
        HOOKED, rule(looks_up("block4"), {"accept": None}), rule(looks_up("limit4"), {"mark": 1})
    )

    assert set() == found.enforced(Table.LIMIT, ["limit4"])
    with pytest.raises(FirewallRefusedError, match="@block4`"):
        found.enforced(Table.BLOCK, ["block4"])


@pytest.mark.parametrize("flags", ["dormant", ["dormant"], ["owner", "dormant"], "garbled"])
def test_a_table_that_is_switched_off_enforces_nothing(flags: object) -> None:
    """However its flag is printed: nft 1.0.6 prints another word in its place."""
    found = read(HOOKED, rule(looks_up("block4"), DROP), flags=flags)

    with pytest.raises(FirewallRefusedError, match="is dormant, so that nobody is stopped"):
        found.enforced(Table.BLOCK, ["block4"])


def test_other_flags_of_a_table_do_not_matter() -> None:
    """A table may be owned by a process, or outlive it."""
    found = read(HOOKED, rule(looks_up("block4"), DROP), flags=["owner", "persist"])

    assert set() == found.enforced(Table.BLOCK, ["block4"])


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (ATTACKER, "block4"),
        (V6, "block6"),
        (ip_network("192.0.2.0/25"), "block4_net"),
        (ip_network("2001:db8::/64"), "block6_net"),
    ],
)
def test_each_kind_of_target_has_its_set(target: Target, name: str) -> None:
    """And every such set is one that has to be there."""
    assert name == set_of(Table.BLOCK, target)
    assert name in set_names(Table.BLOCK)


def test_time_that_is_left_is_for_ever_without_a_timeout() -> None:
    """An entry of somebody else mostly has none."""
    assert read(elements=["192.0.2.1"]).sets["block4"][ip_address("192.0.2.1")].left == math.inf
