"""Which pf rules enforce a table."""

from __future__ import annotations

import pytest

from ai_suricata.core.decision import Table
from ai_suricata.firewall.rule import families

BOTH = {Table.BLOCK, Table.LIMIT}
LIMIT = {Table.LIMIT}
NEITHER: set[Table] = set()


@pytest.mark.parametrize(
    ("rule", "tables"),
    [
        ("block drop in log quick on em0 inet from <t> to any", BOTH),
        (
            'block drop in log quick on em0 inet from <t> to any label "USER_RULE" ridentifier 7',
            BOTH,
        ),
        ("block return in inet from <t:3> to any", BOTH),
        ("block drop in quick proto tcp from <t> port = 22 to any", BOTH),
        ("pass in on em0 inet proto tcp from ! <t:*> to any flags S/SA keep state", BOTH),
        ("pass in quick inet from <t> to any keep state (max-src-conn-rate 5/10)", LIMIT),
        ("match in on em0 inet from <t> to any dnqueue(1, 2)", LIMIT),
        ("block drop in inet from ! <t> to any", NEITHER),
        ("block drop out inet from any to <t>", NEITHER),
        ("block drop in inet from <t2> to any", NEITHER),
        ("block drop in inet from <at> to any", NEITHER),
        ('block drop in inet from any to any label "USER_RULE: from <t> to any"', NEITHER),
        ("scrub from <t> to any fragment reassemble", NEITHER),
        ('anchor "userrules/*" from <t> to any', NEITHER),
        ("", NEITHER),
    ],
)
def test_a_rule_enforces_a_table_by_its_action_and_source(rule: str, tables: set[Table]) -> None:
    """With or without the count of its entries; what a label says is no source."""
    rules = f"scrub on em0 all\n{rule}\nblock drop in inet all\n"

    assert tables == {table for table in Table if families(rules, "t", table)}


@pytest.mark.parametrize(
    ("rules", "versions"),
    [
        ("block drop in quick inet from <t> to any", {4}),
        ("block drop in quick inet6 from <t> to any", {6}),
        ("block drop in quick on em0 from <t> to any", {4, 6}),
        ("block drop in inet from <t> to any\nblock drop in inet6 from <t> to any", {4, 6}),
        ("block drop in inet from <t> to any\nblock drop in inet6 from <u> to any", {4}),
        ("block drop in inet6 from <t> to any inet", {6}),
    ],
)
def test_a_rule_is_for_the_ip_versions_that_it_names(rules: str, versions: set[int]) -> None:
    """One for IPv4, as pfSense makes it unless told otherwise, lets IPv6 pass."""
    assert versions == families(f"{rules}\n", "t", Table.BLOCK)
