"""The worlds a cluster can run in. Each is imported only when it is asked for: the simulation needs no docker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from harness.runtimes.base import known_runtime

if TYPE_CHECKING:
    from harness.drive import Driver
    from harness.runtimes.base import Facts, Say

MODULES: Mapping[str, str] = {
    "docker": "harness.runtimes.docker.runtime",
    "sim": "harness.runtimes.sim.runtime",
}

Run = Callable[["Driver", Path, "Say"], "Facts"]


def runtime_named(name: str) -> Run:
    """The function that runs a driver in that world, keeping logs in the folder it is given."""
    run: Run = import_module(MODULES[known_runtime(name)]).run
    return run
