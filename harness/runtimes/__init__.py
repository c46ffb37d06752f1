"""The runtimes in which a cluster can run. Each is imported on first use: a simulation needs no docker."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from splitbrain.runtimes.base import Runtime
from splitbrain.runtimes.capabilities import known_runtime

MODULES: Mapping[str, str] = {
    "docker": "splitbrain.runtimes.docker.runtime",
    "sim": "splitbrain.runtimes.sim.runtime",
}


def runtime_named(name: str) -> Runtime:
    """The runtime of that name. Raises UsageError for an unknown one."""
    run: Runtime = import_module(MODULES[known_runtime(name)]).run
    return run
