"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# A machine that is busy is no fault of the code: nothing here is judged by the clock.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
