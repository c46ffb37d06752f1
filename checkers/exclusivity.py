"""Exclusivity: at no instant do two nodes lead, whatever their terms.

Two reigns l and m of different nodes overlap in every execution that fits the observations iff s(l) >= f(m) and
s(m) >= f(l): some claim of l was invoked after some claim of m had completed, and vice versa, so neither reign can be
placed entirely before the other. The condition is necessary and sufficient, and it suffices to look at pairs. It is the
zone test of Gibbons and Korach ("Testing Shared Memories", SIAM J. Comput. 26(4), 1997), with leadership as the value.
Overlapping *windows* prove nothing, because each claim holds only at some instant of its window.

The classes: ``proven``; ``possible`` if nothing is proven but the widest intervals of two reigns meet; ``excluded``
otherwise. Only a proven overlap fails a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from splitbrain.checkers.fault_periods import FaultPeriod
from splitbrain.checkers.history import History
from splitbrain.checkers.incidents import running_ns, stops
from splitbrain.checkers.leaderships import BY_REIGN, KEYLESS, Leaderships, hulls, split
from splitbrain.checkers.operations import Codes, Ints, Mask
from splitbrain.checkers.running_max import NO_PLACE, RunningMax
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import counted, duration, during, ends, listed, times
from splitbrain.names import COUNTED_REIGN, Guarantee

PROPERTY = "exclusivity"
GUARANTEE: Guarantee = "exclusivity"
MOST_FINDINGS = 200
MOST_REPORTED = 20
MOST_COMPARED = 1500  # with more conflicting reigns, not every pair is examined


def check(history: History) -> Verdict:
    """Check that no two nodes led at one instant. The evidence is the two to four observations that prove it."""
    seen = history.observations
    nodes = np.unique(seen.node[seen.ok])
    known = history.leaderships
    if len(nodes) < 2 or not len(known):
        words = "no node was seen leading" if len(nodes) >= 2 else "fewer than two nodes answered"
        return Verdict(property=PROPERTY, observed=Observed.UNDECIDED, words=f"{words}, so exclusivity was not tested")
    widest = hulls(seen, known)
    refuted = widest.end < known.s
    led = split(seen, known, refuted) if refuted.any() else known
    partner = conflicts(led.node, led.f, led.s)
    dual = partner != NO_PLACE
    if dual.any():
        kind = "proven"
    else:
        widest = hulls(seen, led) if refuted.any() else widest
        kind = "possible" if may_meet(led.node, widest.start, widest.end).any() else "excluded"
    facts = {
        "reigns": len(led),
        "conflicting_reigns": int(dual.sum()),
        "longest_overlap_ns": max(0, int(longest_overlaps(led)[0].max())),
        **_broken_keys(history, known, refuted, widest.denied_at),
        **_contradictions(history, known),
        **_counted(led),
    }
    return _verdict(history, led, partner, kind, facts)


def conflicts(node: Codes, f: Ints, s: Ints) -> Ints:
    """For each reign (sorted by ``f``) the index of one that it conflicts with, -1 if there is none.

    Some reign m of another node with f(m) <= s(l) conflicts with l iff the largest s(m) among them is >= f(l).
    """
    best = RunningMax.of(s, node).best(np.searchsorted(f, s, side="right"), node)
    return np.where((best != NO_PLACE) & (s[best] >= f), best, NO_PLACE)


def may_meet(node: Codes, start: Ints, end: Ints) -> Mask:
    """Mask of the reigns whose open interval (start, end) meets that of a reign of another node."""
    order = np.argsort(start, kind="stable")
    best = RunningMax.of(end[order], node[order]).best(np.searchsorted(start[order], end), node)
    meets: Mask = (best != NO_PLACE) & (end[order][best] > start)
    return meets


def longest_overlaps(led: Leaderships) -> tuple[Ints, Ints]:
    """For each reign the longest proven overlap (ns) with a reign of another node that began no later, and the index of
    that reign. If there is none, the overlap is negative and the index -1."""
    best = RunningMax.of(led.s, led.node).best(np.searchsorted(led.f, led.f, side="right"), led.node)
    overlap = np.where(best != NO_PLACE, np.minimum(led.s, led.s[best]) - led.f, NO_PLACE)
    return overlap, np.where(overlap >= 0, best, NO_PLACE)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two conflicting reigns and the length (ns) of their proven overlap."""

    left: int
    right: int
    overlap: int  # negative if it is proven only for some instant


def _pairs(led: Leaderships, partner: Ints) -> tuple[list[_Pair], bool]:
    """The conflicting pairs with the longest overlaps, in order of time, and True if none was left out."""
    dual = np.flatnonzero(partner != NO_PLACE)
    if len(dual) <= MOST_COMPARED:
        node, f, s = led.node[dual], led.f[dual], led.s[dual]
        meet = (s[:, None] >= f) & (s >= f[:, None]) & (node[:, None] != node)
        left, right = np.nonzero(np.triu(meet))
        left, right = dual[left], dual[right]
    else:
        longest = longest_overlaps(led)[1][dual]
        known = longest != NO_PLACE
        ones = np.concatenate((dual, dual[known]))
        others = np.concatenate((partner[dual], longest[known]))
        pairs = np.unique(np.minimum(ones, others) * len(led) + np.maximum(ones, others))
        left, right = np.divmod(pairs, len(led))
    overlap = np.minimum(led.s[left], led.s[right]) - np.maximum(led.f[left], led.f[right])
    shown = np.sort(np.argsort(-overlap, kind="stable")[:MOST_FINDINGS])
    complete = len(dual) <= MOST_COMPARED and len(shown) == len(left)
    found = zip(left[shown].tolist(), right[shown].tolist(), overlap[shown].tolist(), strict=True)
    return [_Pair(*pair) for pair in found], complete


def _finding(history: History, led: Leaderships, stopped: list[FaultPeriod], pair: _Pair) -> Finding:
    both = (pair.left, pair.right)
    nodes = tuple(history.nodes[led.node[at]] for at in both)
    terms = [led.term_of(at) for at in both]
    start, end = sorted((max(int(led.f[at]) for at in both), min(int(led.s[at]) for at in both)))
    facts: dict[str, Any] = {
        "reigns": [led.key(at) for at in both],
        "terms": terms,
        "same_term": terms[0] is not None and terms[0] == terms[1],
        "overlap_ns": max(0, pair.overlap),
        "running_ns": 0 if pair.overlap <= 0 else running_ns(stopped, nodes, start, end),
        "momentary": pair.overlap < 0,
    }
    lasting = f" {_lasting(facts)}," if facts["overlap_ns"] else ""
    return Finding(
        guarantee=GUARANTEE,
        words=f"{_leaders(nodes, facts)} both led{lasting} {_when(start, end, facts)}",
        evidence=_evidence(led, both),
        start=start,
        end=end,
        nodes=nodes,
        facts=facts,
    )


def _leaders(nodes: Iterable[str], facts: Mapping[str, Any]) -> str:
    """The two nodes with their reigns and terms."""
    keys = [
        key if term is None or key == f"term {term}" else f"{key}, term {term}"
        for key, term in zip(facts["reigns"], facts["terms"], strict=True)
    ]
    return listed(f"{node} ({key})" for node, key in zip(nodes, keys, strict=True))


def _lasting(facts: Mapping[str, Any]) -> str:
    """How long both led, and how long of it both could act: a paused leader does no harm until it goes on."""
    overlap, running = facts["overlap_ns"], facts["running_ns"]
    acting = f"running for {duration(running)}" if running < overlap else "running throughout"
    return f"for at least {duration(overlap)} ({'never both running' if not running else f'both {acting}'})"


def _when(start: int, end: int, facts: Mapping[str, Any]) -> str:
    first, last = ends(start, end)
    return f"at some instant between {first} and {last}" if facts["momentary"] else during(start, end)


def _evidence(led: Leaderships, reigns: tuple[int, ...]) -> tuple[int, ...]:
    """The completion lines that determine s and f of the reigns; two to four for a pair."""
    lines = {int(line[at]) for at in reigns for line in (led.s_line, led.f_line)}
    return tuple(sorted(lines))


def _broken_keys(history: History, led: Leaderships, refuted: Mask, denied_at: Ints) -> Mapping[str, Any]:
    """Facts about reigns that are not contiguous: a denial lies strictly between two of their claims."""
    broken = [
        {
            "node": history.nodes[led.node[at]],
            "reign": led.key(at),
            "lines": sorted({*_evidence(led, (at,)), int(history.observations.complete_index[denied_at[at]])}),
        }
        for at in np.flatnonzero(refuted)[:MOST_REPORTED].tolist()
    ]
    return {"reigns_not_contiguous": int(refuted.sum()), "not_contiguous": broken}


def _contradictions(history: History, led: Leaderships) -> Mapping[str, Any]:
    """Facts about reigns of one node that must overlap: its answers contradict each other."""
    found: list[dict[str, Any]] = []
    count = 0
    keyed = led.kind != KEYLESS if led.keys_comparable else np.zeros(len(led), bool)
    for node in np.unique(led.node):
        same = np.flatnonzero(keyed & (led.node == node))
        f, s = led.f[same], led.s[same]
        # Each conflicting pair is found at the later of the two by f, among those before it.
        earlier = np.minimum(np.searchsorted(f, s, side="right"), np.arange(len(same)))
        best = RunningMax.of(s, np.arange(len(same))).best(earlier, np.arange(len(same)))
        clash = np.flatnonzero((best != NO_PLACE) & (s[best] >= f)) if len(same) else same
        count += len(clash)
        found += [
            {
                "node": history.nodes[node],
                "reigns": [led.key(int(same[best[at]])), led.key(int(same[at]))],
                "lines": list(_evidence(led, (int(same[best[at]]), int(same[at])))),
            }
            for at in clash[: MOST_REPORTED - len(found)].tolist()
        ]
    return {"contradictory_self_reports": count, "contradictions": found}


def _verdict(history: History, led: Leaderships, partner: Ints, kind: str, facts: Mapping[str, Any]) -> Verdict:
    asides = _asides(facts)
    if kind == "possible":
        words = f"two leaders at one instant are possible, but not proven{asides}"
        return Verdict(property=PROPERTY, observed=Observed.NOT_SHOWN, words=words, kind=kind, facts=facts)
    if kind == "excluded":
        words = f"no two nodes led at one instant{asides}"
        return Verdict(property=PROPERTY, observed=Observed.HELD, words=words, kind=kind, facts=facts)
    pairs, complete = _pairs(led, partner)
    stopped = stops(history)
    findings = tuple(_finding(history, led, stopped, pair) for pair in pairs)
    longest = max(findings, key=lambda finding: finding.facts["overlap_ns"])
    when = _when(longest.start, longest.end, longest.facts)
    often = f"{'' if complete else 'at least '}{times(len(findings))}{', the longest' if len(findings) > 1 else ','}"
    lasting = _lasting(longest.facts) if longest.facts["overlap_ns"] else "for an instant"
    more = "" if complete else f"; only the {len(findings)} longest overlaps are listed"
    return Verdict(
        property=PROPERTY,
        observed=Observed.VIOLATED,
        words=f"two leaders {often} {lasting}",
        detail=f"{_leaders(longest.nodes, longest.facts)}, {when}{more}{asides}",
        evidence=longest.evidence,
        kind=kind,
        findings=findings,
        facts={**facts, "pairs_listed": len(findings), "pairs_complete": complete},
    )


def _counted(led: Leaderships) -> dict[str, Any]:
    """Facts about reigns without a key of their own; none if there are none."""
    number = sum(str(led.reign_names[reign]).startswith(COUNTED_REIGN) for reign in led.reign[led.kind == BY_REIGN])
    return {"reigns_counted": number} if number else {}


def _asides(facts: Mapping[str, Any]) -> str:
    broken, clashes = facts["reigns_not_contiguous"], facts["contradictory_self_reports"]
    words = f"; {counted(broken, 'reign')} not contiguous: a key was lost and used again" if broken else ""
    if clashes:
        words += f"; {counted(clashes, 'contradictory self-report')}: check that answers are read atomically"
    if facts.get("reigns_counted"):
        words += "; reigns were counted by the answers: one lost and won again between two of them is taken for one"
    return words
