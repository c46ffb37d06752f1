"""Safety under partitions: runs that isolate the leader, to show which systems ever have two.

Each system is run with its leader in a minority (on containers: alone). The result is read from the verdicts of these
runs; the worst run is kept in the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from splitbrain.campaigns.matrix.campaign import run_in_simulation, run_on_docker
from splitbrain.campaigns.matrix.entries import Entry
from splitbrain.campaigns.matrix.results import Result
from splitbrain.core.store import VERDICTS, RunDirectory
from splitbrain.units import MS

SEED: Final = 1
TIME_LIMIT_S: Final = 40.0
CUT_S: Final = 25.0  # time limit of a run on containers


@dataclass(frozen=True, kw_only=True, slots=True)
class IsolationResult:
    """The result of isolating a system's leader, and the longest proven overlap of two leaders in the stored run."""

    result: Result
    overlap_ms: float


def two_leaders(systems: Iterable[str], store: Path) -> Mapping[str, IsolationResult]:
    """The results of isolating each system's leader in a minority, in simulation."""
    return {system: _in_minority(system, store) for system in systems}


def two_leaders_on_containers(systems: Iterable[str], store: Path) -> Mapping[str, IsolationResult]:
    """The results of isolating each system's leader from all other nodes, one run each on containers."""
    return {system: _isolation_result(run_on_docker(_alone(system), SEED, store), store) for system in systems}


def _in_minority(system: str, store: Path) -> IsolationResult:
    return _isolation_result(run_in_simulation(_entry(system), SEED, store), store)


def _isolation_result(result: Result, store: Path) -> IsolationResult:
    verdicts = {} if result.run is None else RunDirectory(store / result.run).read_json(VERDICTS)
    facts = verdicts.get("properties", {}).get("exclusivity", {}).get("facts", {})
    return IsolationResult(result=result, overlap_ms=facts.get("longest_overlap_ns", 0) / MS)


def _entry(system: str) -> Entry:
    return Entry(
        system=system, fault_class="partition", runtime="sim", nemesis=("minority-leader",), time_limit_s=TIME_LIMIT_S
    )


def _alone(system: str) -> Entry:
    return Entry(
        system=system,
        fault_class="leader-isolated",
        runtime="docker",
        nemesis=("isolated-leader",),
        time_limit_s=CUT_S,
        nodes=3,
    )
