"""Stability: a leader keeps its leadership while it is up, undisturbed and connected to a healthy majority.

"Once a leader is elected, it remains the leader for as long as it does not crash and its links have been behaving
well, irrespective of the behavior of other processes and links" (Aguilera, Delporte-Gallet, Fauconnier and Toueg,
"Stable Leader Election", DISC 2001). A change from reign l to the next reign m is unprovoked iff all of this held for
l's node, with one fixed majority, from the system's suspicion time before s(l), its last certain instant, until f(m),
the first certain instant of its successor, and the machine was not starved. Faults on other nodes do not excuse it. A
change during which the machine was starved is undecided, unless a fault excuses it anyway. A change soon after the
start of the history is excused, because earlier disturbances, such as nodes still starting, are unknown. If the
election rests on servers, the majority is one of the servers, undisturbed and connected to each other.
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
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import counted, cut_short, instant
from splitbrain.names import Guarantee

PROPERTY = "stability"
GUARANTEE: Guarantee = "stability"
MOST_FINDINGS = 200
NS_A_MINUTE = 60_000_000_000


def check(history: History, bounds: Bounds | None = None) -> Verdict:
    """Check that no change of leader was unprovoked.

    The evidence is the last claim of the old reign and the first of the new one.
    """
    bounds = bounds or Bounds()
    led = history.leaderships
    if not len(led):
        words = "no node was seen leading, so stability was not tested"
        return Verdict(property=PROPERTY, observed=Observed.UNDECIDED, words=words)
    old, new = changes(led, history.observations)
    start = np.minimum(led.s[old], led.f[new]) - bounds.suspicion_ns
    # The time before the history is unknown: nodes may have been started one after another.
    undisturbed = (start >= 0) & _undisturbed(
        history, cluster_health(history, bounds), led.node[old], start, led.f[new]
    )
    starved = Starvation.of(history, bounds).within(start, led.f[new])
    unprovoked = np.flatnonzero(undisturbed & ~starved)
    facts = {
        "leader_changes": len(old),
        "unprovoked_changes": len(unprovoked),
        "undecided_by_starvation": int((undisturbed & starved).sum()),
        **_rates(history, led, new),
    }
    if not len(unprovoked):
        return _none_unprovoked(len(old), int((undisturbed & starved).sum()), facts)
    findings = tuple(
        _finding(history, led, int(old[at]), int(new[at]), int(start[at])) for at in unprovoked[:MOST_FINDINGS]
    )
    cut = cut_short(len(unprovoked), MOST_FINDINGS)
    return Verdict(
        property=PROPERTY,
        observed=Observed.VIOLATED,
        words=f"{len(unprovoked):,} of {counted(len(old), 'leader change')} unprovoked{cut}",
        detail=findings[0].words,
        evidence=findings[0].evidence,
        findings=findings,
        facts=facts,
    )


def _none_unprovoked(changed: int, undecided: int, facts: Mapping[str, Any]) -> Verdict:
    """The verdict on that many changes of leader of which none is proven to be unprovoked, and some are undecided."""
    observed = Observed.HELD
    if undecided:
        observed = Observed.UNDECIDED
        total = counted(changed, "leader change")
        words = f"the machine was starved during {undecided:,} of {total} without another excuse"
    elif changed:
        words = f"{counted(changed, 'leader change')}, {'all ' if changed > 1 else ''}excused"
    else:
        words = "the first leader led to the end"
    return Verdict(property=PROPERTY, observed=observed, words=words, facts=facts)


def changes(led: Leaderships, seen: Observations) -> tuple[Ints, Ints]:
    """The changes of leader: indexes of the reigns that ended, and of those that followed, sorted by ``f``.

    Claims of one node without a key cannot be distinguished, so in succession they are no change. Neither is a reign in
    no newer term and without followers, during which the previous reign certainly continued: there were two leaders,
    but neither lost its leadership (a Redis master that returns in its old role until it is demoted).
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
    """True if another node named that leader at some instant while the reign certainly lasted."""
    node = led.node[reign]
    during = seen.ok & (seen.complete >= led.f[reign]) & (seen.invoke <= led.s[reign])
    return bool(np.any(during & (seen.leader == node) & (seen.node != node)))


def _goes_on(led: Leaderships, seen: Observations) -> Mask:
    """Mask of the reigns that their nodes claimed in their last answers."""
    going = np.zeros(len(led), bool)
    answers = np.flatnonzero(seen.ok)[::-1]
    _, last = np.unique(seen.node[answers], return_index=True)
    reigns = led.of_row[answers[last]]
    going[reigns[reigns != NONE]] = True
    return going


def _undisturbed(history: History, health: ClusterHealth, node: Codes, start: Ints, end: Ints) -> Mask:
    """Mask of the nodes that were healthy and connected to one fixed majority throughout [start, end] (ns)."""
    fine = np.zeros(len(node), bool)
    intervals = len(health.fault_free)
    if not intervals:
        return fine
    # The interval of each end. An end on an edge belongs to two intervals; the wider choice includes both.
    first = np.clip(np.searchsorted(health.edges, start, side="left") - 1, 0, intervals - 1)
    last = np.clip(np.searchsorted(health.edges, end, side="right") - 1, 0, intervals - 1)
    # [interval, node, peer or majority of servers], and how many of the last axis are required.
    ties = serving(health, "clique") if health.servers else health.connected
    enough = 1 if health.servers else len(health.members) // 2 + 1
    for place, member in enumerate(health.members):
        changed = np.flatnonzero(node == history.code.get(member, NONE))
        # A row of ones after the last interval gives every slice an end.
        tied = np.concatenate((ties[:, place], np.ones((1, ties.shape[2]), bool)))
        slices = np.stack((first[changed], last[changed] + 1), axis=1).ravel()
        throughout = np.logical_and.reduceat(tied, slices, axis=0)[::2] if len(changed) else tied[:0]
        fine[changed] = throughout.sum(axis=1) >= enough
    return fine


def _rates(history: History, led: Leaderships, new: Ints) -> Mapping[str, Any]:
    """Facts about rates: changes after each repair (before the next act), term growth, changes per minute."""
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
