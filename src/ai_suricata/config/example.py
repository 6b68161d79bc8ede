"""Writes config.env.example out of the settings, so that the two can't drift apart.

`python -m ai_suricata.config.example > config.env.example`
"""

from __future__ import annotations

import sys
import textwrap

from ai_suricata.config.load import groups, shown

_HEAD = """\
# ai-suricata: settings. Copy to config.env and uncomment what you change.
# The environment wins over this file. `ai-suricata check-config` shows what is in force.
"""
_TITLES = {
    "source": "Where events come from",
    "features": "Who is at home, and how much is remembered",
    "classify": "When a score becomes a level",
    "respond": "What follows from a verdict",
    "firewall": "The firewall",
    "state": "What outlives a restart",
    "redis": "Redis",
    "queue": "Message queue",
    "sink": "Alert store and audit log",
    "notify": "Who is told",
    "telemetry": "Metrics, health and logs",
}
_LATER = {"queue"}
_LATER_NOTE = "# Known and checked; this version does not use them yet."


def render() -> str:
    """Return the text of config.env.example: each variable with default, unit and meaning."""
    parts = [_HEAD]
    for group, kind in groups().items():
        parts.append(f"\n# --- {_TITLES[group]} ---")
        if group in _LATER:
            parts.append(_LATER_NOTE)
        for field in kind.model_fields.values():
            extra = field.json_schema_extra
            unit = f" [{extra['unit']}]" if isinstance(extra, dict) and "unit" in extra else ""
            meaning = textwrap.wrap(f"{field.description}{unit}", 97)
            parts.extend(["", *(f"# {line}" for line in meaning)])
            parts.append(f"#{field.validation_alias}={_quoted(shown(field.default, field))}")
    return "\n".join(parts) + "\n"


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value or "#" in value else value


if __name__ == "__main__":
    sys.stdout.write(render())
