"""Coverage of a campaign: faults by role and phase, distinct election states, and an estimate of the unseen ones.

An *election state* is the sorted multiset, over the nodes, of (role, rank of its term among the terms present, has
voted in it, connected to a quorum), with the kinds of fault in force. Names and absolute terms are left out. A state
is sampled whenever a node's part in the election changes.

The number of unseen states is estimated from the states seen in one case only, as Good and Turing did for species
(I. J. Good, "The population frequencies of species and the estimation of population parameters", 1953): the next state
is new with a probability of about f1 / n. At least f1^2 / (2 f2) more exist (A. Chao, 1987).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from splitbrain.campaigns.hunt.trace import ClusterSample, NodeState, Trace
from splitbrain.checkers.fault import Fault
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS

HEALING = frozenset({"heal", "restart", "resume"})

Phase = Literal["stable", "electing", "recovering"]
PHASES: tuple[Phase, ...] = ("stable", "electing", "recovering")

State = tuple[tuple[tuple[str, int, bool, bool], ...], tuple[str, ...]]


class FaultHit(NamedTuple):
    """A fault injected into one node: the kind of fault, the role of the node, and the phase of the cluster."""

    fault: str
    role: str
    phase: Phase


class InForce(NamedTuple):
    """The period [began, ended) in which a fault was in force, in ns of the history."""

    fault: Fault
    began: int
    ended: int


@dataclass(slots=True)
class Coverage:
    """Coverage of one case or of many.

    ``states`` counts the cases in which each state was met; ``growth`` is (cases, distinct states so far) after each
    addition.
    """

    cases: int = 0
    hits: Counter[FaultHit] = field(default_factory=Counter)
    states: Counter[State] = field(default_factory=Counter)
    growth: list[tuple[int, int]] = field(default_factory=list)

    def take(self, faults: Sequence[Fault], trace: Trace) -> int:
        """Add a case and return the number of new states."""
        before = len(self.states)
        self.cases += 1
        self.states.update(set(states_of(faults, trace.samples)))
        self.hits.update(hits_of(faults, trace.samples))
        return len(self.states) - before

    def add(self, other: Coverage) -> None:
        """Add the coverage of later cases."""
        self.cases += other.cases
        self.hits.update(other.hits)
        self.states.update(other.states)
        self.growth.append((self.cases, len(self.states)))

    @property
    def chance_of_new(self) -> float:
        """Good and Turing's estimate of the probability that the next (case, state) has a new state."""
        met = self.states.total()
        return sum(1 for times in self.states.values() if times == 1) / met if met else 1.0

    @property
    def unseen_at_least(self) -> float:
        """Chao's lower bound of the number of unseen states."""
        times = Counter(self.states.values())
        once, twice = times[1], times[2]
        return once * (once - 1) / (2 * (twice + 1))

    def as_json(self) -> dict[str, Any]:
        return {
            "cases": self.cases,
            "states": len(self.states),
            "chance_of_new": round(self.chance_of_new, 6),
            "unseen_at_least": round(self.unseen_at_least, 1),
            "growth": [list(point) for point in self.growth],
            "hits": [{**hit._asdict(), "times": times} for hit, times in sorted(self.hits.items())],
        }


def windows(faults: Iterable[Fault], end: int) -> tuple[InForce, ...]:
    """The period in which each fault that took effect was in force; a fault that was never undone lasts to ``end``."""
    found: list[InForce] = []
    open_: dict[int | str, Fault] = {}
    for fault in faults:
        if fault.f not in HEALING:
            if fault.in_effect:
                open_[fault.id] = fault
            continue
        named = fault.asked.get("heals")
        undone = [each for key, each in open_.items() if named is None or key in named]
        for each in undone:
            found.append(InForce(each, each.begin, fault.begin))
            del open_[each.id]
    found += [InForce(each, each.begin, end) for each in open_.values()]
    return tuple(found)


def states_of(faults: Iterable[Fault], samples: Sequence[ClusterSample]) -> Iterator[State]:
    """The election state of each sample."""
    if not samples:
        return
    in_force = windows(faults, samples[-1].at)
    for sample in samples:
        at = sample.at - START_WITHIN_NS
        yield state_of(
            sample.nodes, tuple(sorted({each.fault.f for each in in_force if each.began <= at < each.ended}))
        )


def state_of(nodes: Sequence[NodeState], kinds: tuple[str, ...]) -> State:
    """The election state of these nodes, without names and absolute terms."""
    terms = sorted({node.term for node in nodes if node.term is not None}, reverse=True)
    rank = {term: place for place, term in enumerate(terms)}
    shapes = sorted(
        (node.role, -1 if node.term is None else rank[node.term], node.voted, node.connected) for node in nodes
    )
    return tuple(shapes), kinds


def hits_of(faults: Iterable[Fault], samples: Sequence[ClusterSample]) -> Iterator[FaultHit]:
    """One hit for each fault that took effect and each of its nodes, with roles and phase as of its beginning."""
    place = 0
    for fault in faults:
        if fault.f in HEALING or not fault.in_effect:
            continue
        while place + 1 < len(samples) and samples[place + 1].at - START_WITHIN_NS <= fault.begin:
            place += 1
        if place < len(samples):
            nodes = samples[place].nodes
            phase = phase_of(nodes)
            yield from (FaultHit(_kind(fault), node.role, phase) for node in nodes if node.node in fault.nodes)


def phase_of(nodes: Sequence[NodeState]) -> Phase:
    """The phase of the cluster.

    ``electing``: no leader is connected to a majority. ``recovering``: one is, but some node is down or does not follow
    it. ``stable``: every node follows it.
    """
    leaders = [node for node in nodes if node.role == "leader" and node.connected]
    if not leaders:
        return "electing"
    followed = {(node.follows, node.term) for node in nodes}
    return "stable" if len(leaders) == 1 and len(followed) == 1 else "recovering"


def _kind(fault: Fault) -> str:
    return fault.f if fault.shape is None else f"{fault.f} {fault.shape}"
