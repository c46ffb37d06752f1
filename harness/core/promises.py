"""What a system promises under the faults that a run held: its row of the matrix, folded over those faults.

Under several kinds of faults a guarantee is promised only if it is promised under each; one known to break
under any is expected to break.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import is_repair
from splitbrain.checkers.fault import Fault
from splitbrain.checkers.judge import Promise
from splitbrain.nodes.systems.base import System
from splitbrain.units import MS

LETTERS = "TXFALS"
WEAKEST_FIRST: tuple[Promise, ...] = ("-", "!", "?", "+")
_MARKS: tuple[str, ...] = WEAKEST_FIRST
NETWORK = ("C3", "C4", "C5a", "C5b", "C5c", "C6")

# The workloads whose resource takes what comes.
UNFENCED = ("ledger-unfenced", "lock")

# For histories whose faults do not name their cell of the matrix: every cell that the fault may be.
CELLS_OF: Mapping[str, tuple[str, ...]] = {
    "kill": ("C1",),
    "crash": ("C1",),
    "stop": ("C1",),
    "oom": ("C1",),
    "fill": ("C1",),
    "failing-fsync": ("C1",),
    "restart": (),
    "pause": ("C2",),
    "freeze": ("C2",),
    "throttle": ("C2",),
    "slow-fsync": ("C2",),
    "resume": (),
    "partition": NETWORK,
    **dict.fromkeys(("loss", "delay", "reorder", "duplicate", "corrupt", "bandwidth"), ("C7",)),
    "skew": ("C8",),
    "rate": ("C9",),
    "strobe": ("C10",),
    "wipe": ("C11",),
    "heal": (),
}


def exercised(faults: Iterable[Fault]) -> Iterator[tuple[str, str | None]]:
    """What faults exercised, as (f, cell or None): each that was carried out, and the cuts that were in force
    together when it began or ended. Where faults name their cells, what mends them exercises no other."""
    carried_out = [fault for fault in faults if fault.skipped is None]
    named = any(fault.cell is not None for fault in carried_out)
    for fault in carried_out:
        if not (named and is_repair(fault)):
            yield fault.f, fault.cell
            if fault.together is not None:
                yield fault.f, fault.together


def cells_of(faults: Iterable[tuple[str, str | None]], system: System) -> tuple[str, ...]:
    """The cells exercised by faults given as (f, cell or None); an unknown f may be any cell."""
    cells: set[str] = set()
    for f, cell in faults:
        if cell is not None and cell in system.promises:
            cells.add(cell)
        else:
            cells.update(CELLS_OF.get(f, tuple(system.promises)))
    return tuple(sorted(cells))


def promises_of(system: System, cells: Iterable[str]) -> dict[str, Promise]:
    """Letter to ``+ ! ? -``, the weakest over ``cells``; without any fault, the best that the row says."""
    rows = [system.promises[cell] for cell in cells]
    if not rows:
        return {letter: _best(row[i] for row in system.promises.values()) for i, letter in enumerate(LETTERS)}
    return {letter: _weakest(row[i] for row in rows) for i, letter in enumerate(LETTERS)}


def held_to(system: System, faults: Iterable[Fault]) -> dict[str, Promise]:
    """The promises that a history with these faults is held to."""
    return promises_of(system, cells_of(exercised(faults), system))


def promises_to_writers(promises: Mapping[str, Promise], workload: str) -> dict[str, Promise]:
    """The promises, with what a resource that checks no tokens makes of F.

    Such a resource accepts what every leader writes, so it is no better than X, that two nodes never lead at once; and
    not as good, for no X covers the time between a client's asking its node and its writing.
    """
    if workload not in UNFENCED:
        return dict(promises)
    return {**promises, "F": "?" if promises["X"] == "+" else promises["X"]}


def bounds_of(system: System, members: Iterable[str] = (), servers: Iterable[str] = ()) -> Bounds:
    """What the system's own promises of time are, for the checkers; ``members`` are the cluster's nodes, where
    they are known beyond what the history names, and ``servers`` the machines beside them."""
    return Bounds(
        stall_ns=system.stall_bound_ms * MS,
        suspicion_ns=system.suspicion_ms * MS,
        eligibility=system.eligibility,
        members=tuple(members),
        servers=tuple(servers),
        votes_kept=system.votes_kept,
    )


def bounds_json(bounds: Bounds) -> dict[str, Any]:
    """The bounds as a run's record holds them."""
    return {
        "stall_ms": bounds.stall_ns // MS,
        "suspicion_ms": bounds.suspicion_ns // MS,
        "eligibility": bounds.eligibility,
    }


def _weakest(promises: Iterable[str]) -> Promise:
    return WEAKEST_FIRST[min(map(_MARKS.index, promises))]


def _best(promises: Iterable[str]) -> Promise:
    return WEAKEST_FIRST[max(map(_MARKS.index, promises))]
