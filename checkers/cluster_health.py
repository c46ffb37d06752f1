"""Cluster health: for each interval of a run, which nodes and links were healthy, faulty or unknown.

The intervals lie between the instants at which a fault period begins or ends, so the state is constant in each.
``checkers.eligibility`` derives the majorities that should have had a working leader.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    interval; their N other axes are indexes into ``names``, nodes before servers:

    - ``healthy`` [K, N]: certainly up and undisturbed. ``down`` [K, N]: certainly killed, or ended by itself.
      ``stopped`` [K, N]: certainly down or paused.
    - ``connected`` [K, N, N]: both ends certainly healthy, and both directions of the link certainly intact.
    - ``maybe_open`` [K, from, to]: the link is not certainly cut.
    - ``fault_free`` [K]: no fault is possibly active anywhere, and no incident (``checkers.incidents``).
    """

    members: tuple[str, ...]
    servers: tuple[str, ...]
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
    intact, cut = np.ones((intervals, n, n), bool), np.zeros((intervals, n, n), bool)
    healthy, down = np.ones((intervals, n), bool), np.zeros((intervals, n), bool)
    paused = np.zeros((intervals, n), bool)
    fault_free = np.ones(intervals, bool)
    for period in known:
        maybe, sure = _span(edges, period.possible), _span(edges, period.certain if period.cuts else None)
        fault_free[maybe] = False
        nodes = [place[node] for node in period.nodes if node in place]
        links = [(place[a], place[b]) for a, b in period.links if a in place and b in place]
        if not period.nodes and not period.links:
            nodes = list(range(n))
        healthy[maybe, nodes] = False
        down[sure, nodes] = True
        if period.fault.f in PAUSES:
            paused[_span(edges, period.certain), nodes] = True
        if links:
            senders, receivers = zip(*links, strict=True)
            intact[maybe, senders, receivers] = False
            cut[sure, senders, receivers] = True
    both = intact & intact.transpose(0, 2, 1)
    connected = both & healthy[:, :, None] & healthy[:, None, :]
    connected[:, np.arange(n), np.arange(n)] = healthy
    return ClusterHealth(
        members=members,
        servers=bounds.servers,
        edges=edges,
        healthy=healthy,
        down=down,
        stopped=down | paused,
        connected=connected,
        maybe_open=~cut,
        fault_free=fault_free,
    )


def _span(edges: Ints, period: tuple[int, int] | None) -> slice:
    """The intervals within the period; each of its ends is an edge or lies beyond all edges."""
    if period is None or period[1] <= period[0]:
        return slice(0, 0)
    start, end = np.searchsorted(edges, period)
    return slice(int(start), int(end))
