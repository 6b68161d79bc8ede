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

from lab import attacker, scenario, sshd, suricata
from lab.client import ClientPlan
from lab.label import Role, write_labels
from lab.network import ROUTER_LINK, Network, inside, network
from lab.process import LabError, run, running, wait_until
from lab.server import ServerPlan

if TYPE_CHECKING:
    import subprocess

_CROWD_ROLES = (
    Role.WEB_CLIENT,
    Role.SSH_USER,
    Role.MAIL_SENDER,
    Role.DNS_CLIENT,
    Role.MONITOR,
    Role.API_CLIENT,
    Role.MISTAKEN,
)
_CERTIFIED = "DNS:www.example.org,DNS:news.example.net,DNS:shop.example.com,DNS:maps.example.com"
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
            with suricata.listening(self._sensor(), self._probe):
                self._say(f"traffic for {self._order.seconds:g} s")
                self._make_traffic()
                self._check_servers()
                self._say("Suricata writes the flows that it still holds")
            self._write_record()
        self._say(f"done: {self._order.out}")

    def _say(self, step: str) -> None:
        print(f"[{time.monotonic() - self._began:6.1f} s] {step}", flush=True)

    def _attach(self, net: Network) -> None:
        home = self._cast.addresses(Role.SERVER, Role.HOME_CLIENT)
        self._home = net.attach_home(home)
        self._outside = net.attach_strangers("outside", [f"{a}/32" for a in scenario.OUTSIDE])
        prefixes = (*scenario.STRANGERS, scenario.STRANGERS_V6)
        self._crowd = net.attach_strangers("crowd", prefixes)
        self._dark = net.attach_strangers("dark", [])
        net.swallow(scenario.FORGED)

    def _start_servers(self) -> None:
        self._certificate, self._key = self._make_certificate()
        home = ([scenario.WEB, scenario.WEB_V6, scenario.API], [scenario.MAIL])
        names = [scenario.DNS, scenario.DNS_V6]
        self._serve(self._home, "home", *home, names)
        self._serve(self._outside, "outside", [*scenario.OUTSIDE_WEB], [], [scenario.OUTSIDE_DNS])
        self._ssh = sshd.prepare(self._work, scenario.SSH)
        self._servers["sshd"] = self._start(self._home, "sshd", *self._ssh.command)
        wait_until(self._ssh_listens, limit=_START_LIMIT, what="sshd to listen")

    def _make_certificate(self) -> tuple[Path, Path]:
        certificate, key = self._work / "certificate.pem", self._work / "key.pem"
        words = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
        subject = ("-subj", "/CN=www.example.org", "-addext", f"subjectAltName={_CERTIFIED}")
        run([*words, *subject, "-keyout", str(key), "-out", str(certificate)])
        return certificate, key

    def _serve(
        self, namespace: str, name: str, web: list[str], mail: list[str], dns: list[str]
    ) -> None:
        """Start one server process and wait until all of its ports are open."""
        ready = self._work / f"{name}.ready"
        plan = ServerPlan(web, mail, dns, str(self._certificate), str(self._key), str(ready))
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
            home_net=scenario.HOME_NET,
            out=self._order.out,
            work=self._work,
            rules=self._order.rules,
        )

    def _probe(self) -> None:
        """Fetch a page as the monitoring station, which does that all the time anyway."""
        (monitor,) = self._cast.addresses(Role.MONITOR)
        words = ("curl", "-s", "-m", "5", "--interface", monitor, f"http://{scenario.WEB}/status")
        run(inside(self._crowd, *words))

    def _make_traffic(self) -> None:
        """Let clients and attackers work until the time is up."""
        begin = time.monotonic()
        seconds = self._order.seconds
        clients = [self._play(self._home, Role.HOME_CLIENT), self._play(self._crowd, *_CROWD_ROLES)]
        queue = sorted(self._attacks(), key=lambda item: item[0])
        while time.monotonic() - begin < seconds:
            while queue and time.monotonic() - begin >= queue[0][0]:
                _, namespace, name, words = queue.pop(0)
                self._say(name)
                self._start(namespace, name.replace(" ", "-"), *words)
            time.sleep(_TICK)
        for client in clients:
            if client.poll() not in {None, 0}:
                raise LabError(f"the clients failed: see {self._logs}")
            client.terminate()

    def _play(self, namespace: str, *roles: Role) -> subprocess.Popen[bytes]:
        actors = [actor for actor in self._cast.actors if actor.role in roles]
        plan = ClientPlan(
            cast=[(actor.address, actor.role) for actor in actors],
            seed=self._order.seed,
            duration=self._order.seconds,
            certificate=str(self._certificate),
            known_hosts=str(self._ssh.known_hosts),
            work=str(self._work),
        )
        name = f"clients-{roles[0]}"
        file = plan.write(self._work / f"{name}.json")
        return self._start(namespace, name, sys.executable, "-m", "lab.client", str(file))

    def _attacks(self) -> list[tuple[float, str, str, tuple[str, ...]]]:
        """Return start, namespace, name and command of each attack."""
        seed, seconds = self._order.seed, self._order.seconds
        planned = []
        for number, attack in enumerate(attacker.attacks(self._cast, self._work, seed, seconds)):
            namespace = self._net.attach_strangers(f"attacker{number}", [f"{attack.address}/32"])
            name = f"{attack.role} {attack.address}"
            planned.append((attack.start, namespace, name, attack.command))
        plan = attacker.flood(self._cast, seed, seconds).write(self._work / "flood.json")
        start = seconds * 0.65
        return [*planned, (start, self._dark, "syn-flood", attacker.forge(plan))]

    def _write_record(self) -> None:
        """Write the labels, and what the run can be repeated with."""
        write_labels(self._order.out / "labels.csv", self._cast.actors)
        record = {
            "seed": self._order.seed,
            "minutes": self._order.minutes,
            "rules": self._order.rules.name if self._order.rules else None,
            "home_net": scenario.HOME_NET,
            "suricata": run(["suricata", "-V"]).strip(),
        }
        text = json.dumps(record, indent=2) + "\n"
        (self._order.out / "run.json").write_text(text, encoding="ascii")
