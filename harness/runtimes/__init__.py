"""The worlds a cluster can run in. Each is imported only when it is asked for: the simulation needs no docker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from splitbrain.runtimes.base import known_runtime

if TYPE_CHECKING:
    from splitbrain.core.lifecycle import RunPhases
    from splitbrain.runtimes.base import Facts, Say

MODULES: Mapping[str, str] = {
    "docker": "splitbrain.runtimes.docker.runtime",
    "sim": "splitbrain.runtimes.sim.runtime",
}

Run = Callable[["RunPhases", Path, "Say"], "Facts"]


def runtime_named(name: str) -> Run:
    """The function that runs a driver in that world, keeping logs in the folder it is given."""
    run: Run = import_module(MODULES[known_runtime(name)]).run
    return run
