"""What the doctor says of the firewall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.doctor import firewall as examined
from ai_suricata.doctor.finding import Status
from ai_suricata.firewall.dry_run import DryRun
from fakes import eve
from fakes.response import FakeFirewall

if TYPE_CHECKING:
    from ai_suricata.doctor.finding import Finding
    from ai_suricata.firewall.base import Firewall


async def found(firewall: Firewall) -> list[Finding]:
    """Examine it."""
    return await examined.examine(firewall, eve.settings().firewall)


async def test_tables_with_rules_are_well_and_nothing_is_added() -> None:
    """Both are asked about, and nothing else happens."""
    firewall = FakeFirewall()
    told = await found(firewall)

    assert [Status.OK] * 3 == [one.status for one in told]
    assert ["missing", "missing"] == firewall.calls


async def test_a_dry_run_is_told() -> None:
    """There is nothing to connect to."""
    settings = eve.settings().firewall

    assert "FIREWALL is dry_run" in (await found(DryRun(settings)))[0].sentence


async def test_each_table_that_is_refused_is_told() -> None:
    """One does not hide the other."""
    firewall = FakeFirewall()
    firewall.faults["missing"] = "refused"

    assert ["ok", "wrong", "wrong"] == [one.status for one in await found(firewall)]
