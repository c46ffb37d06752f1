"""Eligible periods: when one fixed majority was certainly up, undisturbed and connected.

Three kinds of majority, because systems promise different things (Howard and Abraham, "Raft does not guarantee
liveness in the face of network faults", 2020; Ng, Haridi and Carbone, "Omni-Paxos", EuroSys 2023):

- ``clique``: every two of its nodes are connected.
- ``isolated``: a clique that no node outside it can reach.
- ``hub``: one node is connected to all others of the majority.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from splitbrain.checkers.cluster_health import ClusterHealth
from splitbrain.checkers.operations import Ints, Mask
from splitbrain.names import Eligibility

MOST_ENUMERATED = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """A period (ns) throughout which the witness was an eligible majority: a fixed set of nodes, or a node and a
    majority of the servers."""

    start: int
    end: int
    witness: tuple[str, ...]


def fault_free_periods(health: ClusterHealth) -> list[Period]:
    """The longest periods in which no fault was possibly active."""
    return _stretches(health.edges, health.fault_free[:, None], [health.members])


def eligible_periods(health: ClusterHealth, kind: Eligibility) -> list[Period]:
    """The longest periods in each of which one majority was eligible throughout, by their starts.

    For up to 15 members every majority is tried, and for a hub every node, which is exact. For larger cliques
    those found greedily in each state of the cluster are: what is returned is eligible, but a longer period may
    have been missed.
    """
    n = len(health.members)
    if not n or not len(health.fault_free):
        return []
    if health.servers:
        return _served_periods(health, kind)
    if kind == "hub":
        return _hub_periods(health)
    sets = _all_majorities(n, kind) if n <= MOST_ENUMERATED else _greedy_majorities(health, kind)
    states: dict[bytes, Mask] = {}
    rows = [_eligible_in(health, at, kind, sets, states) for at in range(len(health.fault_free))]
    return _stretches(health.edges, np.array(rows), [_names(health, chosen) for chosen in sets])


def _served_periods(health: ClusterHealth, kind: Eligibility) -> list[Period]:
    """Those in which a majority of the servers was eligible, and one node was connected to all of it, throughout."""
    served = serving(health, kind)
    ensembles = [_names(health, chosen) for chosen in _ensembles(health, kind)]
    witnesses = [(node, *ensemble) for node in health.members for ensemble in ensembles]
    return _stretches(health.edges, served.reshape(len(served), -1), witnesses)


def serving(health: ClusterHealth, kind: Eligibility) -> Mask:
    """[interval, node, majority of the servers]: whether that majority was eligible among the servers, and the node
    healthy and connected to all of it."""
    sets = _ensembles(health, kind)
    fit = np.zeros((len(health.fault_free), len(sets)), bool)
    reached = np.zeros((len(health.fault_free), len(health.members), len(sets)), bool)
    own = slice(len(health.members), None)
    for at, chosen in enumerate(sets):
        reached[:, :, at] = health.connected[:, : len(health.members), chosen].all(axis=2)
        among: Mask = health.connected[:, chosen][:, :, chosen]
        if kind == "hub":
            fit[:, at] = np.any(among.all(axis=2), axis=1)
            continue
        fit[:, at] = among.all(axis=(1, 2))
        if kind == "isolated":
            entrances: Mask = (health.maybe_open & ~health.down[:, :, None])[:, own][:, ~chosen[own]][:, :, chosen]
            fit[:, at] &= ~np.any(entrances, axis=(1, 2))
    return reached & fit[:, None, :]


def _ensembles(health: ClusterHealth, kind: Eligibility) -> Mask:
    """The majorities of the servers, as places among all names."""
    sets = _all_majorities(len(health.servers), kind)
    return np.concatenate((np.zeros((len(sets), len(health.members)), bool), sets), axis=1)


def _hub_periods(health: ClusterHealth) -> list[Period]:
    """Those in which some node was connected to the same others, with itself a majority, throughout."""
    found: list[Period] = []
    enough = len(health.members) // 2 + 1
    for hub in range(len(health.members)):
        reached = 0
        own = health.connected[:, hub]
        # Where nothing is newly connected a stretch that began one interval earlier lasts as long.
        gains = (np.diff(own, axis=0, prepend=False) & own).any(axis=1)
        for start in np.flatnonzero(gains & (own.sum(axis=1) >= enough)).tolist():
            connected = np.logical_and.accumulate(own[start:], axis=0)
            end = start + int(np.argmin(np.append(connected.sum(axis=1) >= enough, False)))
            if end > reached:
                reached = end
                period = int(health.edges[start]), int(health.edges[end])
                witness = _names(health, connected[end - start - 1])
                found.append(Period(start=period[0], end=period[1], witness=witness))
    return _longest(found)


def _names(health: ClusterHealth, chosen: Mask) -> tuple[str, ...]:
    return tuple(health.names[at] for at in np.flatnonzero(chosen))


def _eligible_in(health: ClusterHealth, at: int, kind: Eligibility, sets: Mask, states: dict[bytes, Mask]) -> Mask:
    """Which of the sets are eligible in that interval; states that come again are looked up."""
    connected = health.connected[at]
    entrances = health.maybe_open[at] & ~health.down[at][:, None]
    state = connected.tobytes() + (entrances.tobytes() if kind == "isolated" else b"")
    if state not in states:
        states[state] = _eligible(connected, entrances, kind, sets)
    return states[state]


def _eligible(connected: Mask, entrances: Mask, kind: Eligibility, sets: Mask) -> Mask:
    """``entrances`` [from, to] are the links through which an outsider may be heard."""
    inside = sets.astype(np.float32)  # counting by matrix products, which only floats do fast
    clique: Mask = (inside @ (~connected).astype(np.float32) * inside).sum(axis=1) == 0
    if kind == "clique":
        return clique
    noise = ((1 - inside) @ entrances.astype(np.float32) * inside).sum(axis=1)
    isolated: Mask = clique & (noise == 0)
    return isolated


def _all_majorities(n: int, kind: Eligibility) -> Mask:
    """Every smallest majority; where outsiders matter every larger one too, for it leaves fewer of them."""
    smallest = n // 2 + 1
    sizes = range(smallest, n + 1 if kind == "isolated" else smallest + 1)
    chosen = [members for size in sizes for members in combinations(range(n), size)]
    sets = np.zeros((len(chosen), n), bool)
    for row, members in enumerate(chosen):
        sets[row, members] = True
    return sets


def _greedy_majorities(health: ClusterHealth, kind: Eligibility) -> Mask:
    """For each state of the cluster a majority grown from each node, best connected first."""
    found: dict[bytes, Mask] = {}
    for connected in {state.tobytes(): state for state in health.connected}.values():
        for node in np.flatnonzero(connected.diagonal()).tolist():
            grown = _grown(connected, node, kind)
            if grown.sum() > len(connected) // 2:
                found[grown.tobytes()] = grown
    return np.array(list(found.values()), bool).reshape(-1, len(health.members))


def _grown(connected: Mask, node: int, kind: Eligibility) -> Mask:
    """A clique around the node: up to a majority, or as large as can be where outsiders matter."""
    enough = len(connected) if kind == "isolated" else len(connected) // 2 + 1
    chosen = np.zeros(len(connected), bool)
    candidates = connected[node].copy()
    for other in [node, *np.argsort(-connected.sum(axis=1), kind="stable").tolist()]:
        if candidates[other] and chosen.sum() < enough:
            chosen[other] = True
            candidates &= connected[other]
    return chosen


def _stretches(edges: Ints, holds: Mask, witnesses: list[tuple[str, ...]]) -> list[Period]:
    """The maximal runs of each column, without those that lie within another's."""
    padded = np.zeros((holds.shape[1], holds.shape[0] + 2), np.int8)
    padded[:, 1:-1] = holds.T
    steps = np.diff(padded, axis=1)
    column, first = np.nonzero(steps == 1)
    _, last = np.nonzero(steps == -1)
    # Of many majorities that held over the same period one is enough; only then are objects made.
    order = np.lexsort((-last, first))
    column, first, last = column[order], first[order], last[order]
    record = np.flatnonzero(np.diff(np.maximum.accumulate(last), prepend=-1))
    return [
        Period(start=int(edges[first[at]]), end=int(edges[last[at]]), witness=witnesses[column[at]])
        for at in record.tolist()
    ]


def _longest(found: list[Period]) -> list[Period]:
    """Those that do not lie within another, by their starts."""
    kept: list[Period] = []
    for stretch in sorted(found, key=lambda stretch: (stretch.start, -stretch.end)):
        if not kept or stretch.end > kept[-1].end:
            kept.append(stretch)
    return kept


def covered(stretches: Iterable[Period]) -> int:
    """How many ns lie in at least one of the stretches, which come by their starts."""
    total, reached = 0, 0
    for stretch in stretches:
        total += max(0, stretch.end - max(stretch.start, reached))
        reached = max(reached, stretch.end)
    return total
