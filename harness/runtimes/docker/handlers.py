"""How containers carry out and verify each class of fault.

``HANDLERS`` is the only place of this runtime that names classes of fault; its capabilities follow from it. Most
faults ask for a state that ``links``, ``names``, ``processes``, ``disks`` or ``clocks`` makes true; a handler says
which of these has to act, in which order, and what is verified.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from splitbrain.nemesis.faults import (
    Bandwidth,
    Capability,
    Corrupt,
    Crash,
    Delay,
    Dns,
    Duplicate,
    FailingFsync,
    Fault,
    Fill,
    Freeze,
    Kill,
    Loss,
    Oom,
    Partition,
    Pause,
    Reorder,
    Skew,
    SlowFsync,
    Stop,
    Throttle,
)
from splitbrain.nemesis.plans import Plan
from splitbrain.runtimes.docker.agents import Verification

if TYPE_CHECKING:  # these need the engine's client, which the capabilities of this runtime do without
    from splitbrain.runtimes.docker.fault_controller import Parts
    from splitbrain.runtimes.docker.hosts import DiskKind

Make = Callable[["Parts", Plan, Any], Awaitable[Verification]]
Verify = Callable[["Parts", Plan], Awaitable[Verification]]


async def _nothing(parts: Parts, plan: Plan) -> Verification:
    return Verification()


@dataclass(frozen=True, kw_only=True, slots=True)
class DockerFaultHandler:
    """How faults of one class are carried out: all but those that require a capability in ``lacks``.

    ``inject`` is called with a plan and its fault when it has been added to those in force, ``undo`` (``inject`` if
    None) when it has been removed, and ``verify`` after either. ``disks`` names the kind of disks that a capability
    needs, where plain ones do not suffice.
    """

    inject: Make
    undo: Make | None = None
    verify: Verify = _nothing
    lacks: frozenset[Capability] = frozenset()
    disks: Mapping[Capability, DiskKind] = field(default_factory=dict)


async def _links(parts: Parts, plan: Plan, fault: Fault) -> Verification:
    await parts.links.make(parts.wanted())
    return Verification()


async def _verify_cuts(parts: Parts, plan: Plan) -> Verification:
    return await parts.links.verify()


async def _verify_links(parts: Parts, plan: Plan) -> Verification:
    return await parts.links.verify(plan.links)


async def _names(parts: Parts, plan: Plan, fault: Dns) -> Verification:
    await parts.names.make()
    return Verification()


async def _verify_names(parts: Parts, plan: Plan) -> Verification:
    return await parts.names.verify()


async def _kill(parts: Parts, plan: Plan, fault: Kill) -> Verification:
    restarts = parts.processes.restarts
    return await parts.processes.make(plan.nodes, lambda nodes: restarts.kill(nodes, fault.state, fault.files))


async def _put_back(parts: Parts, plan: Plan) -> Verification:
    return await parts.processes.restarts.put_back(plan.nodes)


async def _crash(parts: Parts, plan: Plan, fault: Crash) -> Verification:
    await parts.links.make(parts.wanted())  # a machine is silent before it is dead, and on the network before it works
    restarts = parts.processes.restarts
    return await parts.processes.make(plan.nodes, lambda nodes: restarts.crash(nodes, fault.state))


async def _verify_crash(parts: Parts, plan: Plan) -> Verification:
    return await _put_back(parts, plan) + await parts.links.verify()


async def _stop(parts: Parts, plan: Plan, fault: Stop) -> Verification:
    return await parts.processes.make(plan.nodes, parts.processes.restarts.stop)


async def _oom(parts: Parts, plan: Plan, fault: Oom) -> Verification:
    return await parts.processes.make(plan.nodes, parts.processes.restarts.starve)


async def _processes(parts: Parts, plan: Plan, fault: Fault) -> Verification:
    return await parts.processes.make(plan.nodes)


async def _disks(parts: Parts, plan: Plan, fault: Fault) -> Verification:
    return await parts.disks.make()


async def _skew(parts: Parts, plan: Plan, fault: Skew) -> Verification:
    jumps_ms = dict.fromkeys(plan.nodes, fault.offset_ms) if fault.clock == "monotonic" else {}
    await parts.clocks.make(parts.wanted(), jumps_ms)
    return Verification()


async def _correct_clocks(parts: Parts, plan: Plan, fault: Skew) -> Verification:
    await parts.clocks.make(parts.wanted(), {})
    return Verification()


async def _verify_clocks(parts: Parts, plan: Plan) -> Verification:
    return await parts.clocks.verify(parts.wanted(), plan.nodes)


FLAWS = DockerFaultHandler(inject=_links, verify=_verify_links)
POWER_LOSS: Mapping[Capability, DiskKind] = {"kill with state torn": "loop"}

HANDLERS: Mapping[type[Fault], DockerFaultHandler] = MappingProxyType(
    {
        Partition: DockerFaultHandler(inject=_links, verify=_verify_cuts),
        Dns: DockerFaultHandler(inject=_names, verify=_verify_names),
        Kill: DockerFaultHandler(
            inject=_kill, verify=_put_back, lacks=frozenset({"kill after some effects"}), disks=POWER_LOSS
        ),
        Crash: DockerFaultHandler(inject=_crash, verify=_verify_crash, disks=POWER_LOSS),
        Stop: DockerFaultHandler(inject=_stop),
        Oom: DockerFaultHandler(inject=_oom),
        Pause: DockerFaultHandler(inject=_processes),
        Freeze: DockerFaultHandler(inject=_processes),
        Throttle: DockerFaultHandler(inject=_processes),
        Fill: DockerFaultHandler(inject=_disks, disks={"full disk": "bounded"}),
        SlowFsync: DockerFaultHandler(inject=_disks),
        FailingFsync: DockerFaultHandler(inject=_disks),
        Skew: DockerFaultHandler(inject=_skew, undo=_correct_clocks, verify=_verify_clocks),
        **dict.fromkeys((Loss, Delay, Reorder, Duplicate, Corrupt, Bandwidth), FLAWS),
    }
)
DISKS: Mapping[Capability, DiskKind] = MappingProxyType(
    {capability: kind for handler in HANDLERS.values() for capability, kind in handler.disks.items()}
)
"""The kind of disks that each capability needs, where plain ones do not suffice."""
