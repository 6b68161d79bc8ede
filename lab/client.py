"""The actors without a tool of their own. Run inside a namespace: `python -m lab.client PLAN`.

PLAN is a JSON file: who plays which role, the seed, the seconds they have, and what they need to
reach the servers. Each client draws its timing from the seed and its own address.
"""

from __future__ import annotations

import asyncio
import ftplib
import json
import random
import smtplib
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab import account, covert, crowd, datagram, swarm, visit
from lab.label import Role
from lab.means import Means

if TYPE_CHECKING:
    from collections.abc import Sequence

ONCE = (1, 1)
_QUIET_END = 0.92  # of the time: after that nobody begins anything new


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """What one client process plays."""

    cast: Sequence[tuple[str, str, str]]
    """Address, role and campaign of each client."""
    seed: int
    duration: float
    """Seconds."""
    certificate: str
    known_hosts: str
    work: str
    """Folder for the small files that ssh needs."""

    def write(self, path: Path) -> Path:
        """Write the plan as JSON and return its path."""
        path.write_text(json.dumps(asdict(self)), encoding="ascii")
        return path


class Client:
    """One address that behaves as its role does, for as long as the plan says."""

    def __init__(self, plan: ClientPlan, address: str, role: Role, campaign: str = "") -> None:
        """`address`: an address that this namespace owns."""
        self._plan = plan
        self._rng = random.Random(f"{plan.seed}/{address}")
        self._role = role
        tls = ssl.create_default_context(cafile=plan.certificate)
        self._means = Means(
            address, self._rng, tls, plan.known_hosts, plan.work, plan.duration, campaign
        )

    async def play(self) -> None:
        """Behave until the time is up; what the network refuses is a client's everyday life."""
        act, rounds = act_of(self._role, self._means.campaign)
        end = asyncio.get_running_loop().time() + self._plan.duration * _QUIET_END
        for pause in self._pauses(rounds):
            if asyncio.get_running_loop().time() + pause >= end:
                return
            await asyncio.sleep(pause)
            try:
                await act(self._means)
            except _EVERYDAY as error:
                print(f"{self._role} {self._means.source}: {error!r}", flush=True)

    def _pauses(self, rounds: tuple[int, int] | float) -> list[float]:
        """Return the seconds before each visit: a beat with jitter, or so many visits at random."""
        duration = self._plan.duration * _QUIET_END
        if isinstance(rounds, float):
            beat = [rounds * self._rng.uniform(0.9, 1.1) for _ in range(int(duration / rounds))]
            return [rounds * self._rng.random(), *beat]
        count = self._rng.randint(*rounds)
        moments = sorted(self._rng.uniform(0, duration * 0.85) for _ in range(count))
        return [b - a for a, b in zip([0.0, *moments], moments, strict=False)]


_EVERYDAY = (OSError, TimeoutError, EOFError, ftplib.Error, smtplib.SMTPException)
"""What goes wrong between any client and server; an IncompleteReadError is an EOFError."""
_Act = Callable[[Means], Awaitable[None]]
_ACTS: dict[Role, tuple[_Act, tuple[int, int] | float]] = {
    Role.WEB_CLIENT: (visit.browse, (1, 5)),
    Role.FORM_USER: (account.fill_form, (1, 3)),
    Role.SSH_USER: (visit.log_in, (1, 3)),
    Role.SSH_AUTOMATION: (visit.run_job, 6.0),
    Role.FTP_USER: (account.use_ftp, (1, 3)),
    Role.IMAP_USER: (account.read_imap, (1, 8)),
    Role.POP3_USER: (account.read_pop3, (1, 8)),
    Role.MAIL_SENDER: (visit.send_mail, (1, 5)),
    Role.DNS_CLIENT: (visit.resolve, (4, 20)),
    Role.MONITOR: (visit.check, 5.0),
    Role.API_CLIENT: (visit.call_api, 2.5),
    Role.TOKEN_CLIENT: (account.renew_token, (2, 6)),
    Role.CRAWLER: (crowd.crawl, (1, 3)),
    Role.CDN: (crowd.fetch_for_many, (2, 8)),
    Role.NAT_OFFICE: (crowd.browse_together, (3, 8)),
    Role.BACKUP: (crowd.back_up, (1, 1)),
    Role.VPN_CLIENT: (datagram.use_vpn, (1, 3)),
    Role.NTP_CLIENT: (datagram.ask_time, (1, 6)),
    Role.PINGER: (datagram.ping, (1, 3)),
    Role.TIMED_OUT: (visit.wait_in_vain, (1, 3)),
    Role.GONE_SERVICE: (datagram.miss_service, (1, 2)),
    Role.MISTAKEN: (visit.knock, (1, 2)),
    Role.HOME_CLIENT: (visit.go_out, (1, 4)),
    Role.PEER_CLIENT: (covert.call_peers, (1, 3)),
    Role.VIDEO_CALLER: (datagram.call_video, (1, 2)),
    Role.BEACON: (covert.report, ONCE),
    Role.DNS_TUNNEL: (covert.tunnel, (1, 2)),
    Role.DATA_THEFT: (covert.carry_off, (1, 2)),
    Role.BOT: (covert.look_for_others, (1, 2)),
    Role.WORM: (swarm.infect, ONCE),
    Role.WEB_PROBER: (swarm.look_in, ONCE),
    Role.UDP_PROBER: (swarm.probe, ONCE),
    Role.DISTRIBUTED_SCANNER: (swarm.share_scan, ONCE),
}
"""For each role what it does, and how often: so many times, or every so many seconds."""
_STUFFING: dict[str, _Act] = {
    "form": swarm.stuff_form,
    "imap": swarm.stuff_imap,
    "ssh": swarm.stuff_ssh,
}
"""By what a campaign's name begins with."""


def act_of(role: Role, campaign: str) -> tuple[_Act, tuple[int, int] | float]:
    """Return what a role does, and how often."""
    if role is Role.CREDENTIAL_STUFFING:
        return _STUFFING[campaign.partition("-")[0]], ONCE
    return _ACTS[role]


async def play(plan: ClientPlan) -> None:
    """Let the whole cast play, all at the same time."""
    async with asyncio.TaskGroup() as group:
        for address, role, campaign in plan.cast:
            client = Client(plan, address, Role(role), campaign)
            group.create_task(client.play(), name=f"{role} {address}")


if __name__ == "__main__":
    asyncio.run(play(ClientPlan(**json.loads(Path(sys.argv[1]).read_text(encoding="ascii")))))
