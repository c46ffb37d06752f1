"""Whom a fault strikes: roles, resolved to names only at the moment it strikes.

A schedule made beforehand cannot know who will lead, so it speaks of roles. A ``View`` is what was observed
of the cluster just before a fault; the functions here turn a role into names, from the view and the dice
alone. Where a role cannot be filled, mostly because nobody leads, the answer is the value ``NoTarget``: the fault
is then recorded as not carried out, which must never count as something the system survived.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

from splitbrain.nemesis.partitions import majority as majority_size
from splitbrain.nemesis.partitions import others, shuffled

Role = Literal["follower", "node", "minority", "subject", "leader", "majority", "all"]
ROLES: tuple[Role, ...] = get_args(Role)
"""The mildest first. ``subject`` is the node that a triggered fault's event was about."""

Group = Literal["nodes", "servers"]
GROUPS: tuple[Group, ...] = get_args(Group)
"""Which machines of a system roles and shapes are about: those that stand for election, or those that serve them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What was observed of the cluster: its nodes, in a fixed order, and who of them led, in which term.

    ``leader`` is None when nobody led, or when it could not be told who; ``term`` is None also where the
    system has none. ``subject`` is the node about which something has just happened that a fault waited for.
    In a system with servers, ``group`` says which machines ``nodes`` are, and ``others`` are those of the other group.
    Names that repeat, and a leader or subject who is no node, are a ValueError.
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
    """The fault could not be aimed: whom it needs is not there. ``words`` says what was wanted."""

    words: str


def resolve(role: Role, view: View, rng: Random) -> tuple[str, ...] | NoTarget:
    """The names that fill a role, in the view's order; which of several is drawn from ``rng``.

    ``majority`` is a smallest majority and ``minority`` a largest minority (it may be empty: of two nodes).
    """
    n = len(view.nodes)
    match role:
        case "leader":
            return NoTarget("the leader was to be struck") if view.leader is None else (view.leader,)
        case "follower":
            return _draw(view, _followers(view), 1, rng) if view.leader else NoTarget("a follower was to be struck")
        case "node":
            return _draw(view, list(view.nodes), 1, rng)
        case "majority":
            return _draw(view, list(view.nodes), majority_size(n), rng)
        case "minority":
            return _draw(view, list(view.nodes), n - majority_size(n), rng)
        case "all":
            return view.nodes
        case "subject":
            return NoTarget("the node of an event was to be struck") if view.subject is None else (view.subject,)


def follower_or_any(view: View, rng: Random) -> str:
    """A node that does not lead, drawn at random; any node when nobody leads."""
    return rng.choice(_followers(view))


def leader_or_any(view: View, rng: Random) -> str:
    """The leader, or when nobody leads any node, drawn at random."""
    return view.leader if view.leader is not None else rng.choice(view.nodes)


def leader_first(view: View, rng: Random) -> list[str]:
    """All nodes in random order, but the leader, if there is one, at the head."""
    first = leader_or_any(view, rng)
    return [first, *shuffled(others(view.nodes, first), rng)]


def _followers(view: View) -> list[str]:
    return others(view.nodes) if view.leader is None else others(view.nodes, view.leader)


def _draw(view: View, pool: list[str], size: int, rng: Random) -> tuple[str, ...]:
    chosen = set(rng.sample(pool, size))
    return tuple(node for node in view.nodes if node in chosen)
