"""Who keeps one leader when the network is cut: shown by runs, not by claims.

Each system is run with its leader in a minority; what came of it is read off the verdicts of those runs, of which the
worst is kept in the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.matrix.campaign import simulate
from harness.matrix.entries import Entry
from harness.matrix.results import Result
from harness.store import VERDICTS, RunDirectory
from harness.units import MS

SEED: Final = 1
TIME_LIMIT_S: Final = 40.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """What came of a system whose leader was cut off: the result, and for how long two surely led in the run kept."""

    result: Result
    overlap_ms: float


def two_leaders(systems: Iterable[str], store: Path) -> Mapping[str, Cut]:
    """Of each system, what came of runs with the leader cut off in a minority, in simulation."""
    return {system: _cut(system, store) for system in systems}


def _cut(system: str, store: Path) -> Cut:
    result = simulate(_entry(system), SEED, store)
    verdicts = {} if result.run is None else RunDirectory(store / result.run).read_json(VERDICTS)
    facts = verdicts.get("properties", {}).get("exclusivity", {}).get("facts", {})
    return Cut(result=result, overlap_ms=facts.get("longest_overlap_ns", 0) / MS)


def _entry(system: str) -> Entry:
    return Entry(system=system, cell="C3", runtime="sim", nemesis=("minority-leader",), time_limit_s=TIME_LIMIT_S)
