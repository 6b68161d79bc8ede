"""One run: the network, its processes, and the order in which they come and go."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab import attacker, estate, recorder, scenario, sshd, suricata
from lab.client import ClientPlan
from lab.label import Role, write_labels
from lab.network import ROUTER_LINK, Network, inside, network
from lab.process import LabError, run, running, wait_until
from lab.server import ServerPlan
from lab.take import tools_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

_CERTIFIED = "DNS:www.example.org,DNS:news.example.net,DNS:shop.example.com,DNS:maps.example.com"
_HOME_SERVICES: dict[str, Sequence[str]] = {
    "web": (estate.WEB, estate.WEB_V6, estate.API),
    "mail": (estate.MAIL,),
    "box": (estate.MAIL,),
    "imap": (estate.MAIL,),
    "ftp": (estate.FTP,),
    "desktop": (estate.DESKTOP,),
    "dns": (estate.DNS, estate.DNS_V6),
    "vpn": (estate.VPN,),
}
_OUTSIDE_SERVICES: dict[str, Sequence[str]] = {
    "web": (*estate.OUTSIDE_WEB, *estate.OUTSIDE_CONTROL),
    "control": estate.OUTSIDE_CONTROL,
    "dns": (estate.OUTSIDE_DNS,),
    "vpn": estate.OUTSIDE_VIDEO,
}
_START_LIMIT = 20.0
"""Seconds until the servers must be listening."""
_TICK = 0.1


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    out: Path
    seed: int
    minutes: float
    rules: Path | None

    @property
    def seconds(self) -> float:
        """How long the traffic lasts."""
        return self.minutes * 60


@dataclass(frozen=True, slots=True)
class _Planned:
    """A process to be started during the traffic."""

    start: float
    """Seconds after the traffic's beginning."""
    namespace: str
    name: str
    words: tuple[str, ...]


class Run:
    """One run of the lab, from an empty machine to an empty machine."""

    def __init__(self, order: Order) -> None:
        """`order`: what was asked for."""
        self._order = order
        self._cast = scenario.cast(order.seed)
        self._logs = order.out / "logs"
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        self._began = time.monotonic()

    def go(self) -> None:
        """Make the traffic, write eve.json and the labels; clean up whatever happens."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with ExitStack() as self._stack:
            folder = tempfile.TemporaryDirectory(prefix="aisl-")
            self._work = Path(self._stack.enter_context(folder))
            self._say("namespaces")
            self._net = self._stack.enter_context(network(f"aisl-{os.getpid()}"))
            self._attach(self._net)
            self._say("servers")
            self._start_servers()
            self._say("Suricata")
            planned = self._plan_attacks()
            with self._recorder(), suricata.listening(self._sensor(), self._probe):
                self._say(f"traffic for {self._order.seconds:g} s")
                self._make_traffic(planned)
                self._check_servers()
                self._say("Suricata writes the flows that it still holds")
            self._write_record()
        self._say(f"done: {self._order.out}")

    def _say(self, step: str) -> None:
        print(f"[{time.monotonic() - self._began:6.1f} s] {step}", flush=True)

    def _attach(self, net: Network) -> None:
        servers = [a for a in self._cast.addresses(Role.SERVER) if a != estate.GATEWAY]
        self._home = net.attach_home([*servers, *estate.HOME_CLIENTS])
        net.expose(self._home, estate.SILENT)
        self._outside = net.attach_strangers("outside", [f"{a}/32" for a in estate.OUTSIDE])
        prefixes = (*scenario.STRANGERS, scenario.STRANGERS_V6)
        self._crowd = net.attach_strangers("crowd", prefixes)
        self._dark = net.attach_strangers("dark", [])
        for prefix in (scenario.FORGED, scenario.DEAD):
            net.swallow(prefix)

    def _start_servers(self) -> None:
        self._certificate, self._key = self._make_certificate()
        self._serve(self._home, "home", _HOME_SERVICES)
        self._serve(self._outside, "outside", _OUTSIDE_SERVICES)
        self._ssh = sshd.prepare(self._work, estate.SSH)
        self._servers["sshd"] = self._start(self._home, "sshd", *self._ssh.command)
        wait_until(self._ssh_listens, limit=_START_LIMIT, what="sshd to listen")

    def _make_certificate(self) -> tuple[Path, Path]:
        certificate, key = self._work / "certificate.pem", self._work / "key.pem"
        words = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
        subject = ("-subj", "/CN=www.example.org", "-addext", f"subjectAltName={_CERTIFIED}")
        run([*words, *subject, "-keyout", str(key), "-out", str(certificate)])
        return certificate, key

    def _serve(self, namespace: str, name: str, hosts: dict[str, Sequence[str]]) -> None:
        """Start one server process and wait until all of its ports are open."""
        ready = self._work / f"{name}.ready"
        plan = ServerPlan(hosts, str(self._certificate), str(self._key), str(ready))
        file = plan.write(self._work / f"{name}.json")
        words = (sys.executable, "-m", "lab.server", str(file))
        self._servers[name] = self._start(namespace, name, *words)
        wait_until(ready.exists, limit=_START_LIMIT, what=f"the servers of {name} to listen")

    def _check_servers(self) -> None:
        """Raise LabError where a server died: the traffic is then not what the labels say."""
        for name, process in self._servers.items():
            if process.poll() is not None:
                raise LabError(f"{name} ended early: see {self._logs / name}.log")

    def _start(self, namespace: str, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a process that ends with the run at the latest; its output goes to a log."""
        command = inside(namespace, "env", f"PYTHONPATH={Path(__file__).parents[1]}", *words)
        log = self._logs / f"{name}.log"
        return self._stack.enter_context(running(command, cwd=self._work, log=log))

    def _ssh_listens(self) -> bool:
        return ":22 " in run(inside(self._home, "ss", "-Hltn"))

    def _sensor(self) -> suricata.Sensor:
        return suricata.Sensor(
            namespace=self._net.router,
            interface=ROUTER_LINK,
            home_net=estate.HOME_NET,
            out=self._order.out,
            work=self._work,
            rules=self._order.rules,
        )

    def _probe(self) -> None:
        """Fetch a page as the monitoring station, which does that all the time anyway."""
        monitor, *_ = self._cast.addresses(Role.MONITOR)
        words = ("curl", "-s", "-m", "5", "--interface", monitor, f"http://{estate.WEB}/status")
        run(inside(self._crowd, *words))

    def _recorder(self) -> AbstractContextManager[None]:
        log = self._logs / "tcpdump.log"
        return recorder.recording(self._net.router, ROUTER_LINK, self._order.out, log)

    def _make_traffic(self, queue: list[_Planned]) -> None:
        """Let clients and attackers work until the time is up."""
        begin = time.monotonic()
        clients = [
            self._play(self._home, "home", scenario.HOME_ROLES),
            self._play(self._crowd, "clients", scenario.CLIENT_ROLES),
            self._play(self._crowd, "swarm", scenario.SWARM_ROLES),
        ]
        while time.monotonic() - begin < self._order.seconds:
            while queue and time.monotonic() - begin >= queue[0].start:
                planned = queue.pop(0)
                self._say(planned.name)
                name = planned.name.replace(" ", "-")
                self._start(planned.namespace, name, *planned.words)
            time.sleep(_TICK)
        for client in clients:
            if client.poll() not in {None, 0}:
                raise LabError(f"the clients failed: see {self._logs}")
            client.terminate()

    def _play(self, namespace: str, name: str, roles: Sequence[Role]) -> subprocess.Popen[bytes]:
        owned = estate.HOME_CLIENTS
        actors = [
            actor
            for actor in self._cast.actors
            if actor.role in roles and (actor.address in owned) == (namespace == self._home)
        ]
        plan = ClientPlan(
            cast=[(actor.address, actor.role, actor.campaign) for actor in actors],
            seed=self._order.seed,
            duration=self._order.seconds,
            certificate=str(self._certificate),
            known_hosts=str(self._ssh.known_hosts),
            work=str(self._work),
        )
        file = plan.write(self._work / f"clients-{name}.json")
        return self._start(
            namespace, f"clients-{name}", sys.executable, "-m", "lab.client", str(file)
        )

    def _plan_attacks(self) -> list[_Planned]:
        """Make the attackers' namespaces; return what is started where and when, in order."""
        seed, seconds = self._order.seed, self._order.seconds
        attacker.prepare(seed, self._work)
        planned = []
        for number, attack in enumerate(attacker.attacks(self._cast, self._work, seed, seconds)):
            namespace = self._net.attach_strangers(f"take{number}", [attack.prefix])
            name = f"{attack.take.tool} {attack.take.role} {attack.address}"
            words = ("HOME=" + str(self._work), *attack.command)
            planned.append(_Planned(attack.start, namespace, name, words))
        for number, flood in enumerate(attacker.floods(self._cast, seed, seconds)):
            file = flood.write(self._work / f"flood-{number}.json")
            name = "udp-flood" if flood.udp else "syn-flood"
            start = seconds * (0.5 + 0.2 * number)
            planned.append(_Planned(start, self._dark, name, attacker.forge(file)))
        return sorted(planned, key=lambda item: item.start)

    def _write_record(self) -> None:
        """Write the labels, and what the run can be repeated with."""
        write_labels(self._order.out / "labels.csv", self._cast.actors)
        record = {
            "seed": self._order.seed,
            "tools": sorted(tools_for(self._order.seed)),
            "minutes": self._order.minutes,
            "rules": self._order.rules.name if self._order.rules else None,
            "home_net": estate.HOME_NET,
            "suricata": run(["suricata", "-V"]).strip(),
        }
        text = json.dumps(record, indent=2) + "\n"
        (self._order.out / "run.json").write_text(text, encoding="ascii")
