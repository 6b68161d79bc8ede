"""Settings and the alert rules that go with them."""

from __future__ import annotations

import re
from pathlib import Path

from annotated_types import Le

from ai_suricata.config.respond import RespondSettings

RULES = Path(__file__).parents[3] / "prometheus" / "alerts.yml"


def test_no_setting_makes_the_never_block_list_look_old() -> None:
    """One round that fails and the time of the rule included: else it would fire for ever."""
    rule = re.search(r"suricata_ai_never_block_age_seconds > (\d+)", RULES.read_text())
    assert rule is not None
    field = RespondSettings.model_fields["never_block_refresh"]
    [bound] = [each.le for each in field.metadata if isinstance(each, Le)]

    assert isinstance(bound, int)
    assert bound + 300 < int(rule[1])
