"""Election quorum: no node begins to lead where no majority could have elected it.

Every two majorities share a voter, and term safety and consensus rest on that (Gifford, "Weighted Voting for Replicated
Data", SOSP 1979; Ongaro and Ousterhout 2014, section 5.2). An implementation that counts answers instead of voters, or
answers to earlier campaigns, elects with fewer (nats-server issue 5149).

Neither messages nor clocks of nodes are read. Let r be a reign of node x, b the earliest completion of a claim of r,
and c an instant such that the campaign of r certainly began after c. Every vote in it was then asked for and given
within [c, b]. If fewer than a majority could exchange messages both ways with x in that window, r had no quorum. That
the campaign began after c is shown in two ways (the proof is in docs/judging.md):

- **by term**: an answer of x invoked at c shows a lower term than r's. Only where nodes elect: a node enters a term
  before it asks for votes in it, while a server assigns the term of a lease afterwards.
- **by time**: an answer of x that denies leading was invoked more than the longest round of an election after c, and x
  was certainly undisturbed in between. Delays in force are added to the round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import ClusterHealth, cluster_health
from splitbrain.checkers.fault_periods import is_cut
from splitbrain.checkers.history import History
from splitbrain.checkers.incidents import disturbances
from splitbrain.checkers.leaderships import KEYLESS, Leaderships, hulls, split
from splitbrain.checkers.operations import NONE, Ints, Mask
from splitbrain.checkers.starvation import Starvation
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import counted, cut_short, instant, listed
from splitbrain.names import MS, Guarantee

PROPERTY = "election-quorum"
GUARANTEE: Guarantee = "election-quorum"
MOST_FINDINGS = 200


class Campaign(NamedTuple):
    """An instant (ns) after which the campaign of a reign certainly began, and the observation row that shows it."""

    after: int
    row: int
    shown_by: Literal["term", "time"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Suspect:
    """A reign whose node could exchange messages with no majority at the end of its election.

    ``first_claim`` is the earliest completion of a claim (ns). ``reached`` are those of the ``electors`` that may have
    taken part, the node itself included where nodes elect. ``starved``: only starvation of the machine leaves in doubt
    that the campaign began when ``campaign`` says.
    """

    reign: int
    first_claim: int
    campaign: Campaign
    reached: tuple[str, ...]
    electors: tuple[str, ...]
    starved: bool


def check(history: History, bounds: Bounds | None = None) -> Verdict:
    """Check that a majority could have elected each leader. The evidence is an answer and the first claim."""
    bounds = bounds or Bounds()
    led = _contiguous(history)
    if untested := _untested(led, bounds):
        words = f"{untested}, so {PROPERTY} was not tested"
        return Verdict(property=PROPERTY, observed=Observed.UNDECIDED, words=words)
    suspects = list(_suspects(history, bounds, led))
    proven = _first_of_each([each for each in suspects if not each.starved], led)
    doubtful = sum(each.starved for each in suspects)
    findings = tuple(_finding(history, bounds, led, each) for each in proven[:MOST_FINDINGS])
    return Verdict(
        property=PROPERTY,
        observed=Observed.VIOLATED if findings else Observed.UNDECIDED if doubtful else Observed.HELD,
        words=_words(len(led), findings, len(proven), doubtful),
        evidence=findings[0].evidence if findings else (),
        findings=findings,
        facts={"reigns": len(led), "without_quorum": len(proven), "undecided_by_starvation": doubtful},
    )


def _untested(led: Leaderships, bounds: Bounds) -> str | None:
    """The reason why no election can be judged, None if they can."""
    if bounds.elects == "none":
        return "no majority is said to elect"
    if bounds.elects == "servers" and not bounds.servers:
        return "the servers that elect are not known"
    return None if len(led) else "no node was seen leading"


def _words(reigns: int, findings: tuple[Finding, ...], proven: int, doubtful: int) -> str:
    if findings:
        more = f"; {counted(proven - 1, 'other reign')} likewise" if proven > 1 else ""
        return f"{findings[0].words}{more}{cut_short(proven, MOST_FINDINGS)}"
    if doubtful:
        return f"{counted(doubtful, 'reign')} of {reigns:,} may have begun without a majority; the machine was starved"
    return f"no reign of {reigns:,} is proven to have begun without a majority"


def _contiguous(history: History) -> Leaderships:
    """The reigns, split where a denial shows that a key is not contiguous."""
    seen, led = history.observations, history.leaderships
    refuted = hulls(seen, led).end < led.s
    return split(seen, led, refuted) if refuted.any() else led


def _first_of_each(proven: list[_Suspect], led: Leaderships) -> list[_Suspect]:
    """Without the repeated claims of one leadership, which cannot be told apart where claims have no key."""
    kept: dict[tuple[int, int], _Suspect] = {}
    for each in proven:
        key = each.campaign.row if led.kind[each.reign] == KEYLESS else -1 - each.reign
        kept.setdefault((int(led.node[each.reign]), key), each)
    return list(kept.values())


# Elections that no majority could have taken part in


def _suspects(history: History, bounds: Bounds, led: Leaderships) -> Iterator[_Suspect]:
    """The reigns that no majority can have elected, by the earliest claim."""
    if not any(period.cuts and period.certain for period in disturbances(history)):
        return
    health = cluster_health(history, bounds)
    place = {name: at for at, name in enumerate(health.members)}
    campaigns = _Campaigns(history, bounds, led, health)
    electors = _electors(health, bounds)
    majority = len(electors) // 2 + 1
    for reign in range(len(led)):
        node = place.get(history.nodes[led.node[reign]])
        end = int(led.f[reign])
        if node is None or len(_reached(health, bounds, node, end, end)) >= majority:
            continue  # it could even be elected at the instant of its first claim
        for campaign, starved in campaigns.of(reign, node):
            reached = _reached(health, bounds, node, campaign.after, end)
            if len(reached) < majority:
                yield _Suspect(
                    reign=reign,
                    first_claim=end,
                    campaign=campaign,
                    reached=reached,
                    electors=electors,
                    starved=starved,
                )
                break


def _electors(health: ClusterHealth, bounds: Bounds) -> tuple[str, ...]:
    return health.members if bounds.elects == "nodes" else bounds.electors or health.servers


def _reached(health: ClusterHealth, bounds: Bounds, node: int, start: int, end: int) -> tuple[str, ...]:
    """The electors that may have taken part in an election of the node within [start, end] (ns)."""
    exchanged = _exchanges(health, start, end)
    if bounds.elects == "nodes":
        reached = exchanged[node]
        return tuple(name for at, name in enumerate(health.members) if reached[at] or at == node)
    reached_servers = {health.names[at] for at in _through_servers(exchanged, node, len(health.members))}
    return tuple(name for name in _electors(health, bounds) if name in reached_servers)


def _through_servers(exchanged: Mask, node: int, members: int) -> list[int]:
    """The servers that the node reaches directly or through other servers: any of them may forward a request."""
    reached: set[int] = set()
    frontier = {node}
    while frontier:
        found = {int(at) for each in frontier for at in np.flatnonzero(exchanged[each]) if at >= members}
        frontier = found - reached
        reached |= frontier
    return sorted(reached)


def _exchanges(health: ClusterHealth, start: int, end: int) -> Mask:
    """Mask [a, b]: a request of a may have been answered by b, all of it within the closed period [start, end] (ns).

    The request is handled at an instant at which b is not certainly down. The link to b carried it at or before that
    instant, and the link back carried the answer at or after it, however long either was under way.
    """
    last = len(health.edges) - 2
    if start <= 0 or last < 0:
        return np.ones((len(health.names), len(health.names)), bool)
    # A period that touches an edge includes the intervals on both sides of it.
    first = int(np.clip(np.searchsorted(health.edges, start, side="left") - 1, 0, last))
    until = int(np.clip(np.searchsorted(health.edges, end, side="right") - 1, first, last)) + 1
    out = np.logical_or.accumulate(health.maybe_open[first:until])
    back = np.logical_or.accumulate(health.maybe_open[first:until][::-1])[::-1].transpose(0, 2, 1)
    answered: Mask = np.any(out & back & ~health.down[first:until, None, :], axis=0)
    return answered


# The beginning of a campaign


class _Campaigns:
    """Finds instants after which the campaign of a reign certainly began."""

    def __init__(self, history: History, bounds: Bounds, led: Leaderships, health: ClusterHealth) -> None:
        self._history = history
        self._by_term = bounds.elects == "nodes"
        self._led = led
        self._health = health
        self._starvation = Starvation.of(history, bounds)
        self._round = bounds.round_ns + bounds.slack_ns + self._starvation.tolerated
        self._slowed = sorted(_slowed(history), key=lambda slowed: -slowed[1])

    def of(self, reign: int, node: int) -> Iterator[tuple[Campaign, bool]]:
        """The latest such instant of each kind, the most certain first; true if starvation leaves it in doubt."""
        seen, led = self._history.observations, self._led
        rows = np.flatnonzero(
            seen.ok & (seen.node == led.node[reign]) & (seen.complete < led.s[reign]) & (led.of_row != reign)
        )
        if self._by_term:
            lower = rows[(seen.term[rows] != NONE) & (seen.term[rows] < led.term[reign])]
            if len(lower):
                row = lower[np.argmax(seen.invoke[lower])]
                yield Campaign(int(seen.invoke[row]), int(row), "term"), False
        denials = rows[~seen.leading[rows]]
        after = self._a_round_before(seen.invoke[denials])
        sound = after >= self._undisturbed_since(node, seen.invoke[denials])
        denials, after = denials[sound], after[sound]
        starved = self._starvation.within(after, seen.invoke[denials])
        for doubt in (False, True):
            those = np.flatnonzero(starved == doubt)
            if len(those):
                at = those[np.argmax(after[those])]
                yield Campaign(int(after[at]), int(denials[at]), "time"), doubt

    def _a_round_before(self, times: Ints) -> Ints:
        """The longest round of an election before each time (ns), with all delays that may have been in force."""
        after = times - self._round
        for start, end, delay in self._slowed:  # the latest end first: a delay may move the start back to others
            after = np.where((start <= times) & (end >= after), after - delay, after)
        return after

    def _undisturbed_since(self, node: int, times: Ints) -> Ints:
        """Since when (ns) the node was certainly healthy, at each time; 0 is the start of the history."""
        edges, healthy = self._health.edges, self._health.healthy[:, node]
        since = np.maximum.accumulate(np.where(healthy, 0, edges[1:]))
        return since[np.clip(np.searchsorted(edges, times, side="left") - 1, 0, len(since) - 1)]


def _slowed(history: History) -> Iterator[tuple[int, int, int]]:
    """Periods (ns) in which messages may have been slowed, and by how much a request and its answer then take longer.

    Only a delay has a bound. For any other fault of links the time is more than the history's.
    """
    for period in disturbances(history):
        if not period.links or is_cut(period.fault):
            continue
        asked = period.fault.asked
        delays = (asked.get("ms"), asked.get("jitter_ms", 0))
        bounded = period.fault.f == "delay" and all(isinstance(ms, int | float) for ms in delays)
        yield *period.possible, 2 * round(sum(delays) * MS) if bounded else history.end + 1


def _finding(history: History, bounds: Bounds, led: Leaderships, suspect: _Suspect) -> Finding:
    seen, campaign, reign = history.observations, suspect.campaign, suspect.reign
    node, term = history.nodes[led.node[reign]], led.term_of(reign)
    others = [name for name in suspect.reached if name != node]
    in_term = "" if term is None else f" in term {term}"
    words = (
        f"{node} began to lead{in_term} between {instant(campaign.after)} and {instant(suspect.first_claim)}, when it "
        f"could exchange messages with {f'{listed(others)} only' if others else 'no other'}: "
        f"{len(suspect.reached)} of {len(suspect.electors)} {bounds.elects} are no majority"
    )
    answer, claim = int(seen.complete_index[campaign.row]), int(led.f_line[reign])
    isolating = _isolating(history, campaign.after, suspect.first_claim, {node, *suspect.electors} - {*others})
    return Finding(
        guarantee=GUARANTEE,
        words=words,
        evidence=tuple(sorted({answer, claim, *isolating})),
        start=campaign.after,
        end=suspect.first_claim,
        nodes=(node,),
        facts={
            "term": term,
            "reached": list(suspect.reached),
            "electors": list(suspect.electors),
            "by": campaign.shown_by,
        },
    )


def _isolating(history: History, start: int, end: int, among: set[str]) -> Iterator[int]:
    """The lines at which cuts and kills took effect that were certain in [start, end] (ns) and concern these names."""
    for period in disturbances(history):
        certain = period.certain
        concerned = any(link[0] in among and link[1] in among for link in period.links) or among & {*period.nodes}
        line = period.fault.done_index
        if period.cuts and concerned and line is not None and certain and certain[0] <= end and certain[1] >= start:
            yield line
