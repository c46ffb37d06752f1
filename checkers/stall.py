"""Stall: a connected, undisturbed majority was without a working leader for longer than the system's bound.

This is the liveness of leader election, made falsifiable by a bound. A stall is proven on [u, v] if one majority was
eligible throughout (``checkers.eligibility``), v - u exceeds twice the bound plus slack, the cluster was asked often
enough, the machine was not starved, and no confirmation's window meets [u, v]. Claims to lead are no evidence of a
working leader: a Raft leader that receives no messages can claim to lead for ever (Howard and Abraham, "Raft does not
guarantee liveness in the face of network faults", 2020). No deterministic bound exists in an asynchronous system
(Fischer, Lynch and Paterson 1985), so the bound is chosen for each system, and doubled.

If no confirmation was invoked in the entire history, claims to lead take their place (``checkers.backing``). A claim
that a connected majority agrees on is a sign of a working leader. A stall is proven where there was not even a possible
claim, and every node that may have led was asked often enough. What lies between is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from splitbrain.checkers.backing import Claims
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import cluster_health
from splitbrain.checkers.convergence import Disagreements, disagreements, name_each_other
from splitbrain.checkers.eligibility import Period, covered, eligible_periods, fault_free_periods
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE, OK, Ints
from splitbrain.checkers.recovery import Confirmations, agreements, recoveries, unavailability
from splitbrain.checkers.starvation import Starvation
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import counted, duration, instant, listed
from splitbrain.names import Guarantee

PROPERTY = "stall"
DURING_FAULTS: Guarantee = "availability"
AFTER_HEALING: Guarantee = "convergence"

STARVED = "the machine was starved"
NOT_ASKED = "the nodes were not asked often enough"
NOT_CONFIRMED = "a leader was not asked to confirm"
NOT_BACKED = "a node claimed to lead, but no leader was asked to confirm it, and no connected majority named it"
TO_CONFIRM = "to have this judged, let a leader confirm that it works ([confirm] in a description)"
TO_NAME = ", or let each node name its leader ([probe] leader)"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Gap:
    """The time [start, end] in ns between two signs of a working leader, and their lines (-1 for none)."""

    start: int
    end: int
    line_before: int
    line_after: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """A part of a gap in which the witness was eligible for longer than the bound.

    ``doubt`` is the reason why it is not a proven stall; None for a proven one.
    """

    guarantee: Guarantee
    start: int
    end: int
    witness: tuple[str, ...]
    gap: _Gap
    doubt: str | None


@dataclass(frozen=True, kw_only=True)
class _Inputs:
    """The inputs of the check."""

    history: History
    bounds: Bounds
    fault_free: list[Period]
    starved: Starvation
    asked_to_confirm: Ints
    claims: Claims | None  # None where confirmations were asked for
    signs: Confirmations

    @property
    def bound(self) -> int:
        """The length (ns) that a stall must exceed."""
        return 2 * self.bounds.stall_ns + self.bounds.slack_ns + self.starved.tolerated


def check(history: History, bounds: Bounds | None = None) -> Verdict:
    """Check that no eligible majority was without a working leader for longer than the bound.

    A stall while no fault was active is a failure of convergence, any other one of availability.
    """
    bounds = bounds or Bounds()
    health = cluster_health(history, bounds)
    eligible = eligible_periods(health, bounds.eligibility)
    confirms = history.operations("confirm")
    claims = None if len(confirms) else Claims.of(history, health, bounds.eligibility, bounds.stall_ns // 2)
    inputs = _Inputs(
        history=history,
        bounds=bounds,
        fault_free=fault_free_periods(health),
        starved=Starvation.of(history, bounds),
        asked_to_confirm=confirms.invoke,
        claims=claims,
        signs=Confirmations.of(history) if claims is None else Confirmations.backed(history, claims.backed),
    )
    cases = _worst_of_each_gap(
        case for gap in _gaps(inputs) for period in eligible for case in _cases(inputs, gap, period)
    )
    disagreed = disagreements(history, inputs.fault_free, inputs.bound, bounds.stall_ns, inputs.starved)
    doubts = Counter(case.guarantee for case in cases if case.doubt is not None)
    doubts[AFTER_HEALING] += len(disagreed.doubts)
    facts = {
        "bound_ns": inputs.bound,
        "eligible_ns": covered(eligible),
        "eligible_stretches_beyond_bound": sum(s.end - s.start > inputs.bound for s in eligible),
        "undecided": dict(+doubts),
        **unavailability(history, inputs.signs),
        "faults": recoveries(history, inputs.signs),
        "heals": agreements(history, health),
        **({} if claims is None else {"claims_backed": len(claims.backed), "claims_possible": len(claims.possible)}),
    }
    return _verdict(inputs, cases, disagreed, facts)


def _gaps(inputs: _Inputs) -> Iterator[_Gap]:
    """The times longer than the bound between successive signs of a working leader."""
    signs = inputs.signs
    order = np.argsort(signs.invoke, kind="stable")
    start = np.concatenate(([0], np.maximum.accumulate(signs.complete[order])))
    end = np.concatenate((signs.invoke[order], [inputs.history.end]))
    lines = np.concatenate(([NONE], signs.line[order], [NONE]))
    for at in np.flatnonzero(end - start > inputs.bound).tolist():
        yield _Gap(
            start=int(start[at]),
            end=int(end[at]),
            line_before=int(lines[at]),
            line_after=int(lines[at + 1]),
        )


def _cases(inputs: _Inputs, gap: _Gap, period: Period) -> Iterator[_Case]:
    """The parts of the gap in which the witness was eligible for longer than the bound, by guarantee."""
    start, end = max(gap.start, period.start), min(gap.end, period.end)
    if end - start <= inputs.bound:
        return
    free = [(u, v) for u, v in inputs.starved.free(start, end) if v - u > inputs.bound]
    for u, v in free or [(start, end)]:
        for guarantee, first, last in _guarantees(inputs, u, v):
            if not free:
                claimed = inputs.claims is not None and len(inputs.claims.between(first, last))
                why = NOT_BACKED if claimed else STARVED
                yield _Case(guarantee=guarantee, start=first, end=last, witness=period.witness, gap=gap, doubt=why)
                continue
            parts = [(a, b) for a, b in _decisive_parts(inputs, first, last, period.witness) if b - a > inputs.bound]
            for a, b in parts or [(first, last)]:
                doubt = _doubt(inputs, a, b, period.witness)
                yield _Case(guarantee=guarantee, start=a, end=b, witness=period.witness, gap=gap, doubt=doubt)


def _guarantees(inputs: _Inputs, start: int, end: int) -> list[tuple[Guarantee, int, int]]:
    """The guarantees at stake in [start, end] (ns), each with its part.

    Convergence where no fault was active for longer than the bound; availability where a fault was, or where neither
    time alone exceeds the bound.
    """
    fault_free: list[tuple[Guarantee, int, int]] = []
    faulty, reached = 0, start
    for period in inputs.fault_free:
        u, v = max(start, period.start), min(end, period.end)
        if u < v:
            faulty, reached = max(faulty, u - reached), v
            fault_free += [(AFTER_HEALING, u, v)] if v - u > inputs.bound else []
    faulty = max(faulty, end - reached)
    return [*fault_free, (DURING_FAULTS, start, end)] if faulty > inputs.bound or not fault_free else fault_free


def _decisive_parts(inputs: _Inputs, start: int, end: int, witness: tuple[str, ...]) -> list[tuple[int, int]]:
    """The maximal parts of [start, end] (ns) without a possible claim in which the nodes were asked often enough."""
    parts = [(start, end)] if inputs.claims is None else inputs.claims.parts_without(start, end)
    for times in _probes(inputs, start, end, witness):
        parts = [part for a, b in parts for part in _dense_parts(times, a, b, inputs.bounds.stall_ns)]
    return parts


def _probes(inputs: _Inputs, start: int, end: int, witness: tuple[str, ...]) -> list[Ints]:
    """The times (ns) of the probes of the witness in [start, end], one column for each that must be dense enough.

    It is one for the whole witness: questions to nodes that do not lead, and confirmations. If no confirmation was ever
    invoked, it is one for each node, of its answers. Servers are never probed.
    """
    if inputs.claims is not None:
        return inputs.claims.answers(start, end, max(1, inputs.bounds.stall_ns // 2))
    seen = inputs.history.observations
    rows = np.arange(*np.searchsorted(seen.invoke, (start, end)))
    ok = seen.outcome[rows] == OK
    members = [inputs.history.code.get(node, NONE) for node in witness if node not in inputs.bounds.servers]
    quiet = rows[~(ok & seen.leading[rows]) & np.isin(seen.node[rows], members)]
    return [np.sort(np.concatenate((seen.invoke[quiet], _within(inputs.asked_to_confirm, start, end))))]


def _within(times: Ints, start: int, end: int) -> Ints:
    """The times, which are sorted, in [start, end)."""
    return times[slice(*np.searchsorted(times, (start, end)))]


def _doubt(inputs: _Inputs, start: int, end: int, witness: tuple[str, ...]) -> str | None:
    """The reason why [start, end] (ns) without a sign proves nothing; None if it proves a stall.

    There must be at least two probes within every window of ``stall_ns``.
    """
    if inputs.claims is not None and len(inputs.claims.between(start, end)):
        return NOT_BACKED
    seen, window = inputs.history.observations, inputs.bounds.stall_ns
    rows = np.arange(*np.searchsorted(seen.invoke, (start, end)))
    claims = seen.invoke[rows[(seen.outcome[rows] == OK) & seen.leading[rows]]]
    enough = all(often_enough(times, start, end, window) for times in _probes(inputs, start, end, witness))
    if inputs.claims is not None:
        return None if enough else NOT_ASKED
    if not enough:
        return NOT_CONFIRMED if len(claims) else NOT_ASKED
    confirms = _within(inputs.asked_to_confirm, start, end)
    return None if _near(claims, confirms, end, window) else NOT_CONFIRMED


def _dense_parts(times: Ints, start: int, end: int, window: int) -> list[tuple[int, int]]:
    """The maximal parts of [start, end], each from one of the times or ends to another, that are ``often_enough``."""
    marks = np.concatenate(([start], _within(times, start, end), [end]))
    if len(marks) < 3:
        return []
    cuts = [0, *(np.flatnonzero(marks[2:] - marks[:-2] > window) + 1).tolist(), len(marks) - 1]
    return [(int(marks[first]), int(marks[last])) for first, last in pairwise(cuts)]


def often_enough(times: Ints, start: int, end: int, window: int) -> bool:
    """True if every window of that length (ns) within [start, end] holds at least two of the times."""
    marks = np.concatenate(([start], times, [end]))
    return bool(len(times)) and bool((marks[2:] - marks[:-2] <= window).all())


def _near(claims: Ints, confirms: Ints, end: int, window: int) -> bool:
    """True if each claim, except those in the last ``window`` (ns), has an invoked confirmation within it."""
    due = claims[claims <= end - window]
    marks = np.concatenate(([np.iinfo(np.int64).min // 2], confirms, [np.iinfo(np.int64).max // 2]))
    after = np.searchsorted(marks, due)
    return bool((np.minimum(marks[after] - due, due - marks[after - 1]) <= window).all())


def _worst_of_each_gap(cases: Iterator[_Case]) -> list[_Case]:
    """For each gap and guarantee, the longest proven stall, else the longest unproven one; by their starts.

    Majorities overlap, so one stall appears under several. Fault-free parts of one gap are separate stalls.
    """
    worst: dict[tuple[int, Guarantee, int], _Case] = {}
    for case in cases:
        key = (case.gap.start, case.guarantee, case.start if case.guarantee == AFTER_HEALING else 0)
        known = worst.get(key)
        if known is None or _weight(case) > _weight(known):
            worst[key] = case
    return sorted(worst.values(), key=lambda case: (case.start, case.guarantee))


def _weight(case: _Case) -> tuple[bool, int]:
    return case.doubt is None, case.end - case.start


def _verdict(inputs: _Inputs, cases: list[_Case], disagreed: Disagreements, facts: Mapping[str, Any]) -> Verdict:
    stalls = [_finding(inputs, case) for case in cases if case.doubt is None]
    findings = (*stalls, *disagreed.findings)
    if findings:
        longest = max(stalls or findings, key=lambda finding: finding.end - finding.start)
        more = f"; {counted(len(stalls), 'stall')} in total" if len(stalls) > 1 else ""
        return Verdict(
            property=PROPERTY,
            observed=Observed.VIOLATED,
            words=longest.words + more,
            evidence=longest.evidence,
            findings=findings,
            facts=facts,
        )
    bound = duration(inputs.bound)
    observed = Observed.UNDECIDED
    if not facts["eligible_stretches_beyond_bound"]:
        words = f"no majority was certainly connected for longer than {bound}, so stalls were not tested"
    elif cases:
        case = max(cases, key=_weight)
        words = f"no stall proven from {instant(case.start)} to {instant(case.end)}: {case.doubt}"
        if case.doubt == NOT_BACKED:
            words += f"; {TO_CONFIRM}{'' if name_each_other(inputs.history) else TO_NAME}"
    elif disagreed.doubts:
        words = f"agreement on a leader could not be judged: {disagreed.doubts[0]}"
    else:
        observed = Observed.HELD
        leader = "a working leader" if inputs.claims is None else "a leader that it agreed on"
        words = f"a connected majority was never without {leader} for more than {bound}"
    return Verdict(property=PROPERTY, observed=observed, words=words, facts=facts)


def _finding(inputs: _Inputs, case: _Case) -> Finding:
    sign = "no confirmation succeeded" if inputs.claims is None else _nobody_led(inputs, case)
    connected = f"{listed(case.witness)} {'were' if len(case.witness) > 1 else 'was'} up and connected"
    state = "while no fault was active" if case.guarantee == AFTER_HEALING else "during faults"
    lines = {case.gap.line_before, case.gap.line_after, *_attempts(inputs, case)} - {NONE}
    return Finding(
        guarantee=case.guarantee,
        words=f"{sign} for {duration(case.end - case.start)} {state}, from {instant(case.start)} to "
        f"{instant(case.end)}, though {connected}",
        evidence=tuple(sorted(lines)),
        start=case.start,
        end=case.end,
        nodes=case.witness,
        facts={"bound_ns": inputs.bound, "lower_bound_ns": case.end - case.start},
    )


def _nobody_led(inputs: _Inputs, case: _Case) -> str:
    seen = inputs.history.observations
    claims = seen.ok & seen.leading & (seen.complete > case.start) & (seen.invoke < case.end)
    return "no node that could reach a majority claimed to lead" if claims.any() else "no node claimed to lead"


def _attempts(inputs: _Inputs, case: _Case) -> list[int]:
    """The invocation lines of the first and last probe in the stall: confirmations if any, else observations."""
    for probes in (inputs.history.operations("confirm"), inputs.history.observations):
        first, last = np.searchsorted(probes.invoke, (case.start, case.end))
        if first < last:
            return [int(probes.invoke_index[first]), int(probes.invoke_index[last - 1])]
    return []
