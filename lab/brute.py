"""Guessers of passwords: hydra(1), ncrack(1) and medusa(1) on every login of the site.

The lists hold no password that is right, so that each guesser goes through all of them or until
its time is up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import estate
from lab.label import Role
from lab.take import Take

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from lab.wordlist import Wordlists

_FORM = "/login:user=^USER^&password=^PASS^:F=wrong"
_HOSTS = {
    "ssh": estate.SSH,
    "ftp": estate.FTP,
    "rdp": estate.DESKTOP,
    "imap": estate.MAIL,
    "pop3": estate.MAIL,
    "smtp": estate.MAIL,
    "http-get": estate.WEB,
    "http-post-form": estate.WEB,
}
_ROLES = {
    "ssh": Role.SSH_BRUTE_FORCE,
    "ftp": Role.FTP_BRUTE_FORCE,
    "rdp": Role.RDP_BRUTE_FORCE,
    "imap": Role.MAIL_BRUTE_FORCE,
    "pop3": Role.MAIL_BRUTE_FORCE,
    "smtp": Role.MAIL_BRUTE_FORCE,
}
_HYDRA = ("ssh", "ssh", "ssh", "ftp", "ftp", "imap", "pop3", "smtp", "rdp")
_HYDRA_WEB = ("http-get", "http-get", "http-post-form", "http-post-form")
_NCRACK = ("ssh", "ssh", "ftp", "pop3", "imap", "http", "rdp")
_MEDUSA = ("ssh", "ftp", "imap", "pop3", "smtp", "http", "web-form", "ssh")


def takes(rng: random.Random, words: Wordlists, tools: frozenset[str]) -> Iterator[Take]:
    """Yield the guessers of a run, as far as their tools take part."""
    for service in (*_HYDRA, *_HYDRA_WEB):
        yield _hydra(rng, words, service)
    for service in _NCRACK:
        yield _ncrack(rng, words, service)
    if "medusa" in tools:
        for service in _MEDUSA:
            yield _medusa(rng, words, service)


def _role(service: str) -> Role:
    return _ROLES.get(service, Role.WEB_BRUTE_FORCE)


def _names(rng: random.Random, words: Wordlists, one: str, many: str) -> tuple[str, str]:
    """Return the option for one name, or for a list of them."""
    if rng.random() < 0.4:
        return one, rng.choice(("root", "admin", estate.USERS[0]))
    return many, str(rng.choice((words.names, words.few_names)))


def _passwords(rng: random.Random, words: Wordlists) -> str:
    return str(rng.choice((words.passwords, words.passwords, words.few_passwords)))


def _hydra(rng: random.Random, words: Wordlists, service: str) -> Take:
    """`-w` is how soon hydra notices that the server hung up; `-W` its rest between tries."""
    pace = rng.choice((("-t", "4", "-w", "2"), ("-t", "1", "-w", "4"), ("-t", "2", "-W", "2")))
    names = _names(rng, words, "-l", "-L")
    target = (_HOSTS[service], service)
    last = {"http-get": ("/admin/",), "http-post-form": (_FORM,)}.get(service, ())
    command = ("hydra", "-I", "-f", *pace, *names, "-P", _passwords(rng, words), *target, *last)
    return Take(_role(service), "hydra", command)


def _ncrack(rng: random.Random, words: Wordlists, service: str) -> Take:
    limits = f"cl={rng.randint(1, 2)},CL={rng.randint(2, 5)},cd={rng.choice((0, 1, 3))}s"
    host = {"http": estate.WEB}.get(service) or _HOSTS[service]
    path = ",path=/admin/" if service == "http" else ""
    saved = ("--save", f"{words.names}.ncrack")  # not in the home of whoever runs the lab
    names = ("-U", str(words.few_names), "-P", _passwords(rng, words))
    target = f"{service}://{host},{limits}{path}"
    return Take(_role(service), "ncrack", ("ncrack", *saved, *names, target))


def _medusa(rng: random.Random, words: Wordlists, service: str) -> Take:
    host = {"http": estate.WEB, "web-form": estate.WEB}.get(service) or _HOSTS[service]
    names = _names(rng, words, "-u", "-U")
    options: tuple[str, ...] = ()
    if service == "http":
        options = ("-m", "DIR:admin/")
    if service == "web-form":
        form = ("FORM:login", "DENY-SIGNAL:wrong", "FORM-DATA:post?user=&password=")
        options = tuple(word for option in form for word in ("-m", option))
    pace = ("-t", str(rng.randint(1, 3)), "-r", "1")
    base = ("medusa", "-h", host, "-M", service, *names, "-P", _passwords(rng, words))
    return Take(_role(service), "medusa", (*base, *pace, *options))
