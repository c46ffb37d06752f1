"""Cluster health: for each interval of a run, which nodes and links were healthy, faulty or unknown.

The intervals lie between the instants at which a fault period begins or ends, so the state is constant in each.
``checkers.eligibility`` derives the majorities that should have had a working leader.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.fault_periods import PAUSES
from splitbrain.checkers.history import History
from splitbrain.checkers.incidents import disturbances
from splitbrain.checkers.operations import Ints, Mask
from splitbrain.checkers.verdict import TooLarge
from splitbrain.checkers.words import counted

MOST_STATES = 1 << 25  # of all links in all intervals: some hundreds of MB


@dataclass(frozen=True, kw_only=True)
class ClusterHealth:
    """The state of the cluster in each interval between two edges.

    ``edges`` (ns, ascending) bound K intervals; interval k lies between edges k and k + 1. The columns have one row per
    interval; their N other axes are indexes into ``names``, nodes before servers. ``groups`` divide the servers:

    - ``healthy`` [K, N]: certainly up and undisturbed. ``down`` [K, N]: certainly killed, or ended by itself.
      ``stopped`` [K, N]: certainly down or paused.
    - ``connected`` [K, N, N]: both ends certainly healthy, and both directions of the link certainly intact.
    - ``maybe_open`` [K, from, to]: the link is not certainly cut.
    - ``fault_free`` [K]: no fault is possibly active anywhere, and no incident (``checkers.incidents``).
    """

    members: tuple[str, ...]
    servers: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    edges: Ints
    healthy: Mask
    down: Mask
    stopped: Mask
    connected: Mask
    maybe_open: Mask
    fault_free: Mask

    @property
    def names(self) -> tuple[str, ...]:
        """Nodes and servers, in the order of the columns."""
        return self.members + self.servers

    def places(self, group: tuple[str, ...]) -> list[int]:
        """The indexes of these servers."""
        return [len(self.members) + self.servers.index(name) for name in group]


def through_others(links: Mask) -> Mask:
    """The transitive closure of links [..., from, to]: messages that may arrive directly or through other machines."""
    reached = links.copy()
    for via in range(links.shape[-1]):
        reached |= reached[..., :, via, None] & reached[..., None, via, :]
    return reached


def cluster_health(history: History, bounds: Bounds) -> ClusterHealth:
    """Compute the health of the members and servers of ``bounds`` over the entire history.

    Raises TooLarge for more links and changes of them than fit in memory.
    """
    members = tuple(name for name in bounds.members or history.nodes if name not in bounds.servers)
    names = members + bounds.servers
    place = {name: at for at, name in enumerate(names)}
    known = disturbances(history)
    times = [0, history.end]
    for period in known:
        times += [*period.possible, *(period.certain or ())]
    edges = np.unique(np.clip(np.array(times, np.int64), 0, max(history.end, 0)))
    intervals, n = max(len(edges) - 1, 0), len(names)
    if intervals * n * n > MOST_STATES:
        raise TooLarge(f"{n} nodes with {counted(intervals, 'change')} of their health are too many to compare")
    anywhere, disturbed, down, paused, impaired, cut = (_Spans() for _ in range(6))
    for period in known:
        nodes = [(place[node],) for node in period.nodes if node in place]
        links = [(place[a], place[b]) for a, b in period.links if a in place and b in place]
        if not period.nodes and not period.links:
            nodes = [(each,) for each in range(n)]
        sure = period.certain if period.cuts else None
        anywhere.add([()], period.possible)
        disturbed.add(nodes, period.possible)
        down.add(nodes, sure)
        paused.add(nodes, period.certain if period.fault.f in PAUSES else None)
        impaired.add(links, period.possible)
        cut.add(links, sure)
    healthy = ~disturbed.within(edges, n)
    intact = ~impaired.within(edges, n, n)
    both = intact & intact.transpose(0, 2, 1)
    connected = both & healthy[:, :, None] & healthy[:, None, :]
    connected[:, np.arange(n), np.arange(n)] = healthy
    return ClusterHealth(
        members=members,
        servers=bounds.servers,
        groups=bounds.groups or ((bounds.servers,) if bounds.servers else ()),
        edges=edges,
        healthy=healthy,
        down=(fallen := down.within(edges, n)),
        stopped=fallen | paused.within(edges, n),
        connected=connected,
        maybe_open=~cut.within(edges, n, n),
        fault_free=~anywhere.within(edges),
    )


class _Spans:
    """The periods (ns) of each place; a place is the indexes of a node or a link."""

    def __init__(self) -> None:
        self._of: defaultdict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)

    def add(self, places: Iterable[tuple[int, ...]], period: tuple[int, int] | None) -> None:
        if period is not None and period[0] < period[1]:
            for place in places:
                self._of[place].append(period)

    def within(self, edges: Ints, *shape: int) -> Mask:
        """For each interval between edges, the places with a period that covers it: [interval, *shape].

        Each end of a period is an edge, or lies beyond all edges. Takes linear time, however long the periods are.
        """
        found = np.zeros((max(len(edges) - 1, 0), *shape), bool)
        for place, periods in self._of.items():
            first, last = np.searchsorted(edges, np.array(periods, np.int64)).T
            begun, over = (np.bincount(each, minlength=len(edges) + 1) for each in (first, last))
            column: tuple[Any, ...] = (slice(None), *place)
            found[column] = np.cumsum(begun - over)[: len(found)] > 0
        return found
