"""Targets of faults: roles, resolved to names of nodes at the moment of injection, and names of nodes and links.

A schedule made in advance cannot know which node will lead, so it names roles. A ``View`` is the cluster as observed
just before a fault; the functions here resolve a role from the view and a random generator alone. When no node fills
the role, mostly because there is no leader, the result is ``NoTarget``: the fault is recorded as skipped, and never
counts as a fault that the system survived.

A role that several nodes fill is drawn from those that are not faulty in the same way already (``View.avoid``). A role
that leaves no choice (``leader``, ``subject``, ``all``) and names are taken as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Literal, get_args

from splitbrain.nemesis.partitions import NOTHING, Cut, Link, quorum_connected, sees, shuffled
from splitbrain.nemesis.partitions import majority as majority_size
from splitbrain.nemesis.partitions import others as others_than

Role = Literal[
    "follower",
    "node",
    "minority",
    "subject",
    "leader",
    "majority",
    "all",
    "leader-side",
    "outside-majority",
    "candidate",
    "last-to-lead",
    "next-to-fall",
]
ROLES: tuple[Role, ...] = get_args(Role)
"""``subject`` is the node of the event that a fault waited for. See ``resolve`` for the others."""

NEEDS_NODES: Mapping[Role, int] = MappingProxyType({"follower": 2, "leader-side": 2, "minority": 3})
"""The least number of nodes of which one can fill the role, where one does not suffice."""

Group = Literal["nodes", "servers"]
GROUPS: tuple[Group, ...] = get_args(Group)
"""Which machines of a system roles and shapes are about: its candidates, or the servers that they rely on."""


@dataclass(frozen=True, slots=True)
class OfRole:
    """The nodes that fill a role; for a fault that usually has a shape."""

    role: Role


@dataclass(frozen=True, slots=True)
class Named:
    """Nodes by their names."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of machines by their names; a machine in none of them belongs to no side."""

    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Links:
    """Directed links by the names of their ends: [from, to]."""

    links: tuple[Link, ...]


Explicit = OfRole | Named | Groups | Links
"""Ways to aim a fault other than by the usual name of a role or shape."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The cluster as observed: its nodes in a fixed order, the leader and its term.

    ``leader`` is None when no node led or the leader was ambiguous; ``term`` is None also where the system has none.
    ``subject`` is the node of the event that a fault waited for, ``candidate`` one that asks for votes, and
    ``last_to_lead`` the one that led last before the present leader. In a system with servers, ``group`` says which
    machines ``nodes`` are, and ``others`` are those of the other group.

    Of the faults in force, ``cut`` holds the links that carry nothing, and ``silent`` the machines that are down or
    stopped. ``fallen`` are the nodes that faults were aimed at so far, the latest last. Nodes to ``avoid`` are not
    drawn. Repeated names, and a leader or subject that is not a node, raise ``ValueError``.
    """

    nodes: tuple[str, ...]
    leader: str | None
    term: int | None = None
    subject: str | None = None
    candidate: str | None = None
    last_to_lead: str | None = None
    others: tuple[str, ...] = ()
    group: Group = "nodes"
    cut: Cut = NOTHING
    silent: frozenset[str] = frozenset()
    fallen: tuple[str, ...] = ()
    avoid: frozenset[str] = frozenset()

    @property
    def machines(self) -> tuple[str, ...]:
        return self.nodes + self.others

    def __post_init__(self) -> None:
        if len(set(self.machines)) != len(self.machines):
            raise ValueError(f"a node is named twice: {' '.join(self.machines)}")
        if self.leader is not None and self.leader not in self.nodes:
            raise ValueError(f"the leader {self.leader!r} is not one of the nodes {' '.join(self.nodes)}")
        if self.subject is not None and self.subject not in self.nodes:
            raise ValueError(f"the subject {self.subject!r} is not one of the nodes {' '.join(self.nodes)}")


@dataclass(frozen=True, slots=True)
class NoTarget:
    """The fault could not be aimed; ``words`` name what is missing, such as ``no leader``."""

    words: str


def resolve(role: Role, view: View, rng: Random) -> tuple[str, ...] | NoTarget:
    """Resolve a role to the nodes that fill it, in the view's order; among several, draw from ``rng``.

    ``majority`` is a smallest majority and ``minority`` a largest minority (it may be empty: of two nodes), or as many
    as need not be avoided. ``leader-side`` is a node that exchanges messages with the leader, directly or over others,
    ``outside-majority`` one that sees no majority while another does. ``next-to-fall`` is the node that a fault was
    aimed at the longest ago, first those that never were: nodes take turns.
    """
    n = len(view.nodes)
    match role:
        case "leader":
            return NoTarget("no leader") if view.leader is None else (view.leader,)
        case "follower":
            return _draw(view, _followers(view), 1, rng, role) if view.leader else NoTarget("no leader")
        case "node":
            return _draw(view, view.nodes, 1, rng, role)
        case "majority":
            return _draw(view, view.nodes, majority_size(n), rng, role)
        case "minority":
            return _draw(view, view.nodes, n - majority_size(n), rng, role)
        case "all":
            return view.nodes
        case "subject":
            return _one(view.subject, "no event")
        case "leader-side":
            return _draw_of(leader_side(view), view, rng, role, "no other node on the side of a leader")
        case "outside-majority":
            return _draw_of(outside_majority(view), view, rng, role, "no node outside a majority")
        case "candidate":
            return _one(view.candidate, "no candidate")
        case "last-to-lead":
            return _one(view.last_to_lead, "no earlier leader")
        case "next-to-fall":
            return _next_to_fall(view)


def pick_follower(view: View, rng: Random) -> str | NoTarget:
    """A node that does not lead and is not to be avoided, drawn at random; any such node when there is no leader."""
    pool = [node for node in _followers(view) if node not in view.avoid]
    return rng.choice(pool) if pool else _none_left("follower")


def follower_or_any(view: View, rng: Random) -> str:
    """A node that does not lead, drawn at random; any node when there is no leader."""
    return rng.choice(_followers(view))


def leader_or_any(view: View, rng: Random) -> str:
    """The leader, or any node drawn at random when there is no leader."""
    return view.leader if view.leader is not None else rng.choice(view.nodes)


def leader_first(view: View, rng: Random) -> list[str]:
    """All nodes in random order, the leader first if there is one."""
    first = leader_or_any(view, rng)
    return [first, *shuffled(others_than(view.nodes, first), rng)]


def leader_side(view: View) -> list[str]:
    """The nodes that still exchange messages with the leader, over several hops if need be."""
    if view.leader is None:
        return []
    found, frontier = {view.leader}, [view.leader]
    while frontier:
        fresh = _sees(view, frontier.pop()) - found
        found |= fresh
        frontier.extend(sorted(fresh))
    return [node for node in view.nodes if node in found and node != view.leader]


def outside_majority(view: View) -> list[str]:
    """The running nodes that do not see a majority, where another does; else none."""
    size = majority_size(len(view.nodes))
    running = [node for node in view.nodes if node not in view.silent]
    outside = [node for node in running if len(_sees(view, node)) < size]
    return outside if len(outside) < len(running) else []


def cut_off(nodes: Collection[str], view: View) -> frozenset[str]:
    """Those of ``nodes`` that no longer see a majority, by the cuts in force."""
    return frozenset(nodes) - frozenset(quorum_connected(view.nodes, view.cut))


def _sees(view: View, node: str) -> frozenset[str]:
    """The running nodes that a running node exchanges messages with, itself included."""
    return frozenset() if node in view.silent else sees(view.nodes, view.cut, node) - view.silent


def _followers(view: View) -> list[str]:
    return others_than(view.nodes) if view.leader is None else others_than(view.nodes, view.leader)


def _one(node: str | None, missing: str) -> tuple[str, ...] | NoTarget:
    return NoTarget(missing) if node is None else (node,)


def _next_to_fall(view: View) -> tuple[str, ...] | NoTarget:
    left = [node for node in view.nodes if node not in view.avoid]
    turn = {node: at for at, node in enumerate(view.fallen)}
    return (min(left, key=lambda node: turn.get(node, -1)),) if left else _none_left("next-to-fall")


def _draw(view: View, nodes: Iterable[str], size: int, rng: Random, role: Role) -> tuple[str, ...] | NoTarget:
    pool = [node for node in nodes if node not in view.avoid]
    if size and not pool:
        return _none_left(role)
    chosen = set(rng.sample(pool, min(size, len(pool))))
    return tuple(node for node in view.nodes if node in chosen)


def _draw_of(nodes: list[str], view: View, rng: Random, role: Role, missing: str) -> tuple[str, ...] | NoTarget:
    return _draw(view, nodes, 1, rng, role) if nodes else NoTarget(missing)


def _none_left(role: Role) -> NoTarget:
    return NoTarget(f"no {role} that is not faulty in the same way already")
