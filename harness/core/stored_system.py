"""The system of a stored run, as far as judging needs it: its promises and bounds, kept in the run's record.

A system's code is not imported for it and its description is not opened. Runs of other people are data, and an edit of
a system changes no verdict of an earlier run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from splitbrain.errors import UsageError
from splitbrain.names import (
    FAULT_CLASSES,
    GUARANTEES,
    PART_OF_BEFORE,
    Electors,
    Eligibility,
    Promise,
    Promises,
    fault_class_of,
    promise_of,
)
from splitbrain.nodes.broken import BROKEN
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import OUR_SERVER, Servers, System

JUDGED_BY: Final = "judged_by"
ORIGIN: Final = "origin"
MOST_SERVERS: Final = 1_000  # of one group, in a record


def provenance(system: System) -> dict[str, Any]:
    """The part of a run's record that later judging needs of its system, and where the system came from."""
    contract = {
        "promises": {each: dict(row) for each, row in system.promises.items()},
        "stall_bound_ms": system.stall_bound_ms,
        "suspicion_ms": system.suspicion_ms,
        "eligibility": system.eligibility,
        "elects": system.elects,
        "round_ms": system.round_ms,
        "features": sorted(system.features),
        **({"electing": system.electing, "servers": _counts(system)} if len(system.servers) > 1 else {}),
    }
    return {JUDGED_BY: contract, **({ORIGIN: dict(system.origin)} if system.origin else {})}


def _counts(system: System) -> dict[str, int]:
    """The number of servers in each group."""
    return {name: group.count for name, group in system.servers.items()}


def _servers(counts: Mapping[str, Any]) -> dict[str, Servers]:
    """The groups of these numbers of servers; what ran on them is not stored."""
    if any(not 1 <= int(count) <= MOST_SERVERS for count in counts.values()):
        raise ValueError(f"expected groups of 1 to {MOST_SERVERS} servers, got {counts!r}")
    return {name: Servers(count=int(count), software=OUR_SERVER) for name, count in counts.items()}


def stored_system(record: Mapping[str, Any], source: str) -> System | None:
    """The system whose promises a stored run is held to; None if the record names none. ``source`` is for messages.

    Records of version 0.1 hold no table: built-in systems are then taken as they are now, others by the promises that
    the run was judged by. Raises UsageError for a record that is malformed, or of a user's system without promises.
    """
    name = str(record.get("system") or "")
    try:
        if JUDGED_BY in record:
            return _read(name, record[JUDGED_BY])
        if not name or name in SYSTEMS:
            return SYSTEMS.get(name)
        if name in BROKEN:
            return BROKEN[name].system
        if "promises" in record and "bounds" in record:
            return _of_one_run(name, record["promises"], record["bounds"])
    except (AttributeError, KeyError, TypeError, ValueError) as wrong:
        raise UsageError(f"{source}: the promises of {name or 'the system'} cannot be read: {wrong!r}") from wrong
    raise UsageError(f"{source} holds no promises of {name}: give the system with check --system")


def _read(name: str, contract: Mapping[str, Any]) -> System:
    table = {fault_class_of(str(each)): _row(row) for each, row in contract["promises"].items()}
    if unknown := table.keys() - set(FAULT_CLASSES):
        raise ValueError(f"expected fault classes, got {sorted(unknown)}")
    table |= {each: table[was] for each, was in PART_OF_BEFORE.items() if was in table and each not in table}
    table |= {each: _row({}) for each in FAULT_CLASSES if each not in table}
    return _system(name, table, contract, stall_bound_ms=int(contract["stall_bound_ms"]))


def _of_one_run(name: str, promises: Mapping[str, Any], bounds: Mapping[str, Any]) -> System:
    """The promises under the faults of one run, which are all that its record has."""
    table = dict.fromkeys(FAULT_CLASSES, _row(promises))
    return _system(name, table, bounds, stall_bound_ms=int(bounds["stall_ms"]))


def _row(given: Mapping[str, Any]) -> Promises:
    """A row of promises; a guarantee that was not yet known when the run was stored was not promised."""
    row = {each: promise_of(str(given[each])) if each in given else "not-promised" for each in GUARANTEES}
    if wrong := set(row.values()) - set(get_args(Promise)):
        raise ValueError(f"expected promises, of {', '.join(get_args(Promise))}, got {sorted(wrong)}")
    return row  # type: ignore[return-value]


def _system(name: str, table: Any, bounds: Mapping[str, Any], *, stall_bound_ms: int) -> System:
    """The system with these promises. A record that names no electors says nothing about elections."""
    eligibility, elects = bounds["eligibility"], bounds.get("elects", "none")
    if eligibility not in get_args(Eligibility):
        raise ValueError(f"expected an eligibility of {', '.join(get_args(Eligibility))}, got {eligibility!r}")
    if elects not in get_args(Electors):
        raise ValueError(f"expected electors of {', '.join(get_args(Electors))}, got {elects!r}")
    servers, electing = _servers(bounds.get("servers", {})), bounds.get("electing")
    if electing is not None and electing not in servers:
        raise ValueError(f"expected a group of servers that elects, of {', '.join(servers)}, got {electing!r}")
    return System(
        name=name,
        help="the system of a stored run",
        promises=table,
        stall_bound_ms=stall_bound_ms,
        suspicion_ms=int(bounds["suspicion_ms"]),
        eligibility=eligibility,
        elects=elects,
        round_ms=int(bounds.get("round_ms", stall_bound_ms)),
        features=frozenset(bounds.get("features", ())),
        servers=servers,
        electing=electing,
    )
