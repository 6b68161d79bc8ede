"""Imported by the process that `fakes.forked` forks: what a daemon imports, and the model."""

from __future__ import annotations

import ai_suricata.daemon  # noqa: F401 - to have it
from ai_suricata.classify import artifact

artifact.default()
