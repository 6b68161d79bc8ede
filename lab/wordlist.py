"""The lists that guessers and web scanners read: other words for each seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.estate import USERS

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = ("root", "admin", "test", "oracle", "postgres", "ubuntu", "git", "www", "backup", "pi")
_STEMS = ("secret", "summer", "dragon", "welcome", "qwerty", "letmein", "monkey", "football")
_ENDINGS = ("", "1", "12", "123", "!", "2019", "2023", "01", "#1", "00")
_FOLDERS = ("admin", "backup", "old", "test", "dev", "wp-content", "cgi-bin", "private", "api")
_FILES = ("index.php", "config.php", "db.sql", "shell.php", "users.csv", "login.jsp", "info.php")


@dataclass(frozen=True, slots=True)
class Wordlists:
    """Paths of the lists."""

    names: Path
    few_names: Path
    passwords: Path
    few_passwords: Path
    pairs: Path
    """One `name:password` a line."""
    paths: Path
    """Of a web server, without the first slash."""

    @classmethod
    def inside(cls, folder: Path) -> Wordlists:
        """Return the paths of lists in a folder, whether they are written yet or not."""
        files = ("names", "few-names", "passwords", "few-passwords", "pairs", "paths")
        return cls(*(folder / file for file in files))

    def write(self, seed: int) -> None:
        """Write the lists of a seed."""
        rng = random.Random(f"{seed}/words")
        names = [*rng.sample(_NAMES, 6), rng.choice(USERS)]
        words = [stem + ending for stem in _STEMS for ending in _ENDINGS]
        words = rng.sample(words, rng.randint(40, 70))
        pairs = [f"{rng.choice(names)}:{word}" for word in words]
        lists = (
            (self.names, names),
            (self.few_names, names[:2]),
            (self.passwords, words),
            (self.few_passwords, words[:12]),
            (self.pairs, pairs),
            (self.paths, _paths(rng)),
        )
        for path, lines in lists:
            path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def _paths(rng: random.Random) -> list[str]:
    """Return what a scanner tries: folders, files, and files in folders, in an order of its own."""
    inner = [f"{folder}/{file}" for folder in _FOLDERS for file in _FILES]
    numbered = [f"{folder}{number}" for folder in _FOLDERS for number in range(1, 12)]
    known = ["about", "contact", "news", "login", "products", "search"]
    found = [*_FOLDERS, *_FILES, *inner, *numbered, *known]
    return rng.sample(found, rng.randint(90, len(found)))
