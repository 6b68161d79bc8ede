"""What only root may do: namespaces and mounts."""

from __future__ import annotations

import os

import pytest


def need_root(purpose: str) -> None:
    """Skip the test without root (fail in CI, where nothing is to be missing)."""
    if os.geteuid() == 0:
        return
    reason = f"needs root, {purpose}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
