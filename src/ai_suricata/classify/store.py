"""The models of one installation: numbered artifacts in STATE_DIR/models, and which one serves.

`NNNN.model` is an artifact as it was made, `NNNN.json` a note on it (so that a list loads no
forest), `active` names the one that serves and those that served before. Every file is replaced as
a whole, so a kill between two of them leaves the older choice standing. The shipped artifact has
the name `default` and no number.
"""

from __future__ import annotations

import contextlib
import os
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ai_suricata.classify import artifact
from ai_suricata.core.errors import ArtifactError, StateError
from ai_suricata.state.file import open_private, replace

if TYPE_CHECKING:
    from ai_suricata.classify.model import Model

DEFAULT = "default"
"""Name of the shipped artifact."""
ACTIVE = "active"
"""Name of whichever serves, where a name is asked for."""
KEEP = 20
"""Numbered artifacts that are kept; the one that serves and the one before it always are."""
_MOST_BEFORE = 20
_MOST_TRIES = 100
_MOST_BYTES = 64 * 1024 * 1024


class Origin(StrEnum):
    """Where an artifact is from."""

    LEARNED = "learned"
    """Made by the daemon at the end of its learning period, or taken over from another instance."""
    IMPORTED = "imported"
    """Put in by an operator."""


class Entry(msgspec.Struct, frozen=True):
    """What is known of one stored artifact without loading it."""

    number: int
    version: str
    added: float
    """Wall-clock seconds since the epoch."""
    origin: Origin
    trained_at: str
    """Event time of the latest labelled row, ISO 8601; empty where none."""
    rows: int
    """Rows that it was trained on."""
    local: bool
    """Whether it has learned what is usual on this network."""
    figures: dict[str, float]
    bytes: int
    digest: str
    """Hex BLAKE2b of the artifact's bytes."""

    @property
    def name(self) -> str:
        """The number as it is typed."""
        return str(self.number)


class Choice(msgspec.Struct, frozen=True):
    """Which model serves, and which did before, the latest first."""

    name: str = DEFAULT
    before: tuple[str, ...] = ()


class ModelStore:
    """One folder. The daemon adds, commands promote; each look is a fresh one."""

    def __init__(self, folder: Path) -> None:
        """`folder`: STATE_DIR/models; it is made with the first artifact."""
        self.folder = folder

    def entries(self) -> list[Entry]:
        """Return the stored artifacts, the oldest first. Raises `StateError`."""
        try:
            notes = sorted(self.folder.glob("[0-9]*.json"))
            found = [msgspec.json.decode(note.read_bytes(), type=Entry) for note in notes]
        except OSError as error:
            raise StateError(
                f"{self.folder} can't be read: {error.strerror}; grant the right"
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateError(
                f"a note in {self.folder} is damaged: {error}; remove that file"
            ) from error
        return sorted(found, key=lambda entry: entry.number)

    def entry(self, name: str) -> Entry | None:
        """Return the note on a numbered artifact; None for `default`.

        Raises `ArtifactError` where there is none, `StateError` where it can't be read.
        """
        if name == DEFAULT:
            return None
        for entry in self.entries():
            if entry.name == name:
                return entry
        raise ArtifactError(f"there is no model {name!r}; `ai-suricata models list` shows them all")

    def choice(self) -> Choice:
        """Return which model serves; without a choice, `default`. Raises `StateError`."""
        path = self.folder / ACTIVE
        try:
            return msgspec.json.decode(path.read_bytes(), type=Choice)
        except FileNotFoundError:
            return Choice()
        except OSError as error:
            raise StateError(f"{path} can't be read: {error.strerror}; grant the right") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateError(f"{path} is damaged: {error}; promote a model anew") from error

    def load(self, name: str) -> Model:
        """Return a model by name: `default`, `active`, a number, or the path of an artifact.

        Raises `ArtifactError` where it is not there, or with the check that failed; `StateError`
        where it can't be read.
        """
        if name == ACTIVE:
            name = self.choice().name
        if name == DEFAULT:
            return artifact.default()
        if not name.isdecimal():
            return artifact.load(content_of(Path(name)))
        entry = self.entry(name)
        content = content_of(self._artifact(int(name)))
        if entry is not None and entry.digest != _digest(content):
            raise ArtifactError(f"model {name} is not what was stored: its bytes have changed")
        return artifact.load(content)

    def add(self, model: Model, origin: Origin, now: float) -> Entry:
        """Store a model under the next number, and let the oldest go. Raises `StateError`.

        `now`: wall-clock seconds.
        """
        content = artifact.dump(model)
        self._make_folder()
        number = self._reserve()
        entry = Entry(
            number=number,
            version=model.version,
            added=now,
            origin=origin,
            trained_at=model.trained_at,
            rows=model.rows,
            local=model.local,
            figures=dict(model.figures),
            bytes=len(content),
            digest=_digest(content),
        )
        replace(self._artifact(number), content)
        replace(self._note(number), msgspec.json.encode(entry))
        self._let_go(number)
        return entry

    def promote(self, name: str) -> Choice:
        """Let a model serve from the next start or SIGHUP on.

        `name`: `default`, or the number of one that is there. Raises `ArtifactError` where it is
        not, `StateError` where the choice can't be stored.
        """
        self.entry(name)
        choice = self.choice()
        if name != choice.name:
            before = tuple(one for one in choice.before if one != name)
            choice = Choice(name, (choice.name, *before)[:_MOST_BEFORE])
        return self._choose(choice)

    def earlier(self) -> Choice:
        """Return the choice before the present one, as far as it is kept. Raises `StateError`."""
        kept = {DEFAULT, *(entry.name for entry in self.entries())}
        left = [name for name in self.choice().before if name in kept]
        if not left:
            raise StateError("no model served before this one; promote one by its name")
        return Choice(left[0], tuple(left[1:]))

    def rollback(self) -> Choice:
        """Let the model serve that served before. Raises `StateError`."""
        return self._choose(self.earlier())

    def _choose(self, choice: Choice) -> Choice:
        self._make_folder()
        replace(self.folder / ACTIVE, msgspec.json.encode(choice))
        return choice

    def _make_folder(self) -> None:
        """Make the folder; what root makes there belongs to the owner of STATE_DIR."""
        try:
            owner = self.folder.parent.stat()
            self.folder.mkdir(mode=0o750, exist_ok=True)
            if os.geteuid() == 0 != owner.st_uid and self.folder.stat().st_uid == 0:
                os.chown(self.folder, owner.st_uid, owner.st_gid, follow_symlinks=False)
        except OSError as error:
            raise StateError(
                f"{self.folder} can't be made: {error.strerror}; make STATE_DIR, or grant the right"
            ) from error

    def _reserve(self) -> int:
        """Take the next free number, also where two processes add at once."""
        number = max((int(path.stem) for path in self.folder.glob("[0-9]*.model")), default=0)
        for free in range(number + 1, number + _MOST_TRIES):
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                os.close(open_private(self._artifact(free), flags))
            except FileExistsError:
                continue
            except OSError as error:
                raise StateError(
                    f"{self.folder} can't be written: {error.strerror}; make room in it"
                ) from error
            return free
        raise StateError(f"{self.folder} has no free number; take out what is not needed")

    def _let_go(self, newest: int) -> None:
        """Remove the oldest past `KEEP`, and what a crash left without a note."""
        choice = self.choice()
        bound = {choice.name, *choice.before[:1], str(newest)}
        numbers = [entry.number for entry in self.entries()]
        past = [number for number in numbers[:-KEEP] if str(number) not in bound]
        stray = {int(path.stem) for path in self.folder.glob("[0-9]*.model")} - set(numbers)
        for number in (*past, *(one for one in stray if one < newest)):
            with contextlib.suppress(OSError):  # it goes with the next one that is added
                self._note(number).unlink(missing_ok=True)
                self._artifact(number).unlink(missing_ok=True)

    def _artifact(self, number: int) -> Path:
        return self.folder / f"{number:04d}.model"

    def _note(self, number: int) -> Path:
        return self.folder / f"{number:04d}.json"


def content_of(path: Path) -> bytes:
    """Return the bytes of an artifact.

    Raises `ArtifactError` where there is none, `StateError` where it can't be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist") from error
    except OSError as error:
        raise StateError(f"{path} can't be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise ArtifactError(f"{path} is no model artifact: it is larger than 64 MiB")
    return content


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
