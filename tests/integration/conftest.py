"""What several files of this folder begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ai_suricata.firewall.pfsense import PfSense
from fakes.process import DaemonProcess
from fakes.sshd import running_pf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from fakes.sshd import PfStandIn


@pytest.fixture(autouse=True)
def _start_for_real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is time, daemons are started as an operator does."""
    real = any(request.node.get_closest_marker(name) for name in ("slow", "system"))
    monkeypatch.setattr(DaemonProcess, "forked", not real)


@pytest.fixture
def pf(tmp_path: Path) -> Iterator[PfStandIn]:
    """Return a firewall that runs: pf's stand-in behind a real sshd."""
    with running_pf(tmp_path / "pf") as running:
        yield running


@pytest.fixture
async def firewall(pf: PfStandIn) -> AsyncIterator[PfSense]:
    """Return our side of it, not yet connected."""
    client = PfSense(pf.settings())
    yield client
    await client.close()
