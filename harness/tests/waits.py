"""Waiting for a condition: a busy machine may take any time for it, and only one that never holds is a failure."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_S = 60.0


def until(holds: Callable[[], object], what: str = "it has not come true in time") -> None:
    """Return once the condition holds, and fail with these words if it has not by the deadline."""
    give_up = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < give_up, what
        time.sleep(0.01)
