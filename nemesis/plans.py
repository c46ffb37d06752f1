"""A fault aimed at a cluster: the nodes and links that it affects.

``plan`` resolves the role or shape of a fault when it is about to be injected; a runtime then carries the plan out,
verifies it and undoes it. ``plan`` draws only from the random generator it is given, so the same view and generator
give the same plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from splitbrain.names import SERVER, FaultClass, of_servers
from splitbrain.nemesis.faults.base import Fault, ScheduleError, Undo
from splitbrain.nemesis.faults.links import Partition
from splitbrain.nemesis.partitions import NOTHING, Cut
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nemesis.targets import Group, NoTarget, View, cut_off


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A fault and where it applies.

    ``nodes`` are those that it is about (a hub among them may keep all its links) and ``links`` the directed links that
    it affects. ``shape`` names faults that are alike, ``fault_class`` is the class under which promises are stated for
    it, and ``words`` describe it in one line.
    """

    fault: Fault
    nodes: tuple[str, ...]
    links: Cut = NOTHING
    fault_class: FaultClass
    shape: str
    words: str

    @property
    def f(self) -> str:
        """The name of the operation in a history."""
        return self.fault.f

    @property
    def undo_f(self) -> Undo:
        """The name of its undoing in a history."""
        return self.fault.undo

    def recorded_links(self) -> list[list[str]]:
        """The links of a fault that is about links, as a history writes them: [from, to], sorted."""
        return [[*link] for link in sorted(self.links)] if self.fault.about == "links" else []


def plan(fault: Fault, view: View, rng: Random) -> Plan | NoTarget:
    """Aim a fault at the cluster as observed now.

    The result is ``NoTarget`` when no node fills its role, such as the leader when no node leads. A shape that does not
    exist for that number of nodes raises ``ImpossibleShape``.
    """
    aim = fault.aim(view, rng)
    if isinstance(aim, NoTarget):
        return aim
    of_nodes = view.group == "nodes"
    flapping = "" if fault.turn_ms is None else f", on and off every {fault.turn_ms} ms"
    return Plan(
        fault=fault,
        nodes=aim.nodes,
        links=aim.links,
        fault_class=_class_of(fault, aim.links, view),
        shape=shape_of(fault, view.group),
        words=f"{'' if of_nodes else 'of the servers, '}{aim.words}{flapping}",
    )


def check_aims(schedule: Schedule, nodes: Sequence[str], servers: Sequence[str]) -> None:
    """Raise ``ScheduleError`` for the first step that cannot be aimed at a cluster of these machines."""
    for at, step in enumerate(schedule.steps):
        groups = (nodes, servers) if step.among == "nodes" else (servers, nodes)
        try:
            step.fault.check_on(*groups)
        except ScheduleError as wrong:
            raise ScheduleError(f"steps[{at}].fault.{wrong.where}", wrong.expected, wrong.got) from wrong


def already_faulty(fault: Fault, under_way: Iterable[Plan], view: View) -> frozenset[str]:
    """The nodes that are faulty already in the way in which ``fault`` would make them faulty.

    What has to be restarted is down in any case, and what has to be resumed stands still. Of a cut these are the nodes
    that it is about and that no longer see a majority; of a cut of one port, those that it is about.
    """
    nodes = {node for plan in under_way if _same_way(plan.fault, fault) for node in plan.nodes}
    return cut_off(nodes, view) if _is_cut(fault) else frozenset(nodes)


def _same_way(one: Fault, other: Fault) -> bool:
    if isinstance(one, Partition) and isinstance(other, Partition):
        return one.port == other.port
    return one.f == other.f or (one.undo == other.undo != "heal")


def _is_cut(fault: Fault) -> bool:
    """Whether the links of the fault carry nothing."""
    return isinstance(fault, Partition) and fault.port is None


def shape_of(fault: Fault, group: Group) -> str:
    """The name of faults that are alike, aimed at that group."""
    return fault.kind if group == "nodes" else f"{SERVER}{fault.kind}"


def classed(plan: Plan, view: View) -> Plan:
    """The plan with its fault class on the cluster as observed now: the class of a cut depends on the leader."""
    return replace(plan, fault_class=_class_of(plan.fault, plan.links, view))


def _class_of(fault: Fault, links: Cut, view: View) -> FaultClass:
    fault_class = fault.class_of(links, view)
    return fault_class if view.group == "nodes" else of_servers(fault_class)


def combined_class(plans: Iterable[Plan], view: View) -> FaultClass | None:
    """The fault class of all cuts of the view's group taken as one cut; None if there are fewer than two.

    Two cuts can be of another class together: each deafens one node, both together a majority.
    """
    cuts = [plan for plan in plans if _is_cut(plan.fault) and _group(plan) == view.group]
    if len(cuts) < 2:
        return None
    return _class_of(cuts[0].fault, frozenset().union(*(plan.links for plan in cuts)), view)


def _group(plan: Plan) -> Group:
    return "servers" if plan.fault_class.startswith(SERVER) else "nodes"


def windows(plan: Plan, for_ms: int) -> tuple[tuple[int, int], ...]:
    """When within its window of ``for_ms`` it is in force: [from, to) in ms since the window began, in order."""
    turn = plan.fault.turn_ms or for_ms
    return tuple((start, min(start + turn, for_ms)) for start in range(0, for_ms, 2 * turn))
