"""Named partitions, and how each is aimed at a cluster as observed.

A shape is drawn from a ``View`` and a random generator at the moment of injection, since most are aimed at the
current leader. A cut is of the first fault class (``splitbrain.names``) that fits:

- ``leader-isolated``: the leader alone, all other nodes connected;
- ``partition``: any other cut into groups;
- ``leader-deaf``, ``leader-mute``, ``follower-deaf``: one node receives nothing, or nothing that it sends arrives;
- ``partial-partition``: any other cut, in which some third node sees both ends of a cut link.

A shape states the class that it is meant for, which it has on five nodes and more. On fewer, shapes
coincide (the largest minority of three nodes with the leader in it is the leader alone), so ``class_of``
derives the class from the cut itself: a verdict is held against the fault that was really injected.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from splitbrain.names import FaultClass
from splitbrain.nemesis import partitions
from splitbrain.nemesis.partitions import Cut, ImpossibleShape, Link
from splitbrain.nemesis.targets import (
    Explicit,
    Groups,
    Links,
    Named,
    NoTarget,
    OfRole,
    View,
    follower_or_any,
    leader_first,
    leader_or_any,
    pick_follower,
    resolve,
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A shape aimed at a cluster: the nodes that it is about, the links that it cuts, and words for a reader."""

    nodes: tuple[str, ...]
    cut: Cut
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A partition with a name; ``aim`` draws one, or says what is missing for it.

    ``min_nodes`` is the least number of nodes for which the shape exists and is not simply another one.
    """

    name: str
    help: str
    fault_class: FaultClass
    min_nodes: int
    needs_leader: bool
    aim: Callable[[View, Random], Drawn | NoTarget]

    def draw(self, view: View, rng: Random) -> Drawn | NoTarget:
        """Draw the shape on this cluster; with too few nodes raise ``ImpossibleShape``."""
        if len(view.nodes) < self.min_nodes:
            raise ImpossibleShape(f"{self.name} needs at least {self.min_nodes} nodes, not {len(view.nodes)}")
        if self.needs_leader and view.leader is None:
            return NoTarget("no leader")
        return self.aim(view, rng)


def class_of(nodes: tuple[str, ...], cut: Cut, leader: str | None) -> FaultClass:
    """The fault class of a cut, given the leader when it was made."""
    if partitions.is_split(nodes, cut):
        alone = leader is not None and partitions.sees(nodes, cut, leader) == {leader}
        return "leader-isolated" if alone and len(partitions.components(nodes, cut)) == 2 else "partition"
    if leader is None:
        return "partial-partition"
    if cut == partitions.deaf(nodes, leader):
        return "leader-deaf"
    if cut == partitions.mute(nodes, leader):
        return "leader-mute"
    if any(cut == partitions.deaf(nodes, node) for node in partitions.others(nodes, leader)):
        return "follower-deaf"
    return "partial-partition"


def draw_explicit(aim: Explicit, view: View, rng: Random) -> Drawn | NoTarget:
    """The partition that is given by a role, by names, by groups, or by its links."""
    match aim:
        case OfRole(role):
            nodes = resolve(role, view, rng)
            return nodes if isinstance(nodes, NoTarget) else _apart(nodes, view)
        case Named(nodes):
            return _apart(nodes, view)
        case Groups(groups):
            cut = partitions.split(groups)
            among = tuple(machine for group in groups for machine in group)
            return Drawn(min(groups[::-1], key=len), cut, f"{_led(view)}{partitions.describe(among, cut)}")
        case Links(links):
            return Drawn(ends_of(links), frozenset(links), partitions.describe(ends_of(links), frozenset(links)))


def ends_of(links: Iterable[Link]) -> tuple[str, ...]:
    """The ends of links, each once."""
    return tuple(dict.fromkeys(end for link in links for end in link))


def _apart(nodes: tuple[str, ...], view: View) -> Drawn | NoTarget:
    """These nodes against all others."""
    rest = partitions.others(view.nodes, *nodes)
    if not nodes or not rest:
        return NoTarget("no node on the other side")
    words = f"{' '.join(nodes)} {'is' if len(nodes) == 1 else 'are'} cut off"
    return _about(view, nodes, partitions.split([nodes, rest]), words)


def with_servers(cut: Cut, about: Collection[str], view: View, rng: Random) -> Cut:
    """Extend a cut among the nodes to the servers, the view's others: they stand where one node stands.

    That is a node with the most links left, and if possible none that the cut is ``about``: so an isolated node reaches
    no server, nor does a minority.
    """
    if not view.others:
        return cut
    most = max(_links_left(node, view.nodes, cut) for node in view.nodes)
    best = [node for node in view.nodes if _links_left(node, view.nodes, cut) == most]
    home = rng.choice([node for node in best if node not in about] or best)
    links = set(cut)
    for sender, receiver in cut:
        if home == receiver:
            links.update((sender, server) for server in view.others)
        if home == sender:
            links.update((server, receiver) for server in view.others)
    return frozenset(links)


def _links_left(node: str, nodes: tuple[str, ...], cut: Cut) -> int:
    return sum(node in link and link not in cut for link in partitions.all_links(nodes))


def _sides(view: View, cut: Cut) -> Drawn:
    """A clean partition in two is about its smaller side, or of two equal ones the one named first."""
    smaller = min(partitions.components(view.nodes, cut), key=len)
    return Drawn(smaller, cut, f"{_led(view)}{partitions.describe(view.nodes, cut)}")


def _about(view: View, nodes: tuple[str, ...], cut: Cut, words: str) -> Drawn:
    return Drawn(nodes, cut, f"{words}: {partitions.describe(view.nodes, cut)}")


def _led(view: View) -> str:
    return f"leader {view.leader}: " if view.leader is not None else ""


def _leader(view: View) -> str:
    assert view.leader is not None, "draw has seen to it that a shape that needs a leader has one"
    return view.leader


def _halves(view: View, rng: Random) -> Drawn:
    return _sides(view, partitions.halves(view.nodes))


def _random_halves(view: View, rng: Random) -> Drawn:
    return _sides(view, partitions.random_halves(view.nodes, rng))


def _isolated_node(view: View, rng: Random) -> Drawn | NoTarget:
    node = view.subject or pick_follower(view, rng)
    if isinstance(node, NoTarget):
        return node
    return _about(view, (node,), partitions.isolate(view.nodes, node), f"{node} is alone")


def _isolated_leader(view: View, rng: Random) -> Drawn:
    leader = _leader(view)
    return _about(view, (leader,), partitions.isolate(view.nodes, leader), f"the leader {leader} is alone")


def _minority_leader(view: View, rng: Random) -> Drawn:
    leader = _leader(view)
    cut = partitions.minority_with(view.nodes, leader, rng)
    side = next(group for group in partitions.components(view.nodes, cut) if leader in group)
    return _about(view, side, cut, f"the leader {leader} is on the minority side")


def _majorities_ring(view: View, rng: Random) -> Drawn:
    cut = partitions.majorities_ring(view.nodes, rng)
    return _about(view, view.nodes, cut, "every node sees a different majority")


def _bridge(view: View, rng: Random) -> Drawn:
    # Any node may be the hub: how an election by highest id fares on a bridge depends on the hub.
    hub = rng.choice(view.nodes)
    return _about(view, (hub,), partitions.bridge(view.nodes, hub, rng), f"two halves meet only in {hub}")


def _churn(view: View, rng: Random) -> Drawn:
    leader = leader_or_any(view, rng)
    cut = partitions.churn(view.nodes, leader, rng)
    outsiders = tuple(node for node in view.nodes if len(partitions.sees(view.nodes, cut, node)) == 2)
    return _about(view, outsiders, cut, f"{' and '.join(outsiders)} see one node each of a connected majority")


def _quorum_loss(view: View, rng: Random) -> Drawn:
    leader, hub = _leader(view), follower_or_any(view, rng)
    cut = partitions.quorum_loss(view.nodes, leader, hub)
    return _about(view, (leader, hub), cut, f"all nodes, the leader {leader} too, see only {hub}")


def _constrained_election(view: View, rng: Random) -> Drawn:
    leader, hub = _leader(view), follower_or_any(view, rng)
    cut = partitions.constrained_election(view.nodes, leader, hub)
    return _about(view, (leader, hub), cut, f"the leader {leader} is alone and the rest see only {hub}")


def _chained(view: View, rng: Random) -> Drawn:
    line = leader_first(view, rng)
    return _about(view, view.nodes, partitions.chained(line), f"a line {' - '.join(line)}")


def _leader_deaf(view: View, rng: Random) -> Drawn:
    leader = _leader(view)
    return Drawn((leader,), partitions.deaf(view.nodes, leader), f"the leader {leader} hears no node")


def _leader_mute(view: View, rng: Random) -> Drawn:
    leader = _leader(view)
    return Drawn((leader,), partitions.mute(view.nodes, leader), f"no node hears the leader {leader}")


def _follower_deaf(view: View, rng: Random) -> Drawn | NoTarget:
    node = pick_follower(view, rng)
    if isinstance(node, NoTarget):
        return node
    return Drawn((node,), partitions.deaf(view.nodes, node), f"the follower {node} hears no node")


def _single_link(view: View, rng: Random) -> Drawn:
    a, b = leader_first(view, rng)[:2]
    return Drawn((a, b), partitions.one_link(a, b), f"{_led(view)}{a} and {b} do not see each other")


def _one_way_link(view: View, rng: Random) -> Drawn:
    ends = leader_first(view, rng)[:2]
    rng.shuffle(ends)
    sender, receiver = ends
    words = f"{_led(view)}{receiver} does not hear {sender}"
    return Drawn((sender, receiver), partitions.one_way_link(sender, receiver), words)


def _shape(
    name: str,
    fault_class: FaultClass,
    min_nodes: int,
    aim: Callable[[View, Random], Drawn | NoTarget],
    help: str,
    needs_leader: bool = False,
) -> Shape:
    return Shape(name=name, help=help, fault_class=fault_class, min_nodes=min_nodes, needs_leader=needs_leader, aim=aim)


_ALL = (
    _shape("isolated-node", "partition", 2, _isolated_node, "one follower, or the node of the event, sees no other"),
    _shape("halves", "partition", 2, _halves, "the first half of the nodes against the rest"),
    _shape("random-halves", "partition", 2, _random_halves, "two halves drawn at random"),
    _shape("isolated-leader", "leader-isolated", 2, _isolated_leader, "the leader sees no other node", True),
    _shape(
        "flapping",
        "leader-isolated",
        2,
        _isolated_leader,
        "the leader sees no other node, on and off, many times",
        True,
    ),
    _shape("minority-leader", "partition", 3, _minority_leader, "the leader in a minority, against a majority", True),
    _shape("leader-deaf", "leader-deaf", 2, _leader_deaf, "the leader is heard by all and hears none", True),
    _shape("leader-mute", "leader-mute", 2, _leader_mute, "the leader hears all and is heard by none", True),
    _shape("follower-deaf", "follower-deaf", 2, _follower_deaf, "a follower is heard by all and hears none", True),
    _shape("single-link", "partial-partition", 3, _single_link, "the leader and one follower do not see each other"),
    _shape(
        "one-way-link",
        "partial-partition",
        3,
        _one_way_link,
        "one direction between the leader and one follower is lost",
    ),
    _shape("bridge", "partial-partition", 3, _bridge, "two halves that meet only in one node"),
    _shape("chained", "partial-partition", 3, _chained, "the nodes in a line, the leader at one end"),
    _shape("majorities-ring", "partial-partition", 3, _majorities_ring, "every node sees a majority, no two the same"),
    _shape(
        "quorum-loss",
        "partial-partition",
        4,
        _quorum_loss,
        "all see only one node, which still hears the old leader",
        True,
    ),
    _shape(
        "constrained-election",
        "partial-partition",
        4,
        _constrained_election,
        "the leader sees no other node, and only one other node can win",
        True,
    ),
    _shape(
        "churn",
        "partial-partition",
        5,
        _churn,
        "some node outside the majority does not hear the leader, whichever node leads",
    ),
)

SHAPES: Mapping[str, Shape] = MappingProxyType({shape.name: shape for shape in _ALL})
"""Every shape by its name, the mildest and most often possible first."""
