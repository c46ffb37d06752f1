"""Who keeps one leader when the network is cut: shown by runs, not by claims.

Each system is run with its leader in a minority (on containers: alone); what came of it is read off the verdicts of
those runs, of which the worst is kept in the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from splitbrain.campaigns.matrix.campaign import contain, simulate
from splitbrain.campaigns.matrix.entries import Entry
from splitbrain.campaigns.matrix.results import Result
from splitbrain.core.store import VERDICTS, RunDirectory
from splitbrain.units import MS

SEED: Final = 1
TIME_LIMIT_S: Final = 40.0
CUT_S: Final = 25.0  # of a run on containers


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """What came of a system whose leader was cut off: the result, and for how long two surely led in the run kept."""

    result: Result
    overlap_ms: float


def two_leaders(systems: Iterable[str], store: Path) -> Mapping[str, Cut]:
    """Of each system, what came of runs with the leader cut off in a minority, in simulation."""
    return {system: _cut(system, store) for system in systems}


def two_leaders_on_containers(systems: Iterable[str], store: Path) -> Mapping[str, Cut]:
    """The same of systems that are not simulated, whose leader is cut off from all others, a run each."""
    return {system: _seen_in(contain(_alone(system), SEED, store), store) for system in systems}


def _cut(system: str, store: Path) -> Cut:
    return _seen_in(simulate(_entry(system), SEED, store), store)


def _seen_in(result: Result, store: Path) -> Cut:
    verdicts = {} if result.run is None else RunDirectory(store / result.run).read_json(VERDICTS)
    facts = verdicts.get("properties", {}).get("exclusivity", {}).get("facts", {})
    return Cut(result=result, overlap_ms=facts.get("longest_overlap_ns", 0) / MS)


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
