"""Stall: a majority was whole and undisturbed for longer than the system's bound, and yet nothing worked.

A stall is proven on [u, v] if one majority was eligible throughout (``checkers.cluster_health``), v - u exceeds twice
the bound plus slack, the cluster was asked all the while, the machine was on time, and no confirmation's window
meets it. Role claims are no evidence of functioning: a Raft leader that hears nobody claims to lead for ever (Howard
and Abraham 2020). No deterministic bound exists in an asynchronous system (Fischer, Lynch and Paterson 1985), so the
bound is the system's own, and doubled.

Without any confirmation asked for in the whole history, only a stretch in which every answer was "I do not lead"
counts as a stall.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import cluster_health
from splitbrain.checkers.convergence import convergence_failures
from splitbrain.checkers.eligibility import Period, covered, eligible_periods, fault_free_periods
from splitbrain.checkers.history import History
from splitbrain.checkers.operations import NONE, OK, Ints
from splitbrain.checkers.recovery import Confirmations, agreements, recoveries, unavailability
from splitbrain.checkers.starvation import Starvation
from splitbrain.checkers.verdict import Finding, Outcome, Verdict
from splitbrain.checkers.words import counted, duration, instant, listed
from splitbrain.names import Guarantee

PROPERTY = "stall"
DURING_FAULTS: Guarantee = "availability"
AFTER_HEALING: Guarantee = "convergence"

STARVED = "the machine itself was starved"
NOT_ASKED = "too few nodes were asked"
NOT_CONFIRMED = "leadership was claimed and not asked to confirm"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Gap:
    """A time (ns) between two signs of a working leader, with the lines of these, -1 for none."""

    start: int
    end: int
    line_before: int
    line_after: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """A part of a gap in which the witness was eligible for longer than the bound; ``doubt`` says why it is not
    proven to be a stall, None if it is."""

    guarantee: Guarantee
    start: int
    end: int
    witness: tuple[str, ...]
    gap: _Gap
    doubt: str | None


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """What a history is tried by."""

    history: History
    bounds: Bounds
    fault_free: list[Period]
    starved: Starvation
    asked_to_confirm: Ints

    @property
    def bound(self) -> int:
        return 2 * self.bounds.stall_ns + self.bounds.slack_ns + self.starved.tolerated


def check(history: History, bounds: Bounds | None = None) -> Verdict:
    """Stalls: an eligible majority without a working leader for longer than the bound.

    They break convergence if no fault was active meanwhile, else availability.
    """
    bounds = bounds or Bounds()
    health = cluster_health(history, bounds)
    eligible = eligible_periods(health, bounds.eligibility)
    trial = _Trial(
        history=history,
        bounds=bounds,
        fault_free=fault_free_periods(health),
        starved=Starvation.of(history, bounds),
        asked_to_confirm=history.operations("confirm").invoke,
    )
    cases = _worst_of_each_gap(
        case for gap in _gaps(trial) for stretch in eligible for case in _cases(trial, gap, stretch)
    )
    confirms = Confirmations.of(history)
    disagreements = convergence_failures(history, trial.fault_free, trial.bound, bounds.stall_ns, trial.starved)
    facts = {
        "bound_ns": trial.bound,
        "eligible_ns": covered(eligible),
        "eligible_stretches_beyond_bound": sum(s.end - s.start > trial.bound for s in eligible),
        "undecided": dict(Counter(case.guarantee for case in cases if case.doubt is not None)),
        **unavailability(history, confirms),
        "faults": recoveries(history, confirms),
        "heals": agreements(history, health),
    }
    return _verdict(trial, cases, disagreements, facts)


def _gaps(trial: _Trial) -> Iterator[_Gap]:
    """The times longer than the bound between successive signs of a working leader: confirmations, or, where
    none was ever asked for, claims to lead."""
    signs = trial.history.operations("confirm")
    rows = np.flatnonzero(signs.ok)
    if not len(signs):
        signs = trial.history.observations
        rows = np.flatnonzero(signs.ok & trial.history.observations.leading)
    complete = np.maximum.accumulate(signs.complete[rows])
    start = np.concatenate(([0], complete))
    end = np.concatenate((signs.invoke[rows], [trial.history.end]))
    lines = np.concatenate(([NONE], signs.complete_index[rows], [NONE]))
    for at in np.flatnonzero(end - start > trial.bound).tolist():
        yield _Gap(
            start=int(start[at]),
            end=int(end[at]),
            line_before=int(lines[at]),
            line_after=int(lines[at + 1]),
        )


def _cases(trial: _Trial, gap: _Gap, stretch: Period) -> Iterator[_Case]:
    """The parts of the gap in which that witness was eligible for too long, by what was promised there."""
    start, end = max(gap.start, stretch.start), min(gap.end, stretch.end)
    if end - start <= trial.bound:
        return
    free = [(u, v) for u, v in trial.starved.free(start, end) if v - u > trial.bound]
    for u, v in free or [(start, end)]:
        for guarantee, first, last in _guarantees(trial, u, v):
            doubt = _doubt(trial, first, last, stretch.witness) if free else STARVED
            yield _Case(guarantee=guarantee, start=first, end=last, witness=stretch.witness, gap=gap, doubt=doubt)


def _guarantees(trial: _Trial, start: int, end: int) -> list[tuple[Guarantee, int, int]]:
    """Convergence is at stake where no fault was active for longer than the bound, and availability where one was,
    or where neither time alone is long enough."""
    calm: list[tuple[Guarantee, int, int]] = []
    hurt, reached = 0, start
    for stretch in trial.fault_free:
        u, v = max(start, stretch.start), min(end, stretch.end)
        if u < v:
            hurt, reached = max(hurt, u - reached), v
            calm += [(AFTER_HEALING, u, v)] if v - u > trial.bound else []
    hurt = max(hurt, end - reached)
    return [*calm, (DURING_FAULTS, start, end)] if hurt > trial.bound or not calm else calm


def _doubt(trial: _Trial, start: int, end: int, witness: tuple[str, ...]) -> str | None:
    """Why nothing can be concluded from the silence of [start, end]; None if something can.

    Asked enough means: at least two probes within every window as long as the bound. Servers are never asked.
    """
    seen = trial.history.observations
    rows = np.arange(*np.searchsorted(seen.invoke, (start, end)))
    ok = seen.outcome[rows] == OK
    claims = seen.invoke[rows[ok & seen.leading[rows]]]
    members = [trial.history.code.get(node, NONE) for node in witness if node not in trial.bounds.servers]
    if not len(trial.asked_to_confirm):
        answered = [seen.invoke[rows[ok & (seen.node[rows] == node)]] for node in members]
        enough = all(often_enough(times, start, end, trial.bounds.stall_ns) for times in answered)
        return None if enough and not len(claims) else NOT_ASKED
    confirms = trial.asked_to_confirm[slice(*np.searchsorted(trial.asked_to_confirm, (start, end)))]
    quiet = rows[~(ok & seen.leading[rows]) & np.isin(seen.node[rows], members)]
    asked = np.sort(np.concatenate((seen.invoke[quiet], confirms)))
    if not often_enough(asked, start, end, trial.bounds.stall_ns):
        return NOT_CONFIRMED if len(claims) else NOT_ASKED
    return None if _near(claims, confirms, end, trial.bounds.stall_ns) else NOT_CONFIRMED


def often_enough(times: Ints, start: int, end: int, window: int) -> bool:
    """Whether every window of that length within [start, end] holds at least two of the times."""
    marks = np.concatenate(([start], times, [end]))
    return bool(len(times)) and bool((marks[2:] - marks[:-2] <= window).all())


def _near(claims: Ints, confirms: Ints, end: int, window: int) -> bool:
    """Whether each claim that was seen, but for the last ones, was asked to confirm within the window."""
    due = claims[claims <= end - window]
    marks = np.concatenate(([np.iinfo(np.int64).min // 2], confirms, [np.iinfo(np.int64).max // 2]))
    after = np.searchsorted(marks, due)
    return bool((np.minimum(marks[after] - due, due - marks[after - 1]) <= window).all())


def _worst_of_each_gap(cases: Iterator[_Case]) -> list[_Case]:
    """For each gap and guarantee the longest proven stall, else the longest doubt; by their starts.

    Majorities overlap, so one stall shows under many of them; calm parts of one gap are stalls of their own.
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


def _verdict(trial: _Trial, cases: list[_Case], disagreements: list[Finding], facts: Mapping[str, Any]) -> Verdict:
    stalls = [_finding(trial, case) for case in cases if case.doubt is None]
    findings = (*stalls, *disagreements)
    if findings:
        longest = max(stalls or findings, key=lambda finding: finding.end - finding.start)
        more = f"; {counted(len(stalls), 'stall')} in all" if len(stalls) > 1 else ""
        return Verdict(
            property=PROPERTY,
            outcome=Outcome.INVALID,
            words=longest.words + more,
            evidence=longest.evidence,
            findings=findings,
            facts=facts,
        )
    bound = duration(trial.bound)
    outcome = Outcome.UNKNOWN
    if not facts["eligible_stretches_beyond_bound"]:
        words = f"no majority was surely whole for longer than {bound}, so nothing was tested"
    elif cases:
        case = max(cases, key=_weight)
        words = f"nothing was confirmed from {instant(case.start)} to {instant(case.end)}, but {case.doubt}"
    elif not len(trial.asked_to_confirm):
        words = "leadership was claimed but never confirmed: nobody asked it to"
    else:
        outcome = Outcome.VALID
        words = f"every majority that was whole had a working leader within {bound}"
    return Verdict(property=PROPERTY, outcome=outcome, words=words, facts=facts)


def _finding(trial: _Trial, case: _Case) -> Finding:
    sign = "was confirmed" if len(trial.asked_to_confirm) else "claimed to lead"
    who = f"{listed(case.witness)} {'were' if len(case.witness) > 1 else 'was'} up and connected"
    state = "while no fault was active" if case.guarantee == AFTER_HEALING else "during faults"
    lines = {case.gap.line_before, case.gap.line_after, *_attempts(trial, case)} - {NONE}
    subject = "nothing" if len(trial.asked_to_confirm) else "nobody"
    return Finding(
        guarantee=case.guarantee,
        words=f"{subject} {sign} for {duration(case.end - case.start)} {state}, from {instant(case.start)} to "
        f"{instant(case.end)}, though {who}",
        evidence=tuple(sorted(lines)),
        start=case.start,
        end=case.end,
        nodes=case.witness,
        facts={"bound_ns": trial.bound, "lower_bound_ns": case.end - case.start},
    )


def _attempts(trial: _Trial, case: _Case) -> list[int]:
    """The lines of the first and the last probe in the stall, of confirmations if there were any."""
    for probes in (trial.history.operations("confirm"), trial.history.observations):
        first, last = np.searchsorted(probes.invoke, (case.start, case.end))
        if first < last:
            return [int(probes.invoke_index[first]), int(probes.invoke_index[last - 1])]
    return []
