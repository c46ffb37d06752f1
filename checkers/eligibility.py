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
from splitbrain.checkers.verdict import TooLarge
from splitbrain.names import Eligibility

MOST_ENUMERATED = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """A closed interval [start, end] in ns in which the same witness was eligible throughout.

    The witness is a majority of the nodes, or one node and a majority of the servers.
    """

    start: int
    end: int
    witness: tuple[str, ...]


def fault_free_periods(health: ClusterHealth) -> list[Period]:
    """The maximal periods in which no fault was possibly active, in order; their witness is all members."""
    return _maximal_runs(health.edges, health.fault_free[:, None], [health.members])


def eligible_periods(health: ClusterHealth, kind: Eligibility) -> list[Period]:
    """The maximal periods in each of which one majority was eligible throughout, by their starts.

    They may overlap, with different witnesses. The result is exact for up to 15 members, of which every majority is
    tried, and for hubs. Larger cliques are found greedily in each state of the cluster: every period returned is
    eligible, but a longer one may be missed.
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
    return _maximal_runs(health.edges, np.array(rows), [_names(health, chosen) for chosen in sets])


def _served_periods(health: ClusterHealth, kind: Eligibility) -> list[Period]:
    """Periods in which a majority of each group of servers was eligible and one node was connected to all of them."""
    served = serving(health, kind)
    ensembles = [_names(health, chosen) for chosen in _ensembles(health, kind)]
    witnesses = [(node, *ensemble) for node in health.members for ensemble in ensembles]
    return _maximal_runs(health.edges, served.reshape(len(served), -1), witnesses)


def serving(health: ClusterHealth, kind: Eligibility) -> Mask:
    """Mask [interval, node, ensemble]: the majorities of an ensemble, one of each group of servers, were eligible, and
    the node healthy and connected to all of them."""
    served = np.ones((len(health.fault_free), len(health.members), 1), bool)
    for group in health.groups:
        of_group = _serving_group(health, kind, health.places(group))
        served = (served[:, :, :, None] & of_group[:, :, None, :]).reshape(*served.shape[:2], -1)
    return served


def _serving_group(health: ClusterHealth, kind: Eligibility, group: list[int]) -> Mask:
    """Mask [interval, node, majority of the group], as ``serving`` has them."""
    sets = _majorities_of(health, kind, group)
    fit = np.zeros((len(health.fault_free), len(sets)), bool)
    reached = np.zeros((len(health.fault_free), len(health.members), len(sets)), bool)
    for at, chosen in enumerate(sets):
        reached[:, :, at] = health.connected[:, : len(health.members), chosen].all(axis=2)
        among: Mask = health.connected[:, chosen][:, :, chosen]
        if kind == "hub":
            fit[:, at] = np.any(among.all(axis=2), axis=1)
            continue
        fit[:, at] = among.all(axis=(1, 2))
        if kind == "isolated":
            outside = [server for server in group if not chosen[server]]
            entrances: Mask = (health.maybe_open & ~health.down[:, :, None])[:, outside][:, :, chosen]
            fit[:, at] &= ~np.any(entrances, axis=(1, 2))
    return reached & fit[:, None, :]


def _ensembles(health: ClusterHealth, kind: Eligibility) -> Mask:
    """Every choice of one majority of each group of servers, as a mask [choice, name], in the order of ``serving``."""
    chosen = np.zeros((1, len(health.names)), bool)
    for group in health.groups:
        of_group = _majorities_of(health, kind, health.places(group))
        chosen = (chosen[:, None, :] | of_group[None, :, :]).reshape(-1, len(health.names))
    return chosen


def _majorities_of(health: ClusterHealth, kind: Eligibility, group: list[int]) -> Mask:
    """The majorities of a group of servers, as a mask [majority, name]. Raises TooLarge for more than can be tried."""
    if len(health.servers) > MOST_ENUMERATED:
        raise TooLarge(f"expected at most {MOST_ENUMERATED} servers, got {len(health.servers)}")
    sets = _all_majorities(len(group), kind)
    chosen = np.zeros((len(sets), len(health.names)), bool)
    chosen[:, group] = sets
    return chosen


def _hub_periods(health: ClusterHealth) -> list[Period]:
    """Periods in which some node was connected to the same others, a majority together with itself."""
    found: list[Period] = []
    enough = len(health.members) // 2 + 1
    for hub in range(len(health.members)):
        reached = 0
        ties = health.connected[:, hub]
        # Without a new connection, a period that began one interval earlier lasts as long.
        gains = (np.diff(ties, axis=0, prepend=False) & ties).any(axis=1)
        for start in np.flatnonzero(gains & (ties.sum(axis=1) >= enough)).tolist():
            connected = np.logical_and.accumulate(ties[start:], axis=0)
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
    """Mask of the sets that are eligible in interval ``at``; ``states`` caches the results by state."""
    connected = health.connected[at]
    entrances = health.maybe_open[at] & ~health.down[at][:, None]
    state = connected.tobytes() + (entrances.tobytes() if kind == "isolated" else b"")
    if state not in states:
        states[state] = _eligible(connected, entrances, kind, sets)
    return states[state]


def _eligible(connected: Mask, entrances: Mask, kind: Eligibility, sets: Mask) -> Mask:
    """Mask of the eligible sets; ``entrances`` [from, to] are the links over which a node may be heard."""
    inside = sets.astype(np.float32)  # counting by matrix products, which only floats do fast
    clique: Mask = (inside @ (~connected).astype(np.float32) * inside).sum(axis=1) == 0
    if kind == "clique":
        return clique
    noise = ((1 - inside) @ entrances.astype(np.float32) * inside).sum(axis=1)
    isolated: Mask = clique & (noise == 0)
    return isolated


def _all_majorities(n: int, kind: Eligibility) -> Mask:
    """Every smallest majority as a mask [majority, node].

    Larger ones are added for ``isolated``, because they leave fewer nodes outside.
    """
    smallest = n // 2 + 1
    sizes = range(smallest, n + 1 if kind == "isolated" else smallest + 1)
    chosen = [members for size in sizes for members in combinations(range(n), size)]
    sets = np.zeros((len(chosen), n), bool)
    for row, members in enumerate(chosen):
        sets[row, members] = True
    return sets


def _greedy_majorities(health: ClusterHealth, kind: Eligibility) -> Mask:
    """For each state of the cluster, a majority grown from each node, best connected first."""
    found: dict[bytes, Mask] = {}
    for connected in {state.tobytes(): state for state in health.connected}.values():
        for node in np.flatnonzero(connected.diagonal()).tolist():
            grown = _grown(connected, node, kind)
            if grown.sum() > len(connected) // 2:
                found[grown.tobytes()] = grown
    return np.array(list(found.values()), bool).reshape(-1, len(health.members))


def _grown(connected: Mask, node: int, kind: Eligibility) -> Mask:
    """A clique around the node, grown to a majority, or for ``isolated`` as far as possible."""
    enough = len(connected) if kind == "isolated" else len(connected) // 2 + 1
    chosen = np.zeros(len(connected), bool)
    candidates = connected[node].copy()
    for other in [node, *np.argsort(-connected.sum(axis=1), kind="stable").tolist()]:
        if candidates[other] and chosen.sum() < enough:
            chosen[other] = True
            candidates &= connected[other]
    return chosen


def _maximal_runs(edges: Ints, holds: Mask, witnesses: list[tuple[str, ...]]) -> list[Period]:
    """The maximal runs of true in each column of ``holds`` [interval, witness], without those inside another run."""
    padded = np.zeros((holds.shape[1], holds.shape[0] + 2), np.int8)
    padded[:, 1:-1] = holds.T
    steps = np.diff(padded, axis=1)
    column, first = np.nonzero(steps == 1)
    _, last = np.nonzero(steps == -1)
    # Many majorities hold over the same period, of which one is enough; so objects are made last.
    order = np.lexsort((-last, first))
    column, first, last = column[order], first[order], last[order]
    record = np.flatnonzero(np.diff(np.maximum.accumulate(last), prepend=-1))
    return [
        Period(start=int(edges[first[at]]), end=int(edges[last[at]]), witness=witnesses[column[at]])
        for at in record.tolist()
    ]


def _longest(found: list[Period]) -> list[Period]:
    """The periods that do not lie within another, by their starts."""
    kept: list[Period] = []
    for period in sorted(found, key=lambda period: (period.start, -period.end)):
        if not kept or period.end > kept[-1].end:
            kept.append(period)
    return kept


def covered(periods: Iterable[Period]) -> int:
    """The total time (ns) covered by the periods, which are sorted by their starts."""
    total, reached = 0, 0
    for period in periods:
        total += max(0, period.end - max(period.start, reached))
        reached = max(reached, period.end)
    return total
