"""Hypothesis without limits of time: on a busy machine an example may take any, and no test has a budget of seconds."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("splitbrain", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("splitbrain")
