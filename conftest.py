"""Hypothesis without limits of time, and with the same examples each time, as a change must not fail by chance.

On a busy machine an example may take any time. ``pytest --hypothesis-profile explore`` searches: other examples each
time, and many more.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "splitbrain", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, max_examples=60
)
settings.register_profile("explore", settings.get_profile("splitbrain"), derandomize=False, max_examples=1_000)
settings.load_profile("splitbrain")
