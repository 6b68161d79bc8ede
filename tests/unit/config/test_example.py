"""config.env.example and the settings say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_suricata.config.example import render
from ai_suricata.config.load import load, variables

EXAMPLE = Path(__file__).resolve().parents[3] / "config.env.example"


def uncommented(text: str) -> dict[str, str]:
    """Return the settings of the example, as if every one had been uncommented."""
    lines = [line[1:] for line in text.splitlines() if line.startswith("#") and line[1:2].isupper()]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_the_example_in_the_repository_is_what_the_settings_say() -> None:
    """Written anew with `python -m ai_suricata.config.example > config.env.example`."""
    assert render() == EXAMPLE.read_text(encoding="utf-8")


def test_the_example_lists_every_variable_once() -> None:
    """With its default, its unit and its meaning above it."""
    text = render()

    assert list(variables()) == list(uncommented(text))
    for name, (_, _, declaration) in variables().items():
        above = text.split(f"\n#{name}=")[0].rsplit("\n\n", 1)[-1].replace("\n# ", " ")
        assert str(declaration.description) in above
        extra = declaration.json_schema_extra
        if isinstance(extra, dict) and "unit" in extra:
            assert f"[{extra['unit']}]" in above


def test_the_example_as_it_is_changes_nothing(tmp_path: Path) -> None:
    """Everything in it is commented out."""
    file = tmp_path / "config.env"
    file.write_text(render())

    assert load(None, {}) == load(file, {})


def test_the_example_uncommented_is_the_defaults(tmp_path: Path) -> None:
    """But for secrets, which are masked: every other line can be used as it stands."""
    lines = [f"{name}={value}" for name, value in uncommented(render()).items()]
    file = tmp_path / "config.env"
    file.write_text("\n".join(lines))

    assert load(None, {}) == load(file, {})


@pytest.mark.parametrize("name", list(variables()))
def test_every_variable_of_the_example_loads(tmp_path: Path, name: str) -> None:
    """Each on its own."""
    file = tmp_path / "config.env"
    file.write_text(f"{name}={uncommented(render())[name]}\n")

    assert load(None, {}) == load(file, {})
