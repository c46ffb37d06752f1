"""Stability: a leader keeps its leadership while it is up, undisturbed and connected to a healthy majority.

"Once a leader is elected, it remains the leader for as long as it does not crash and its links have been behaving
well, irrespective of the behavior of other processes and links" (Aguilera, Delporte-Gallet, Fauconnier and Toueg,
"Stable Leader Election", DISC 2001). A change from reign l to the next reign m is unprovoked iff all that held for
l's node from the system's suspicion time before s(l), its last sure instant, until f(m), the first of its
successor, towards one fixed majority, and the machine was on time. Faults on others do not excuse it. What was before
the history began is not known, so a leader that fell that early, perhaps to nodes still being started, is excused.
Where the election rests on servers, that majority is one of theirs, undisturbed and connected among themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import ClusterHealth, cluster_health
from splitbrain.checkers.eligibility import serving
from splitbrain.checkers.fault_periods import is_repair
from splitbrain.checkers.history import History
from splitbrain.checkers.leaderships import EVER, KEYLESS, Leaderships
from splitbrain.checkers.operations import NONE, Codes, Ints, Mask, Observations
from splitbrain.checkers.starvation import Starvation
from splitbrain.checkers.verdict import Finding, Outcome, Verdict
from splitbrain.checkers.words import counted, cut_short, instant
from splitbrain.names import Guarantee

PROPERTY = "stability"
GUARANTEE: Guarantee = "stability"
MOST_FINDINGS = 200
NS_A_MINUTE = 60_000_000_000


def check(history: History, bounds: Bounds | None = None) -> Verdict:
    """Whether a leader that nothing was wrong with lost its leadership, or lost and won it again."""
    bounds = bounds or Bounds()
    led = history.leaderships
    if not len(led):
        words = "no node was seen leading, so nothing was tested"
        return Verdict(property=PROPERTY, outcome=Outcome.UNKNOWN, words=words)
    old, new = changes(led, history.observations)
    start = np.minimum(led.s[old], led.f[new]) - bounds.suspicion_ns
    # Of the time before the history began nothing is sure: nodes may have been started one after another.
    undisturbed = (start >= 0) & _undisturbed(
        history, cluster_health(history, bounds), led.node[old], start, led.f[new]
    )
    starved = Starvation.of(history, bounds).within(start, led.f[new])
    unprovoked = np.flatnonzero(undisturbed & ~starved)
    facts = {
        "leader_changes": len(old),
        "unprovoked_changes": len(unprovoked),
        "excused_by_starvation": int((undisturbed & starved).sum()),
        **_rates(history, led, new),
    }
    if not len(unprovoked):
        words = (
            f"{counted(len(old), 'leader change')}, none of them without a reason"
            if len(old)
            else ("the first leader led to the end")
        )
        return Verdict(property=PROPERTY, outcome=Outcome.VALID, words=words, facts=facts)
    findings = tuple(
        _finding(history, led, int(old[at]), int(new[at]), int(start[at])) for at in unprovoked[:MOST_FINDINGS]
    )
    cut = cut_short(len(unprovoked), MOST_FINDINGS)
    return Verdict(
        property=PROPERTY,
        outcome=Outcome.INVALID,
        words=f"{len(unprovoked):,} of {counted(len(old), 'leader change')} had no reason{cut}: {findings[0].words}",
        evidence=findings[0].evidence,
        findings=findings,
        facts=facts,
    )


def changes(led: Leaderships, seen: Observations) -> tuple[Ints, Ints]:
    """The reigns that ended in a change, and those that followed them, in the order in which reigns became sure.

    Claims of one node without a key are not told apart, so one after another they are no change. Neither is a reign
    that came and went, or came last, in no newer term, followed by nobody else, while the one before it surely went on:
    two led at once, but none lost anything (a master that comes back with its old role, until it is told).
    """
    ends = np.where(_goes_on(led, seen), EVER, led.s)
    pairs = []
    holder = 0
    for reign in range(1, len(led)):
        superseded = led.term[reign] > led.term[holder]
        outlived = led.s[holder] >= led.f[reign] and ends[holder] > led.s[reign]
        if outlived and not superseded and not _followed(led, reign, seen):
            continue
        pairs.append((holder, reign))
        holder = reign
    old, new = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    same = (led.node[old] == led.node[new]) & (led.kind[old] == KEYLESS) & (led.kind[new] == KEYLESS)
    return old[~same], new[~same]


def _followed(led: Leaderships, reign: int, seen: Observations) -> bool:
    """Whether another node said, while the reign surely lasted, that it followed that leader."""
    node = led.node[reign]
    during = seen.ok & (seen.complete >= led.f[reign]) & (seen.invoke <= led.s[reign])
    return bool(np.any(during & (seen.leader == node) & (seen.node != node)))


def _goes_on(led: Leaderships, seen: Observations) -> Mask:
    """Whether each reign is what its node claimed in its last answer."""
    going = np.zeros(len(led), bool)
    answers = np.flatnonzero(seen.ok)[::-1]
    _, last = np.unique(seen.node[answers], return_index=True)
    reigns = led.of_row[answers[last]]
    going[reigns[reigns != NONE]] = True
    return going


def _undisturbed(history: History, health: ClusterHealth, node: Codes, start: Ints, end: Ints) -> Mask:
    """Whether each node was healthy and joined to the same nodes, with itself a majority, from start to end; or to
    the same majority of the servers, where there are some."""
    fine = np.zeros(len(node), bool)
    intervals = len(health.fault_free)
    if not intervals:
        return fine
    # The interval of each end; an end on an edge belongs to both, which the wider choice takes in.
    first = np.clip(np.searchsorted(health.edges, start, side="left") - 1, 0, intervals - 1)
    last = np.clip(np.searchsorted(health.edges, end, side="right") - 1, 0, intervals - 1)
    # [interval, node, whoever it should be joined to], and how many of these it takes.
    ties = serving(health, "clique") if health.servers else health.connected
    enough = 1 if health.servers else len(health.members) // 2 + 1
    for place, member in enumerate(health.members):
        own = np.flatnonzero(node == history.code.get(member, NONE))
        # A row of ones behind the last interval lets every slice have an end.
        tied = np.concatenate((ties[:, place], np.ones((1, ties.shape[2]), bool)))
        slices = np.stack((first[own], last[own] + 1), axis=1).ravel()
        throughout = np.logical_and.reduceat(tied, slices, axis=0)[::2] if len(own) else tied[:0]
        fine[own] = throughout.sum(axis=1) >= enough
    return fine


def _rates(history: History, led: Leaderships, new: Ints) -> Mapping[str, Any]:
    """Changes after each heal (before the next fault), term growth, and changes a minute."""
    acts = [fault for fault in history.faults if fault.skipped is None]
    ends = [*(act.begin for act in acts), history.end][1:]
    first = led.f[new]
    heals: list[dict[str, Any]] = [
        {"id": act.id, "changes": int(np.subtract(*np.searchsorted(first, (end, act.done), side="right")))}
        for act, end in zip(acts, ends, strict=True)
        if is_repair(act) and act.done is not None
    ]
    terms = history.observations.term[history.observations.ok & (history.observations.term != NONE)]
    return {
        "changes_after_heals": heals,
        "changes_a_heal": sum(heal["changes"] for heal in heals) / len(heals) if heals else None,
        "term_growth": int(terms.max() - terms.min()) if len(terms) else None,
        "changes_a_minute": len(new) * NS_A_MINUTE / history.end if history.end else None,
    }


def _finding(history: History, led: Leaderships, old: int, new: int, start: int) -> Finding:
    before, after = history.nodes[led.node[old]], history.nodes[led.node[new]]
    how = f"lost its leadership to {after}" if before != after else "lost its leadership and won it again"
    return Finding(
        guarantee=GUARANTEE,
        words=f"{before} ({led.key(old)}) {how} ({led.key(new)}) by {instant(int(led.f[new]))}, though it was "
        "up, undisturbed and connected to a majority",
        evidence=tuple(sorted({int(led.s_line[old]), int(led.f_line[new])})),
        start=max(0, start),
        end=int(led.f[new]),
        nodes=tuple(dict.fromkeys((before, after))),
        facts={"reigns": [led.key(old), led.key(new)], "terms": [led.term_of(old), led.term_of(new)]},
    )
