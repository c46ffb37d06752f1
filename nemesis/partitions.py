"""Partitions as values: sets of directed links that carry nothing.

A ``Link`` is (from, to); a ``Cut`` is the set of links on which every packet is dropped. A cut does not say how or
when it is made; a runtime does that. Everything here is a pure function of its arguments (and of the
``random.Random`` it is given), so equal generators give equal cuts in every process.

Each shape guarantees a property of the graph that it leaves, stated in its docstring and checked by brute force in
the tests. "Sees" always means two-way: a node sees another when packets pass in both directions, and every node
sees itself. A majority of n nodes is any set of at least n // 2 + 1.

Sources: Jepsen's grudges (halves, bridge, majorities ring); H. Howard and I. Abraham, "Raft does not
Guarantee Liveness in the face of Network Faults", 2020 (churn); H. Ng, S. Haridi and P. Carbone,
"Omni-Paxos: Breaking the Barriers of Partial Connectivity", EuroSys 2023 (quorum loss, constrained
election, chained).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise, permutations
from random import Random
from typing import Literal, get_args

Link = tuple[str, str]
Cut = frozenset[Link]

NOTHING: Cut = frozenset()

How = Literal["drop", "reject", "payload"]
"""What becomes of packets on a cut link: see ``faults.Partition``. The hardest first."""
HOWS: tuple[How, ...] = get_args(How)
Way = Literal["both", "in", "out"]
WAYS: tuple[Way, ...] = get_args(Way)


class ImpossibleShape(ValueError):
    """No cut of this shape exists for the nodes given; the message says why."""


def majority(n: int) -> int:
    """The size of the smallest majority of ``n`` nodes."""
    return n // 2 + 1


# Properties of a cut.


def sees(nodes: Sequence[str], cut: Cut, node: str) -> frozenset[str]:
    """The nodes that ``node`` can both hear and reach, itself included."""
    return frozenset(
        other for other in nodes if other == node or ((node, other) not in cut and (other, node) not in cut)
    )


def quorum_connected(nodes: Sequence[str], cut: Cut) -> tuple[str, ...]:
    """The nodes that see a majority, in the order given (they need not see one another)."""
    return tuple(node for node in nodes if len(sees(nodes, cut, node)) >= majority(len(nodes)))


def two_way_majority(nodes: Sequence[str], cut: Cut) -> tuple[str, ...] | None:
    """A smallest majority whose members all see one another, the first in the order given, or None.

    Most election algorithms guarantee availability only while such a set exists. Its members are found among the
    quorum-connected nodes; at most C(15, 8) = 6435 sets are tried for 15 nodes.
    """
    view = {node: sees(nodes, cut, node) for node in nodes}
    for members in combinations(quorum_connected(nodes, cut), majority(len(nodes))):
        if all(view[node].issuperset(members) for node in members):
            return members
    return None


def components(nodes: Sequence[str], cut: Cut) -> tuple[tuple[str, ...], ...]:
    """The groups that can still talk two-way, over several hops if need be; each in the order given."""
    found: list[tuple[str, ...]] = []
    left = list(nodes)
    while left:
        group, frontier = {left[0]}, [left[0]]
        while frontier:
            fresh = sees(nodes, cut, frontier.pop()) - group
            group |= fresh
            frontier.extend(fresh)
        found.append(tuple(node for node in nodes if node in group))
        left = [node for node in left if node not in group]
    return tuple(found)


def is_split(nodes: Sequence[str], cut: Cut) -> bool:
    """Return whether the cut is a clean partition: two groups or more, no link between them, all links within."""
    groups = components(nodes, cut)
    return len(groups) > 1 and cut == split(groups)


def describe(nodes: Sequence[str], cut: Cut) -> str:
    """The cut in a few words: ``n1 n2 | n3``, or the links that drop (``-`` both ways, ``->`` one way)."""
    if not cut:
        return "no link is cut"
    if is_split(nodes, cut):
        return " | ".join(" ".join(group) for group in components(nodes, cut))
    both = [f"{a}-{b}" for a, b in combinations(nodes, 2) if {(a, b), (b, a)} <= cut]
    one_way = [f"{a}->{b}" for a, b in permutations(nodes, 2) if (a, b) in cut and (b, a) not in cut]
    return "cut " + ", ".join(both + one_way)


def matrix(nodes: Sequence[str], cut: Cut) -> str:
    """The cut as a table: a row for each sender, a column for each receiver, ``x`` where packets drop."""
    width = max(map(len, nodes), default=0)
    mark = {True: "x", False: "."}
    header = " ".join([" " * width, *(node.rjust(width) for node in nodes)])
    rows = (
        " ".join([a.rjust(width), *(("-" if a == b else mark[(a, b) in cut]).rjust(width) for b in nodes)])
        for a in nodes
    )
    return "\n".join([header, *rows])


# Building blocks.


def both_ways(pairs: Iterable[Link]) -> Cut:
    """The links of every pair, in both directions."""
    return frozenset(link for a, b in pairs for link in ((a, b), (b, a)))


def all_links(nodes: Sequence[str]) -> Cut:
    """Every link between two different nodes: the cut after which no node hears another."""
    return frozenset(permutations(nodes, 2))


def links_of(nodes: Iterable[str], among: Sequence[str], way: Way = "both") -> Cut:
    """Every link from or to one of the nodes among those, or only those ``in`` to one or ``out`` of one."""
    chosen = frozenset(nodes)
    match way:
        case "both":
            return frozenset(link for link in all_links(among) if not chosen.isdisjoint(link))
        case "in":
            return frozenset(link for link in all_links(among) if link[1] in chosen)
        case "out":
            return frozenset(link for link in all_links(among) if link[0] in chosen)


def only(nodes: Sequence[str], pairs: Iterable[Link]) -> Cut:
    """The cut that leaves just these pairs connected (two-way)."""
    return all_links(nodes) - both_ways(pairs)


def shuffled(nodes: Iterable[str], rng: Random) -> list[str]:
    """A new list in random order."""
    order = list(nodes)
    rng.shuffle(order)
    return order


def others(nodes: Sequence[str], *without: str) -> list[str]:
    """All nodes but those named, in the order given. A name that is no node at all is a ValueError."""
    for name in without:
        if name not in nodes:
            raise ValueError(f"{name!r} is not one of the nodes {' '.join(nodes)}")
    return [node for node in nodes if node not in without]


def bisect(nodes: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first half and the rest; the first is the smaller when the number is odd."""
    middle = len(nodes) // 2
    return list(nodes[:middle]), list(nodes[middle:])


def _at_least(n: int, nodes: Sequence[str], shape: str, reason: str) -> None:
    if len(nodes) < n:
        raise ImpossibleShape(f"{shape} needs at least {n} nodes, not {len(nodes)}: {reason}")


# Clean partitions.


def split(groups: Sequence[Sequence[str]]) -> Cut:
    """Nothing passes from one group to another; within a group everything does."""
    return both_ways((a, b) for one, two in combinations(groups, 2) for a in one for b in two)


def halves(nodes: Sequence[str]) -> Cut:
    """The first half against the rest. With an even number neither side is a majority."""
    _at_least(2, nodes, "halves", "either side needs a node")
    return split(bisect(nodes))


def random_halves(nodes: Sequence[str], rng: Random) -> Cut:
    """Two halves drawn at random."""
    return halves(shuffled(nodes, rng))


def isolate(nodes: Sequence[str], node: str) -> Cut:
    """One node alone, all others together."""
    _at_least(2, nodes, "isolate", "a single node has no peer to be cut from")
    return split([[node], others(nodes, node)])


def minority_with(nodes: Sequence[str], leader: str, rng: Random) -> Cut:
    """The largest minority, the leader in it, against a majority; its other members drawn at random."""
    _at_least(3, nodes, "a minority", "of two nodes, one is neither a majority nor opposed by one")
    peers = shuffled(others(nodes, leader), rng)
    size = len(nodes) - majority(len(nodes))
    return split([[leader, *peers[: size - 1]], peers[size - 1 :]])


# Partial partitions: some pairs cannot talk though a third node sees both.


def majorities_ring(nodes: Sequence[str], rng: Random) -> Cut:
    """Every node sees a majority, and no two nodes see the same set. Possible for every n >= 3.

    The nodes stand on a circle in random order and each sees its nearest ones, n // 2 others in all, which
    with itself is a bare majority. When n // 2 is odd the last of them is the one opposite. When besides n
    is odd (3, 7, 11, 15 nodes) no graph gives every node exactly an odd number of neighbours, so just one
    node sees one more than a bare majority; on three nodes the ring is therefore a line, whose middle sees
    every node.

    Two nodes make it impossible: the only majority is both of them, and both would see it.
    """
    n = len(nodes)
    _at_least(3, nodes, "a majorities ring", "two nodes have only one majority, and both would see it")
    circle = shuffled(nodes, rng)
    half = n // 2
    near = [(i, (i + step) % n) for i in range(n) for step in range(1, half // 2 + 1)]
    opposite = [(i, i + half) for i in range(half)] if half % 2 else []
    odd_one_out = [(n - 1, half - 1)] if half % 2 and n % 2 else []
    return only(nodes, ((circle[i], circle[j]) for i, j in near + opposite + odd_one_out))


def bridge(nodes: Sequence[str], hub: str, rng: Random) -> Cut:
    """Two halves of the others, drawn at random, that meet only in ``hub``, which sees every node."""
    _at_least(3, nodes, "a bridge", "the hub needs a node on either side")
    return random_halves(others(nodes, hub), rng)


def churn(nodes: Sequence[str], leader: str, rng: Random) -> Cut:
    """A majority that all see one another, and outsiders that each see one member of it, no two the same.

    Any leader in the majority has an outsider that does not hear it, times out and disturbs it (Howard and
    Abraham 2020, first example: of five nodes 1, 2, 3 are connected, 4 sees only 2, and 5 only the leader,
    3). The core is a smallest majority with the leader in it, and one outsider sees the leader, as there.
    With fewer than two outsiders some leader is heard by all nodes and nothing churns, so five nodes are
    the least.
    """
    _at_least(5, nodes, "churn", "with a single outsider, the node it sees can lead without being disturbed")
    peers = shuffled(others(nodes, leader), rng)
    size = majority(len(nodes))
    core, outsiders = [leader, *peers[: size - 1]], peers[size - 1 :]
    ties = zip(outsiders, core, strict=False)  # there are always fewer outsiders than members of the core
    return only(nodes, [*combinations(core, 2), *ties])


def quorum_loss(nodes: Sequence[str], leader: str, hub: str) -> Cut:
    """A star: every node sees only ``hub``, and the old leader, now a leaf, has lost its majority.

    Only the hub could win an election, but it still hears the old leader and so does not start one
    (Omni-Paxos). Four nodes are the least: of three, the leader and the hub are still a
    majority.
    """
    _at_least(4, nodes, "quorum loss", "the leader and the hub are still a majority of three")
    _not_the_leader(leader, hub)
    return only(nodes, ((hub, node) for node in others(nodes, hub)))


def constrained_election(nodes: Sequence[str], leader: str, hub: str) -> Cut:
    """The old leader sees no node; each of the rest sees only ``hub``, the one node that can win.

    In the paper (Omni-Paxos) the hub's log is also behind that of its voters. A cut alone cannot
    arrange that: where there is a log, write to it while the hub is deaf, just before. Four nodes are the
    least: the two that are left of three are a plain majority, with no constraint on either.
    """
    _at_least(4, nodes, "constrained election", "of three, the two that are left can elect either")
    _not_the_leader(leader, hub)
    return only(nodes, ((hub, node) for node in others(nodes, hub, leader)))


def _not_the_leader(leader: str, hub: str) -> None:
    if leader == hub:
        raise ValueError(f"the hub must not be the old leader, but both are {hub!r}")


def chained(line: Sequence[str]) -> Cut:
    """The nodes in a line, each seeing only its neighbours; Omni-Paxos has the old leader at an end."""
    _at_least(3, line, "a chain", "two nodes in a line are fully connected")
    return only(line, pairwise(line))


def deaf(nodes: Sequence[str], node: str) -> Cut:
    """``node`` hears no other node, and all others hear it."""
    return frozenset((other, node) for other in others(nodes, node))


def mute(nodes: Sequence[str], node: str) -> Cut:
    """No node hears ``node``, and it hears all others."""
    return frozenset((node, other) for other in others(nodes, node))


def one_link(a: str, b: str) -> Cut:
    """These two do not see each other; all others see both."""
    return both_ways([(a, b)])


def one_way_link(sender: str, receiver: str) -> Cut:
    """Only packets from ``sender`` to ``receiver`` are lost."""
    return frozenset([(sender, receiver)])
