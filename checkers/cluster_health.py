"""When each node and link was surely whole, surely hurt, or neither can be said.

A fault is *possibly* active from its begin line to the done line of what undid it, and *surely* active from its
own done line to the begin line of what undid it. A fault that was skipped never was; one that was not seen to take
effect is possibly active, never surely. A name that is not known here disturbs what it was aimed at until
something says that it healed it. So every doubt makes fewer stretches eligible, and none is judged by mistake.

``Eligible`` stretches follow: those in which one fixed majority was surely up, untouched and connected. Three
classes, because systems promise different things (Howard and Abraham, "Raft does not guarantee liveness in the face
of network faults", 2020; Ng, Haridi and Carbone, "Omni-Paxos", EuroSys 2023).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.fault import Fault, Link
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import Ints, Mask
from splitbrain.names import Eligibility

CUTS = frozenset({"partition"})
ON_LINKS = CUTS | {"loss", "delay", "latency", "duplicate", "reorder", "corrupt", "bandwidth", "rate"}
KILLS = frozenset({"kill", "crash", "stop", "oom"})
RESTARTS = frozenset({"restart", "start"})
PAUSES = frozenset({"pause", "freeze"})
RESUMES = frozenset({"resume"})
WIPES = frozenset({"wipe", "amnesia"})
HEALS = frozenset({"heal"})
REPAIRS = HEALS | RESTARTS | RESUMES

MOST_ENUMERATED = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Hurt:
    """What one fault did to some nodes or links, over one period; with neither, to the whole cluster.

    ``possibly`` and ``surely`` are [from, to] in ns; ``surely`` is None where nothing is sure. ``cuts`` tells a cut or
    a kill from a mere disturbance.
    """

    nodes: tuple[str, ...]
    links: tuple[Link, ...]
    possibly: tuple[int, int]
    surely: tuple[int, int] | None
    cuts: bool


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """The state of the cluster between any two successive acts of the nemesis.

    ``edges`` (ns) bound the intervals: number k lies between edges k and k + 1. The columns below have one row an
    interval; nodes and servers are places in ``names``, the nodes first. ``healthy`` and ``down`` are sure, and so is
    ``joined`` (both ways, and both ends healthy); ``open`` [from, to] says only that the link was not surely cut.
    ``quiet`` intervals have no fault possibly active anywhere.
    """

    members: tuple[str, ...]
    servers: tuple[str, ...]
    edges: Ints
    healthy: Mask
    down: Mask
    joined: Mask
    open: Mask
    quiet: Mask

    @property
    def names(self) -> tuple[str, ...]:
        """Nodes and servers, in the order of the columns."""
        return self.members + self.servers


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """A period (ns) throughout which the witness was an eligible majority: a fixed set of nodes, or a node and a
    majority of the servers."""

    start: int
    end: int
    witness: tuple[str, ...]


def is_repair(fault: Fault) -> bool:
    """Whether the act mends: it heals, restarts or resumes."""
    return fault.f in REPAIRS


def on_links(fault: Fault) -> bool:
    """Whether the fault is about links, and its nodes only say whose."""
    return fault.f in ON_LINKS or (bool(fault.links) and fault.f not in KILLS | PAUSES | WIPES | REPAIRS)


def hurts(faults: tuple[Fault, ...], end: int) -> Iterator[Hurt]:
    """What every fault did, over which period; ``end`` is when the history ends."""
    for at, fault in enumerate(faults):
        if fault.skipped is not None or fault.f in HEALS | RESUMES:
            continue
        later = [act for act in faults[at + 1 :] if act.skipped is None]
        if fault.f in RESTARTS:
            yield _lasting(fault, fault.nodes, (), None, fault.done, end)
        elif fault.links and on_links(fault):
            yield from _by_period(fault, fault.links, later, end)
        else:
            yield from _by_period(fault, fault.nodes or (None,), later, end)


def _by_period(fault: Fault, subjects: Iterable[str | Link | None], later: list[Fault], end: int) -> Iterator[Hurt]:
    """One Hurt for all subjects that were mended at the same time. The subject None is the whole cluster."""
    periods: dict[tuple[int | None, int | None], list[str | Link | None]] = defaultdict(list)
    for subject in subjects:
        periods[_mended(fault, subject, later)].append(subject)
    for (mending, over), group in periods.items():
        links = tuple(subject for subject in group if isinstance(subject, tuple))
        nodes = tuple(subject for subject in group if isinstance(subject, str))
        yield _lasting(fault, nodes, links, mending, over, end)


def _mended(fault: Fault, subject: str | Link | None, later: list[Fault]) -> tuple[int | None, int | None]:
    """When mending began, from when on it is not sure that the fault lasts, and when it was surely over."""
    mending = None
    for act in later:
        if _mends(act, fault, subject):
            mending = act.begin if mending is None else mending
            if act.done is not None and act.verified is not False:
                return mending, act.done
    # A wipe is over at once, unless a restart shows that the node had yet to come back.
    return mending, fault.done if fault.f in WIPES else None


def _lasting(
    fault: Fault,
    nodes: tuple[str, ...],
    links: tuple[Link, ...],
    mending: int | None,
    over: int | None,
    end: int,
) -> Hurt:
    surely = None
    if fault.in_effect and fault.done is not None and fault.f not in RESTARTS:
        surely = (fault.done, end if mending is None else mending)
    # An act that takes no time, as in a simulation, is an interruption all the same.
    last = end + 1 if over is None else max(over, fault.begin + 1)
    cuts = fault.f in (CUTS if links else KILLS)
    return Hurt(nodes=nodes, links=links, possibly=(fault.begin, last), surely=surely, cuts=cuts)


def _mends(act: Fault, fault: Fault, subject: str | Link | None) -> bool:
    """Whether ``act`` undoes what ``fault`` did to the subject."""
    heals = act.asked.get("heals", act.effect.get("heals"))
    if isinstance(heals, list | tuple):
        return fault.id in heals
    if act.f in HEALS and on_links(fault):
        return not act.links or subject in act.links
    named = not act.nodes or subject in act.nodes
    if fault.f in KILLS | WIPES:
        return act.f in RESTARTS and named
    return fault.f in PAUSES and act.f in RESUMES and named


def exposure(history: History, bounds: Bounds) -> Exposure:
    """What was sure about each of the members and servers, interval by interval."""
    members = tuple(name for name in bounds.members or history.nodes if name not in bounds.servers)
    names = members + bounds.servers
    place = {name: at for at, name in enumerate(names)}
    known = list(hurts(history.faults, history.end))
    times = [0, history.end]
    for hurt in known:
        times += [*hurt.possibly, *(hurt.surely or ())]
    edges = np.unique(np.clip(np.array(times, np.int64), 0, max(history.end, 0)))
    intervals, n = max(len(edges) - 1, 0), len(names)
    whole, cut = np.ones((intervals, n, n), bool), np.zeros((intervals, n, n), bool)
    healthy, down = np.ones((intervals, n), bool), np.zeros((intervals, n), bool)
    quiet = np.ones(intervals, bool)
    for hurt in known:
        maybe, sure = _span(edges, hurt.possibly), _span(edges, hurt.surely if hurt.cuts else None)
        quiet[maybe] = False
        nodes = [place[node] for node in hurt.nodes if node in place]
        links = [(place[a], place[b]) for a, b in hurt.links if a in place and b in place]
        if not hurt.nodes and not hurt.links:
            nodes = list(range(n))
        healthy[maybe, nodes] = False
        down[sure, nodes] = True
        if links:
            senders, receivers = zip(*links, strict=True)
            whole[maybe, senders, receivers] = False
            cut[sure, senders, receivers] = True
    both = whole & whole.transpose(0, 2, 1)
    joined = both & healthy[:, :, None] & healthy[:, None, :]
    joined[:, np.arange(n), np.arange(n)] = healthy
    return Exposure(
        members=members,
        servers=bounds.servers,
        edges=edges,
        healthy=healthy,
        down=down,
        joined=joined,
        open=~cut,
        quiet=quiet,
    )


def _span(edges: Ints, period: tuple[int, int] | None) -> slice:
    """The intervals that lie within the period, both of whose ends are edges (or beyond them)."""
    if period is None or period[1] <= period[0]:
        return slice(0, 0)
    start, end = np.searchsorted(edges, period)
    return slice(int(start), int(end))


def quiet_stretches(exposed: Exposure) -> list[Stretch]:
    """The longest periods in which no fault was possibly active."""
    return _stretches(exposed.edges, exposed.quiet[:, None], [exposed.members])


def eligible_stretches(exposed: Exposure, kind: Eligibility) -> list[Stretch]:
    """The longest periods in each of which one majority was eligible throughout, by their starts.

    For up to 15 members every majority is tried, and for a hub every node, which is exact. For larger cliques
    those found greedily in each state of the cluster are: what is returned is eligible, but a longer period may
    have been missed.
    """
    n = len(exposed.members)
    if not n or not len(exposed.quiet):
        return []
    if exposed.servers:
        return _served_stretches(exposed, kind)
    if kind == "hub":
        return _hub_stretches(exposed)
    sets = _all_majorities(n, kind) if n <= MOST_ENUMERATED else _greedy_majorities(exposed, kind)
    states: dict[bytes, Mask] = {}
    rows = [_eligible_in(exposed, at, kind, sets, states) for at in range(len(exposed.quiet))]
    return _stretches(exposed.edges, np.array(rows), [_names(exposed, chosen) for chosen in sets])


def _served_stretches(exposed: Exposure, kind: Eligibility) -> list[Stretch]:
    """Those in which a majority of the servers was eligible, and one node was joined to all of it, throughout."""
    served = serving(exposed, kind)
    ensembles = [_names(exposed, chosen) for chosen in _ensembles(exposed, kind)]
    witnesses = [(node, *ensemble) for node in exposed.members for ensemble in ensembles]
    return _stretches(exposed.edges, served.reshape(len(served), -1), witnesses)


def serving(exposed: Exposure, kind: Eligibility) -> Mask:
    """[interval, node, majority of the servers]: whether that majority was eligible among the servers, and the node
    healthy and joined to all of it."""
    sets = _ensembles(exposed, kind)
    fit = np.zeros((len(exposed.quiet), len(sets)), bool)
    reached = np.zeros((len(exposed.quiet), len(exposed.members), len(sets)), bool)
    own = slice(len(exposed.members), None)
    for at, chosen in enumerate(sets):
        reached[:, :, at] = exposed.joined[:, : len(exposed.members), chosen].all(axis=2)
        among: Mask = exposed.joined[:, chosen][:, :, chosen]
        if kind == "hub":
            fit[:, at] = np.any(among.all(axis=2), axis=1)
            continue
        fit[:, at] = among.all(axis=(1, 2))
        if kind == "isolated":
            entrances: Mask = (exposed.open & ~exposed.down[:, :, None])[:, own][:, ~chosen[own]][:, :, chosen]
            fit[:, at] &= ~np.any(entrances, axis=(1, 2))
    return reached & fit[:, None, :]


def _ensembles(exposed: Exposure, kind: Eligibility) -> Mask:
    """The majorities of the servers, as places among all names."""
    sets = _all_majorities(len(exposed.servers), kind)
    return np.concatenate((np.zeros((len(sets), len(exposed.members)), bool), sets), axis=1)


def _hub_stretches(exposed: Exposure) -> list[Stretch]:
    """Those in which some node was joined to the same others, with itself a majority, throughout."""
    found: list[Stretch] = []
    enough = len(exposed.members) // 2 + 1
    for hub in range(len(exposed.members)):
        reached = 0
        own = exposed.joined[:, hub]
        # Where nothing is newly joined a stretch that began one interval earlier lasts as long.
        gains = (np.diff(own, axis=0, prepend=False) & own).any(axis=1)
        for start in np.flatnonzero(gains & (own.sum(axis=1) >= enough)).tolist():
            joined = np.logical_and.accumulate(own[start:], axis=0)
            end = start + int(np.argmin(np.append(joined.sum(axis=1) >= enough, False)))
            if end > reached:
                reached = end
                period = int(exposed.edges[start]), int(exposed.edges[end])
                witness = _names(exposed, joined[end - start - 1])
                found.append(Stretch(start=period[0], end=period[1], witness=witness))
    return _longest(found)


def _names(exposed: Exposure, chosen: Mask) -> tuple[str, ...]:
    return tuple(exposed.names[at] for at in np.flatnonzero(chosen))


def _eligible_in(exposed: Exposure, at: int, kind: Eligibility, sets: Mask, states: dict[bytes, Mask]) -> Mask:
    """Which of the sets are eligible in that interval; states that come again are looked up."""
    joined = exposed.joined[at]
    entrances = exposed.open[at] & ~exposed.down[at][:, None]
    state = joined.tobytes() + (entrances.tobytes() if kind == "isolated" else b"")
    if state not in states:
        states[state] = _eligible(joined, entrances, kind, sets)
    return states[state]


def _eligible(joined: Mask, entrances: Mask, kind: Eligibility, sets: Mask) -> Mask:
    """``entrances`` [from, to] are the links through which an outsider may be heard."""
    inside = sets.astype(np.float32)  # counting by matrix products, which only floats do fast
    clique: Mask = (inside @ (~joined).astype(np.float32) * inside).sum(axis=1) == 0
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


def _greedy_majorities(exposed: Exposure, kind: Eligibility) -> Mask:
    """For each state of the cluster a majority grown from each node, best connected first."""
    found: dict[bytes, Mask] = {}
    for joined in {state.tobytes(): state for state in exposed.joined}.values():
        for node in np.flatnonzero(joined.diagonal()).tolist():
            grown = _grown(joined, node, kind)
            if grown.sum() > len(joined) // 2:
                found[grown.tobytes()] = grown
    return np.array(list(found.values()), bool).reshape(-1, len(exposed.members))


def _grown(joined: Mask, node: int, kind: Eligibility) -> Mask:
    """A clique around the node: up to a majority, or as large as can be where outsiders matter."""
    enough = len(joined) if kind == "isolated" else len(joined) // 2 + 1
    chosen = np.zeros(len(joined), bool)
    candidates = joined[node].copy()
    for other in [node, *np.argsort(-joined.sum(axis=1), kind="stable").tolist()]:
        if candidates[other] and chosen.sum() < enough:
            chosen[other] = True
            candidates &= joined[other]
    return chosen


def _stretches(edges: Ints, holds: Mask, witnesses: list[tuple[str, ...]]) -> list[Stretch]:
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
        Stretch(start=int(edges[first[at]]), end=int(edges[last[at]]), witness=witnesses[column[at]])
        for at in record.tolist()
    ]


def _longest(found: list[Stretch]) -> list[Stretch]:
    """Those that do not lie within another, by their starts."""
    kept: list[Stretch] = []
    for stretch in sorted(found, key=lambda stretch: (stretch.start, -stretch.end)):
        if not kept or stretch.end > kept[-1].end:
            kept.append(stretch)
    return kept


def covered(stretches: Iterable[Stretch]) -> int:
    """How many ns lie in at least one of the stretches, which come by their starts."""
    total, reached = 0, 0
    for stretch in stretches:
        total += max(0, stretch.end - max(stretch.start, reached))
        reached = max(reached, stretch.end)
    return total


def touched(fault: Fault) -> frozenset[str]:
    """The nodes that the fault was about, at the ends of its links too."""
    return frozenset(fault.nodes).union(*fault.links)
