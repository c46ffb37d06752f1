"""The promises of a system under the faults of one run: its table, folded over their fault classes.

Under several fault classes a guarantee is as good as its weakest promise: one known to break under any of them is
expected to break.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.fault import Fault
from splitbrain.checkers.fault_periods import is_repair
from splitbrain.names import FAULT_CLASSES, GUARANTEES, MS, FaultClass, Promise, Promises
from splitbrain.nemesis.faults import FAULTS
from splitbrain.nodes.systems.base import System

WEAKEST_FIRST: Final[tuple[Promise, ...]] = ("undefined", "known-weakness", "not-promised", "guaranteed")
CUTS: Final[tuple[FaultClass, ...]] = (
    "partition",
    "leader-isolated",
    "leader-deaf",
    "leader-mute",
    "follower-deaf",
    "partial-partition",
)

# The workloads on a resource that checks no tokens.
UNFENCED: Final = ("ledger-unfenced", "lock")

CLASSES_OF: Final[Mapping[str, tuple[FaultClass, ...]]] = {
    **{fault.f: (fault.usual_class,) for fault in FAULTS},
    "partition": CUTS,
    "rate": ("clock-rate",),
    "strobe": ("clock-strobe",),
    "wipe": ("state-loss",),
    **dict.fromkeys(("restart", "resume", "heal"), ()),
}
"""For histories whose faults state no class: every class that the fault may be of."""


def exercised(faults: Iterable[Fault]) -> Iterator[tuple[str, str | None]]:
    """The faults that were carried out, as (f, class or None), and the combined class of cuts that were in force at
    the beginning or end of one. Where faults state their classes, repairs exercise none."""
    carried_out = [fault for fault in faults if fault.skipped is None]
    stated = any(fault.fault_class is not None for fault in carried_out)
    for fault in carried_out:
        if not (stated and is_repair(fault)):
            yield fault.f, fault.fault_class
            if fault.combined_class is not None:
                yield fault.f, fault.combined_class


def fault_classes_of(faults: Iterable[tuple[str, str | None]], system: System) -> tuple[FaultClass, ...]:
    """The classes exercised by faults given as (f, class or None); an unknown f may be of any class."""
    found: set[str] = set()
    for f, stated in faults:
        if stated in system.promises:
            found.add(str(stated))
        else:
            found.update(CLASSES_OF.get(f, tuple(system.promises)))
    return tuple(each for each in FAULT_CLASSES if each in found)


def promises_of(system: System, fault_classes: Iterable[FaultClass]) -> Promises:
    """The weakest promise for each guarantee over the classes; without any fault, the best of the table."""
    rows = [system.promises[each] for each in fault_classes]
    choose = min if rows else max
    rows = rows or list(system.promises.values())
    return {each: choose((row[each] for row in rows), key=WEAKEST_FIRST.index) for each in GUARANTEES}


def held_to(system: System, faults: Iterable[Fault]) -> Promises:
    """The promises by which a history with these faults is judged."""
    return promises_of(system, fault_classes_of(exercised(faults), system))


def promises_to_writers(promises: Promises, workload: str) -> Promises:
    """The promises, weakened where the resource of the workload checks no tokens.

    Such a resource accepts the writes of every leader, so ``fencing`` is no better than ``exclusivity``; and not as
    good, since that does not cover the time between a client's question to its node and its write.
    """
    if workload not in UNFENCED:
        return promises
    exclusivity = promises["exclusivity"]
    return {**promises, "fencing": "not-promised" if exclusivity == "guaranteed" else exclusivity}


def bounds_of(system: System, members: Iterable[str] = (), servers: Iterable[str] = ()) -> Bounds:
    """The system's promises of time, for the checkers; ``members`` are the cluster's nodes, where they are known
    beyond the names in the history, and ``servers`` the machines beside them."""
    names = tuple(servers)
    grouped = names == system.server_names and len(system.groups) > 1
    return Bounds(
        stall_ns=system.stall_bound_ms * MS,
        suspicion_ns=system.suspicion_ms * MS,
        eligibility=system.eligibility,
        members=tuple(members),
        servers=names,
        groups=tuple(system.groups.values()) if grouped else (),
        electors=system.groups[system.electing] if grouped and system.electing else (),
        votes_kept="votes" in system.features,
        elects=system.elects,
        round_ns=system.round_ms * MS,
        highest_leads="highest" in system.features,
    )


def bounds_json(bounds: Bounds) -> dict[str, Any]:
    """The bounds as a run's record holds them."""
    return {
        "stall_ms": bounds.stall_ns // MS,
        "suspicion_ms": bounds.suspicion_ns // MS,
        "eligibility": bounds.eligibility,
        "elects": bounds.elects,
        "round_ms": bounds.round_ns // MS,
    }
