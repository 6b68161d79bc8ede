"""The model store: numbered artifacts, one choice, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ai_suricata.classify import artifact
from ai_suricata.classify.store import KEEP, Choice, ModelStore, Origin
from ai_suricata.core.errors import ArtifactError, StateError
from fakes.pair import blind, by_patterns

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.classify.model import Model


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """Return an empty store."""
    return ModelStore(tmp_path / "models")


def add(store: ModelStore, model: Model | None = None, now: float = 0.0) -> str:
    """Store a model, and return its name."""
    return store.add(model or by_patterns(), Origin.IMPORTED, now).name


def test_an_empty_store_serves_the_shipped_model(store: ModelStore) -> None:
    """And has no entries; looking makes no folder."""
    assert ([], Choice("default", ())) == (store.entries(), store.choice())
    assert not store.folder.exists()


def test_what_is_added_is_loaded_as_it_was(store: ModelStore) -> None:
    """Under rising numbers, with a note that loads no forest."""
    names = [add(store, by_patterns(), 5.0), add(store, blind(), 6.0)]
    first, second = store.entries()

    assert ["1", "2"] == names
    assert ("by-patterns", 5.0, True, {"recall": 0.75}) == (
        first.version,
        first.added,
        first.local,
        first.figures,
    )
    assert ("blind", "2026-01-02T03:04:05Z", 120) == (
        second.version,
        second.trained_at,
        second.rows,
    )
    assert artifact.digest(blind()) == artifact.digest(store.load("2"))


def test_the_promoted_model_is_the_active_one(store: ModelStore) -> None:
    """Each choice remembers those before it, once each, the latest first."""
    for _ in range(3):
        add(store)
    for name in ("1", "2", "3", "2", "2"):
        store.promote(name)

    assert Choice("2", ("3", "1", "default")) == store.choice()
    assert "by-patterns" == store.load("active").version


def test_a_rollback_goes_back_one_choice_at_a_time(store: ModelStore) -> None:
    """To the shipped one in the end, and then there is nothing more."""
    add(store)
    add(store)
    store.promote("1")
    store.promote("2")
    found = [store.rollback().name, store.rollback().name]

    assert ["1", "default"] == found
    with pytest.raises(StateError, match="no model served before this one"):
        store.rollback()


def test_a_rollback_passes_over_what_is_gone(store: ModelStore) -> None:
    """Somebody may have removed it by hand."""
    for name in (add(store), add(store), add(store)):
        store.promote(name)
    (store.folder / "0002.json").unlink()

    assert Choice("1", ("default",)) == store.rollback()


@pytest.mark.parametrize("name", ["7", "0", "01", "..", "seven"])
def test_a_model_that_is_not_there_can_not_be_promoted(store: ModelStore, name: str) -> None:
    """And the choice stays."""
    add(store)
    with pytest.raises(ArtifactError, match=f"there is no model '{name}'"):
        store.promote(name)

    assert Choice() == store.choice()


def test_an_artifact_can_be_named_by_its_path(store: ModelStore, tmp_path: Path) -> None:
    """Without being stored; one that is not there is told by its path."""
    (tmp_path / "a.model").write_bytes(artifact.dump(by_patterns()))

    assert "by-patterns" == store.load(str(tmp_path / "a.model")).version
    with pytest.raises(ArtifactError, match=r"b\.model does not exist"):
        store.load(str(tmp_path / "b.model"))


def test_changed_bytes_are_refused(store: ModelStore) -> None:
    """What serves must be what was stored, also where it is a sound artifact."""
    add(store)
    (store.folder / "0001.model").write_bytes(artifact.dump(blind()))

    with pytest.raises(ArtifactError, match="model 1 is not what was stored"):
        store.load("1")


def test_only_so_many_are_kept_and_what_serves_is_among_them(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before it too, so that a rollback finds it."""
    monkeypatch.setattr(artifact, "dump", lambda _model: b"small")
    for _ in range(3):
        add(store)
    store.promote("2")
    store.promote("1")
    for _ in range(KEEP + 5):
        add(store)
    kept = [entry.number for entry in store.entries()]

    assert [1, 2, *range(9, 29)] == kept
    assert [f"{n:04d}.model" for n in kept] == sorted(p.name for p in store.folder.glob("*.model"))


def test_what_a_crash_left_without_a_note_goes(store: ModelStore) -> None:
    """Its number is not taken again."""
    store.folder.mkdir()
    (store.folder / "0004.model").write_bytes(b"half")
    name = add(store)

    assert "5" == name
    assert not (store.folder / "0004.model").exists()


def test_damaged_notes_and_choices_are_told(store: ModelStore) -> None:
    """With the remedy: nothing is guessed."""
    add(store)
    (store.folder / "active").write_bytes(b"{")
    (store.folder / "0001.json").write_bytes(b"\xff")

    with pytest.raises(StateError, match=r"active is damaged: .*; promote a model anew"):
        store.choice()
    with pytest.raises(StateError, match="is damaged"):
        store.entries()


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    """STATE_DIR has to be there."""
    with pytest.raises(StateError, match="models can't be made: No such file or directory"):
        add(ModelStore(tmp_path / "none/models"))


def test_files_are_for_their_owner_alone(store: ModelStore) -> None:
    """Figures and usual values tell of the network."""
    add(store)
    store.promote("1")

    assert {0o600} == {path.stat().st_mode & 0o777 for path in store.folder.iterdir()}


def test_versions_that_are_alike_are_kept_apart(store: ModelStore) -> None:
    """The number is the name, whatever a model calls itself."""
    names = [add(store, replace(by_patterns(), version="same")) for _ in range(2)]

    assert ["1", "2"] == names
