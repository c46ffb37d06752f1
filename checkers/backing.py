"""Backed claims: claims to lead that count as evidence of a working leader where no confirmation was asked for.

A leader that is cut off may claim to lead for ever, so a claim alone is no evidence (Howard and Abraham, "Raft does not
guarantee liveness in the face of network faults", 2020). A claim is *backed* if a connected majority agrees on it: the
claiming node and enough others, certainly connected to it, whose latest answers name it as their leader. Where the
election rests on servers, which are not asked, one other node that reaches a majority of the servers must name it.

A claim is *possible* if its node may have been able to exchange messages with a majority, through other nodes too. One
that is not possible is no sign of a working leader: at no instant of its window could a majority have heard of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from splitbrain.checkers.cluster_health import ClusterHealth, through_others
from splitbrain.checkers.eligibility import serving
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE, Ints, Mask
from splitbrain.names import Eligibility


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The claims to lead, as rows of the observations: those that are possible, and those of them that are backed.

    ``may_lead`` [interval, node] says when a node may have reached a majority; its axes are those of the ``health``.
    """

    history: History
    health: ClusterHealth
    possible: Ints
    backed: Ints
    may_lead: Mask

    @classmethod
    def of(cls, history: History, health: ClusterHealth, kind: Eligibility, fresh: int) -> Claims:
        """Classify the claims of a history; an answer supports a claim for ``fresh`` ns after it was asked for."""
        seen, may_lead = history.observations, _may_reach_a_majority(health)
        possible, backed = np.zeros(len(seen), bool), np.zeros(len(seen), bool)
        for place, leader in _members(history, health):
            rows = np.flatnonzero(seen.ok & seen.leading & (seen.node == leader))
            first, last = _intervals(health, seen.invoke[rows], seen.complete[rows])
            possible[rows] = _in_any(may_lead[:, place], first, last)
            backed[rows] = _supported(history, health, kind, (place, leader), rows, fresh)
        return cls(
            history=history,
            health=health,
            possible=np.flatnonzero(possible),
            backed=np.flatnonzero(backed & possible),
            may_lead=may_lead,
        )

    def between(self, start: int, end: int) -> Ints:
        """The possible claims whose windows meet ]start, end[ (ns)."""
        seen, rows = self.history.observations, self.possible
        return rows[(seen.complete[rows] > start) & (seen.invoke[rows] < end)]

    def parts_without(self, start: int, end: int) -> list[tuple[int, int]]:
        """The maximal parts of [start, end] (ns) that no possible claim meets."""
        seen, rows = self.history.observations, self.between(start, end)
        begins = [start, *np.maximum.accumulate(seen.complete[rows]).tolist()]
        ends = [*seen.invoke[rows].tolist(), end]
        return [(begin, finish) for begin, finish in zip(begins, ends, strict=True) if begin < finish]

    def answers(self, start: int, end: int, step: int) -> list[Ints]:
        """The times (ns) of the answers of each member in [start, end].

        Where a node cannot have reached a majority it need not answer: those times are filled up, one every ``step``.
        """
        seen, edges = self.history.observations, self.health.edges
        rows = np.arange(*np.searchsorted(seen.invoke, (start, end)))
        rows = rows[seen.ok[rows]]
        found = []
        for place, name in enumerate(self.health.members):
            own = seen.invoke[rows[seen.node[rows] == self.history.code.get(name, NONE)]]
            idle = np.flatnonzero(~self.may_lead[:, place] & (edges[:-1] < end) & (edges[1:] > start)).tolist()
            spans = [(max(start, edges[at]), min(end, edges[at + 1])) for at in idle]
            filled = [np.append(np.arange(first, last, step), last) for first, last in spans]
            found.append(np.sort(np.concatenate((own, *filled))))
        return found


def _members(history: History, health: ClusterHealth) -> Iterator[tuple[int, int]]:
    """The members that the history names: their places in the health, and their indexes in the history."""
    for place, name in enumerate(health.members):
        if name in history.code:
            yield place, history.code[name]


def _may_reach_a_majority(health: ClusterHealth) -> Mask:
    """Mask [interval, node]: the node may have exchanged messages with a majority, of each group of servers if there
    are any."""
    running = ~health.stopped
    reach = health.maybe_open & running[:, :, None] & running[:, None, :]
    reach[:, np.arange(len(health.names)), np.arange(len(health.names))] = running
    reach = through_others(reach)
    mutual = reach & reach.transpose(0, 2, 1)
    groups = [health.places(group) for group in health.groups] or [[*range(len(health.members))]]
    found: Mask = np.logical_and.reduce([mutual[:, :, group].sum(axis=2) > len(group) // 2 for group in groups])
    return found


def _intervals(health: ClusterHealth, start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """The first and last interval of the health that each window [start, end] (ns) meets."""
    last = max(len(health.fault_free) - 1, 0)
    places = (np.searchsorted(health.edges, start, "left") - 1, np.searchsorted(health.edges, end, "right") - 1)
    return np.clip(places[0], 0, last), np.clip(places[1], 0, last)


def _in_any(holds: Mask, first: Ints, last: Ints) -> Mask:
    """True for each range of intervals in one of which the column holds."""
    count = np.concatenate(([0], np.cumsum(holds)))
    return np.greater(count[last + 1], count[first]) if len(holds) else np.zeros(len(first), bool)


def _in_all(holds: Mask, first: Ints, last: Ints) -> Mask:
    """True for each range of intervals in all of which the column holds."""
    return ~_in_any(~holds, first, last) if len(holds) else np.zeros(len(first), bool)


def _supported(
    history: History, health: ClusterHealth, kind: Eligibility, claimant: tuple[int, int], rows: Ints, fresh: int
) -> Mask:
    """Mask of the claims in ``rows``, all of one node, that enough others support."""
    seen = history.observations
    place, leader = claimant
    reaches = _reaches_servers(health, kind)
    supporters: Ints = np.zeros(len(rows), np.int64)
    for other, node in _members(history, health):
        if node == leader:
            continue
        since, named = _latest_answers(history, node, seen.complete[rows])
        named = (named == leader) & (since >= seen.complete[rows] - fresh)
        first, last = _intervals(health, np.minimum(since, seen.invoke[rows]), seen.complete[rows])
        linked = reaches[:, place] & reaches[:, other] if health.servers else health.connected[:, place, other]
        supporters += named & _in_all(linked, first, last)
    return np.greater_equal(supporters, 1 if health.servers else len(health.members) // 2)


def _reaches_servers(health: ClusterHealth, kind: Eligibility) -> Mask:
    """Mask [interval, node]: the node was certainly connected to an eligible majority of the servers."""
    if not health.servers:
        return np.zeros((len(health.fault_free), 0), bool)
    reaches: Mask = np.any(serving(health, kind), axis=2)
    return reaches


def _latest_answers(history: History, node: int, times: Ints) -> tuple[Ints, Ints]:
    """The latest answer of the node that was complete at each time: its invocation (ns), and the leader it named."""
    seen = history.observations
    rows = np.flatnonzero(seen.ok & (seen.node == node))
    rows = rows[np.argsort(seen.complete[rows], kind="stable")]
    at = np.searchsorted(seen.complete[rows], times, "right") - 1
    leader = np.where(seen.leading[rows], node, seen.leader[rows])
    missing = np.iinfo(np.int64).min // 2
    return np.append(seen.invoke[rows], missing)[at], np.append(leader, NONE)[at]
