"""A description in sentences, as it was understood, so that its author sees a mistake that no check can find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from splitbrain.checkers.words import counted, listed
from splitbrain.names import GUARANTEES, Electors, FaultClass, Promise
from splitbrain.nodes.systems.base import Machine, System, names_of_servers

ELECTED_BY: Final[Mapping[Electors, str]] = {
    "nodes": "a majority of the nodes",
    "servers": "a majority of the servers",
    "none": "no majority that is described, so election-quorum is not judged",
}


def summary(system: System) -> Iterator[tuple[str, str]]:
    """Subject and words of each part of a system."""
    yield "system", system.help
    yield "nodes", f"{system.usual_nodes}, from {system.min_nodes} to {system.max_nodes}"
    if system.on_containers:
        yield "image", str(system.software.image)
        yield "command of n1", " ".join(system.software.command(_first(system))) or "that of the image"
    for name, group in system.servers.items():
        yield f"servers {name}", f"{counted(group.count, 'machine')} of {group.software.image}"
    if system.simulated:
        yield "simulation", "its nodes run in simulation too" if system.on_containers else "its nodes run only there"
    yield "elected by", ELECTED_BY[system.elects]
    yield "working leader", "asked for an acknowledgement" if system.confirms else "by the leader that the nodes name"
    silence = f"a leader is given up after {system.suspicion_ms} ms of silence"
    yield "bounds", f"{silence}, and an eligible majority has a working leader within {system.stall_bound_ms} ms"
    for guarantee in GUARANTEES:
        yield guarantee, _promised({fault_class: row[guarantee] for fault_class, row in system.promises.items()})


def _promised(under: Mapping[FaultClass, Promise]) -> str:
    """The fault classes under which a guarantee is promised, in the shorter of two ways."""
    if set(under.values()) == {"undefined"}:
        return "has no meaning for this system"
    kept = [fault_class for fault_class, promise in under.items() if promise == "guaranteed"]
    others = [fault_class for fault_class in under if fault_class not in kept]
    if not kept:
        return "promised under no fault"
    if not others:
        return "promised under every fault"
    if len(kept) <= len(others):
        return f"promised under {listed(kept)}"
    return f"promised under every fault but {listed(others)}"


def _first(system: System) -> Machine:
    """The first node of a run, at an address that stands for the one it will have."""
    nodes = {f"n{at}": f"10.0.0.{at}" for at in range(1, system.usual_nodes + 1)}
    servers = {name: f"10.0.1.{at}" for at, name in enumerate(system.server_names, 1)}
    groups = names_of_servers(system.servers)
    return Machine(
        name="n1", system=system.name, seed=0, nodes=nodes, servers=servers, groups=groups, free_address="10.0.0.250"
    )
