"""What a pf rule does to the addresses of a table, read from the text that `pfctl -sr` shows.

Source: pf.conf(5) and FreeBSD's pfctl_parser.c, which writes a table as `<name>`, or with its
count as `<name:3>`, and a negation as `! <name>`.
"""

from __future__ import annotations

import re

from ai_suricata.core.decision import Table

_RULE = re.compile(r"(block|pass|match) .*")
_QUOTED = re.compile(r'"[^"]*"')
_ACTS = {
    Table.BLOCK: {("block", False), ("pass", True)},
    Table.LIMIT: {("block", False), ("pass", True), ("pass", False), ("match", False)},
}
"""By table: an action, and whether it is for all but the table's addresses."""
_VERSIONS = {"inet": {4}, "inet6": {6}}
_ANY = {4, 6}


def families(rules: str, name: str, table: Table) -> frozenset[int]:
    """Return the IP versions for whose addresses a rule does what the table is for.

    A rule that lets them pass blocks nobody, whatever table it names, while one that lets all
    others pass (`! <name>`) keeps them out; a label that only speaks of the table is no rule.
    pfSense makes a rule for one version unless it is told otherwise, and the table's addresses of
    the other version then pass.
    """
    found: set[int] = set()
    source = re.compile(rf" from (! ?)?<{re.escape(name)}(?::(?:\*|\d+))?> ")
    for line in rules.splitlines():
        rule = _RULE.fullmatch(_QUOTED.sub("", line))
        origin = source.search(rule[0]) if rule else None
        if rule and origin and (rule[1], bool(origin[1])) in _ACTS[table]:
            words = rule[0][: origin.start()].split()
            found |= next((version for word, version in _VERSIONS.items() if word in words), _ANY)
    return frozenset(found)
