"""`ai-suricata models` and `replay --compare`: what is shown, chosen, and how they end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from ai_suricata.classify.artifact import dump
from ai_suricata.classify.store import Choice, ModelStore, Origin
from ai_suricata.cli.app import app
from ai_suricata.core.schema import FEATURES
from fakes import eve
from fakes.pair import blind, by_patterns

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

RECORDS = [eve.login(at=n) for n in range(80)] + [eve.flow("192.0.2.77", at=n) for n in range(5)]


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """Return a store with two models, the first of which serves."""
    made = ModelStore(tmp_path / "models")
    made.add(by_patterns(), Origin.LEARNED, 1_700_000_000.0)
    made.add(blind(), Origin.IMPORTED, 1_700_000_060.0)
    made.promote("1")
    return made


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Return an eve file with one attacker in it."""
    path = tmp_path / "eve.json"
    path.write_bytes(b"".join(eve.line(record) + b"\n" for record in RECORDS))
    return path


def call(store: ModelStore, *words: object, **environment: str) -> Result:
    """Run a command on the store; what it writes is JSON, since it goes into a pipe."""
    variables = {"STATE_DIR": str(store.folder.parent), "HOME_NET": "10.0.0.0/8", **environment}
    return CliRunner().invoke(app, [str(word) for word in words], env=variables)


def objects(result: Result) -> list[dict[str, Any]]:
    """Return the objects that were written."""
    assert 0 == result.exit_code, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_list_names_each_model_and_who_serves(store: ModelStore) -> None:
    """The shipped one first, then by number."""
    found = objects(call(store, "models", "list"))

    assert ["default", "1", "2"] == [one["name"] for one in found]
    assert [False, True, False] == [one["active"] for one in found]
    assert ["shipped", "learned", "imported"] == [one["origin"] for one in found]
    assert ("by-patterns", {"recall": 0.75}) == (found[1]["version"], found[1]["figures"])
    assert "2023-11-14T22:14:20Z" == found[2]["added"]


def test_the_table_marks_who_serves(store: ModelStore) -> None:
    """With a star; MODEL_PATH is told where it is set, since it wins."""
    table = call(store, "models", "list", "--format", "table").stdout
    (line,) = [line for line in table.splitlines() if "by-patterns" in line]
    told = call(store, "models", "list", "--format", "table", MODEL_PATH="/a.model").stdout

    assert "*" in line
    assert "1 serves" in table
    assert "MODEL_PATH=/a.model serves" in told


def test_show_tells_facts_figures_and_what_is_usual(store: ModelStore) -> None:
    """Of each feature."""
    (found,) = objects(call(store, "models", "show", "2"))
    table = call(store, "models", "show", "2", "--format", "table").stdout

    assert ("blind", 120, True) == (found["version"], found["rows"], found["calibrated"])
    assert [feature.name for feature in FEATURES] == [one["feature"] for one in found["usual"]]
    assert all(one["low"] <= one["median"] <= one["high"] for one in found["usual"])
    assert "figure recall" in table
    assert FEATURES[0].meaning in table


@pytest.mark.parametrize(
    ("name", "problem"),
    [("9", "there is no model '9'"), ("none.model", "none.model does not exist")],
)
@pytest.mark.parametrize("command", ["show", "promote"])
def test_a_model_that_is_not_there_is_a_usage_error(
    store: ModelStore, command: str, name: str, problem: str
) -> None:
    """Exit code 2, and nothing changes."""
    result = call(store, "models", command, name)

    assert (2, "") == (result.exit_code, result.stdout)
    assert problem in result.stderr
    assert "1" == store.choice().name


def test_promote_and_rollback_change_who_serves(store: ModelStore) -> None:
    """And say who served before."""
    (promoted,) = objects(call(store, "models", "promote", "2"))
    assert Choice("2", ("1", "default")) == store.choice()
    (back,) = objects(call(store, "models", "rollback"))

    assert {"active": "2", "version": "blind", "before": ["1", "default"]} == promoted
    assert {"active": "1", "version": "by-patterns", "before": ["default"]} == back
    assert "1" == store.choice().name


def test_promote_says_how_the_daemon_takes_it(store: ModelStore) -> None:
    """It is not asked; SIGHUP or a restart tells it."""
    said = call(store, "models", "promote", "2", "--format", "table").stdout

    assert said.startswith("Promoted: 2 (blind). A daemon that runs takes it with SIGHUP")


def test_a_file_that_is_promoted_is_stored_first(store: ModelStore, tmp_path: Path) -> None:
    """Under the next number, as imported."""
    path = tmp_path / "new.model"
    path.write_bytes(dump(blind()))
    (promoted,) = objects(call(store, "models", "promote", path))

    assert "3" == promoted["active"] == store.choice().name
    assert Origin.IMPORTED is store.entries()[-1].origin


def test_what_is_no_model_is_not_promoted(store: ModelStore, tmp_path: Path) -> None:
    """Nor stored."""
    path = tmp_path / "new.model"
    path.write_bytes(b"no zip")
    result = call(store, "models", "promote", path)

    assert 2 == result.exit_code
    assert "no model artifact" in result.stderr
    assert ("1", 2) == (store.choice().name, len(store.entries()))


def test_a_rollback_without_an_earlier_model_fails(tmp_path: Path) -> None:
    """Exit code 1."""
    result = call(ModelStore(tmp_path / "models"), "models", "rollback")

    assert 1 == result.exit_code
    assert "no model served before this one" in result.stderr


def test_diff_tells_what_differs_and_nothing_else(store: ModelStore) -> None:
    """Facts, figures, usual values."""
    found = {
        one["what"]: (one["first"], one["second"])
        for one in objects(call(store, "models", "diff", "1", "2"))
    }

    assert ("by-patterns", "blind") == found["version"]
    assert (0.75, 0.0) == found["figure recall"]
    assert "features" not in found
    assert [] == objects(call(store, "models", "diff", "1", "1"))


def test_diff_with_files_scores_them_with_both(store: ModelStore, recorded: Path) -> None:
    """And lists the sources that come to another level."""
    found = objects(call(store, "models", "diff", "1", "2", recorded))
    (source,) = [one for one in found if "ip" in one]
    (summary,) = [one for one in found if one.get("summary")]

    assert (eve.STRANGER, "blocked_by_first_only") == (source["ip"], source["difference"])
    assert summary["mean_score_difference"] > 0


def test_diff_without_a_daemon_says_nothing_of_its_shadow(store: ModelStore) -> None:
    """It goes on: the daemon was asked for nothing but a sentence."""
    result = call(store, "models", "diff", "1", "2", SHADOW_MODEL="2")

    assert 0 == result.exit_code
    assert "by-patterns" in result.stdout
    assert "scored beside" not in result.stderr


def test_compare_lists_what_one_alone_would_have_blocked(store: ModelStore, recorded: Path) -> None:
    """With addresses, levels, reasons, and the counts in the end."""
    result = call(store, "replay", "--compare", "1", "2", recorded)
    source, summary = objects(result)

    assert (eve.STRANGER, True, False) == (
        source["ip"],
        source["first"]["blocked"],
        source["second"]["blocked"],
    )
    assert ("CRITICAL", "INFO") == (source["first"]["level"], source["second"]["level"])
    assert any("brute force" in reason for reason in source["first"]["reasons"])
    assert (85, 2, 1, 0, 1, 0) == tuple(
        summary[name]
        for name in (
            "events",
            "sources",
            "blocked_by_first",
            "blocked_by_second",
            "blocked_by_first_only",
            "blocked_by_second_only",
        )
    )


def test_compare_as_a_table(store: ModelStore, recorded: Path) -> None:
    """The counts stand above it."""
    table = call(store, "replay", "--compare", "1", "2", "--format", "table", recorded).stdout

    assert "1 would have blocked 1, 2 0; only 1: 1, only 2: 0" in " ".join(table.split())
    assert "blocked by first only" in table


def test_compare_of_a_model_with_itself_lists_nothing(store: ModelStore, recorded: Path) -> None:
    """Exit code 0, with the counts."""
    (summary,) = objects(call(store, "replay", "--compare", "1", "active", recorded))

    assert (0, 0, 0.0) == (
        summary["blocked_by_first_only"],
        summary["level"],
        summary["mean_score_difference"],
    )


def test_compare_of_a_file_without_events_fails(store: ModelStore, tmp_path: Path) -> None:
    """Exit code 1, as of `replay`."""
    (tmp_path / "empty.json").touch()
    result = call(store, "replay", "--compare", "1", "2", tmp_path / "empty.json")

    assert 1 == result.exit_code
    assert "holds no event" in result.stderr


def test_compare_and_model_exclude_each_other(store: ModelStore, recorded: Path) -> None:
    """Exit code 2; so does a model that is not there."""
    both = call(store, "replay", "--compare", "1", "2", "--model", "1", recorded)
    missing = call(store, "replay", "--compare", "1", "8", recorded)

    assert (2, 2) == (both.exit_code, missing.exit_code)
    assert "exclude each other" in both.stderr
    assert "there is no model '8'" in missing.stderr


def test_replay_takes_a_model_by_its_name(store: ModelStore, recorded: Path) -> None:
    """From the store, or from a file."""
    worst = [
        objects(call(store, "replay", "--model", name, recorded))[0]["level"]
        for name in ("1", "2", "active", str(store.folder / "0002.model"))
    ]

    assert ["CRITICAL", "INFO", "CRITICAL", "INFO"] == worst
