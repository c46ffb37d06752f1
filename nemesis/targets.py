"""Roles that faults are aimed at, resolved to the names of nodes when a fault is injected.

A schedule made in advance cannot know which node will lead, so it names roles. A ``View`` is the cluster as observed
just before a fault; the functions here resolve a role from the view and a random generator alone. When no node fills
the role, mostly because there is no leader, the result is ``NoTarget``: the fault is recorded as skipped, and never
counts as a fault that the system survived.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

from splitbrain.nemesis.partitions import majority as majority_size
from splitbrain.nemesis.partitions import others, shuffled

Role = Literal["follower", "node", "minority", "subject", "leader", "majority", "all"]
ROLES: tuple[Role, ...] = get_args(Role)
"""The mildest first. ``subject`` is the node of the event that a fault waited for."""

Group = Literal["nodes", "servers"]
GROUPS: tuple[Group, ...] = get_args(Group)
"""Which machines of a system roles and shapes are about: its candidates, or the servers that they rely on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The cluster as observed: its nodes in a fixed order, the leader and its term.

    ``leader`` is None when no node led or the leader was ambiguous; ``term`` is None also where the system has none.
    ``subject`` is the node of the event that a fault waited for. In a system with servers, ``group`` says which
    machines ``nodes`` are, and ``others`` are those of the other group. Repeated names, and a leader or subject that
    is not a node, raise ``ValueError``.
    """

    nodes: tuple[str, ...]
    leader: str | None
    term: int | None = None
    subject: str | None = None
    others: tuple[str, ...] = ()
    group: Group = "nodes"

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

    ``majority`` is a smallest majority and ``minority`` a largest minority (it may be empty: of two nodes).
    """
    n = len(view.nodes)
    match role:
        case "leader":
            return NoTarget("no leader") if view.leader is None else (view.leader,)
        case "follower":
            return _draw(view, _followers(view), 1, rng) if view.leader else NoTarget("no leader")
        case "node":
            return _draw(view, list(view.nodes), 1, rng)
        case "majority":
            return _draw(view, list(view.nodes), majority_size(n), rng)
        case "minority":
            return _draw(view, list(view.nodes), n - majority_size(n), rng)
        case "all":
            return view.nodes
        case "subject":
            return NoTarget("no event") if view.subject is None else (view.subject,)


def follower_or_any(view: View, rng: Random) -> str:
    """A node that does not lead, drawn at random; any node when there is no leader."""
    return rng.choice(_followers(view))


def leader_or_any(view: View, rng: Random) -> str:
    """The leader, or any node drawn at random when there is no leader."""
    return view.leader if view.leader is not None else rng.choice(view.nodes)


def leader_first(view: View, rng: Random) -> list[str]:
    """All nodes in random order, the leader first if there is one."""
    first = leader_or_any(view, rng)
    return [first, *shuffled(others(view.nodes, first), rng)]


def _followers(view: View) -> list[str]:
    return others(view.nodes) if view.leader is None else others(view.nodes, view.leader)


def _draw(view: View, pool: list[str], size: int, rng: Random) -> tuple[str, ...]:
    chosen = set(rng.sample(pool, size))
    return tuple(node for node in view.nodes if node in chosen)
