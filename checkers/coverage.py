"""Coverage: the faults and observations of a run sufficed to test something. A run that tested nothing does not pass.

The outcome is never invalid. It is unknown if no fault took effect, if a nemesis that was asked for had no effect, if a
fault was not verified or lost before it was undone, if no leader was seen or affected by a fault (nor a server that
elections rest on), if a node hardly answered, if the run was cut short, or if the machine was too late throughout. A
skipped fault tests nothing: other harnesses passed runs in which the faults never happened (openraft issues 1878, 1910
and 1919). Neither does a pause that is over before any node can suspect the paused one. Answers that
could not be used are named with their reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from splitbrain.checkers import failed_probes
from splitbrain.checkers.answering import answered_shares, hardly_observed
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.completeness import completed, missing_part
from splitbrain.checkers.fault import Fault
from splitbrain.checkers.fault_periods import PAUSES, affected, is_repair, touched
from splitbrain.checkers.history import History, natural
from splitbrain.checkers.incidents import down_for_good
from splitbrain.checkers.leaderships import leading_at
from splitbrain.checkers.operations import FAIL, INFO, OK, Operations
from splitbrain.checkers.refutation import refutations
from splitbrain.checkers.verdict import Observed, Verdict
from splitbrain.checkers.words import counted, duration, instant, listed
from splitbrain.names import NO_ELECTION

PROPERTY = "coverage"


def check(history: History, bounds: Bounds | None = None) -> Verdict:
    """Check that the run tested something. The facts count faults, observations and canary samples."""
    bounds = bounds or Bounds()
    injected = [fault for fault in history.faults if not is_repair(fault)]
    effective = effective_faults(history, bounds)
    touching = _touching_leaders(history, effective, frozenset(bounds.servers))
    shares = answered_shares(history, bounds)
    facts = {
        "answered_share": {name: round(share, 4) for name, share in shares.items()},
        "observations": int(history.observations.ok.sum()),
        "truncated": history.truncated,
        "completed": completed(history),
        "refuted": refutations(history, bounds),
        **_faults(history, injected, effective, touching),
        "pauses_too_short": sum(fault.in_effect for fault in injected) - len(effective),
        **_probes(history, effective),
        **_canary(history, bounds),
    }
    gaps = [*_gaps(history, bounds, injected, effective, touching, facts)]
    if gaps:
        words, observed = "; ".join(gaps), Observed.UNDECIDED
    else:
        servers = " or a server" if bounds.servers else ""
        words = f"{counted(len(effective), 'fault')} took effect, {len(touching):,} on a leader{servers}"
        observed = Observed.HELD
    cut = "; the last line was cut off and dropped" if history.truncated else ""
    wrong = failed_probes.unusable(history, apart_from=_never_answered(history, bounds))
    aside = f"; answers that could not be used: {wrong}" if wrong else ""
    return Verdict(property=PROPERTY, observed=observed, words=words + cut + aside, facts=facts)


def effective_faults(history: History, bounds: Bounds) -> list[Fault]:
    """The faults that took effect, without pauses that were over within the suspicion time."""
    brief = _brief_pauses(history, bounds)
    faults = [fault for fault in history.faults if fault.in_effect and not is_repair(fault)]
    return [fault for fault in faults if fault.begin_index not in brief]


def no_election(history: History) -> str | None:
    """The reason why a run ended before any fault, because it showed no election to judge; None if it did not."""
    found = (note.value for note in history.notes if note.f == NO_ELECTION and isinstance(note.value, Mapping))
    return next((str(value.get("words", "no election was seen")) for value in found), None)


def _gaps(
    history: History,
    bounds: Bounds,
    injected: list[Fault],
    effective: list[Fault],
    touching: list[Fault],
    facts: Mapping[str, Any],
) -> Iterator[str]:
    """The reasons why the run tested nothing, as text.

    A fault on a server that the election rests on counts like one on a leader.
    """
    if (reason := no_election(history)) is not None:
        yield reason
    if incomplete := missing_part(history, bounds):
        yield incomplete
    if not facts["observations"]:
        yield "no node was observed"
    elif not len(history.leaderships):
        yield "no node was seen leading"
    silent = _never_answered(history, bounds) if facts["observations"] else []
    if silent:
        why = failed_probes.reasons(history, silent)
        yield f"{listed(silent)} never answered" + (f" ({why})" if why else "")
    if dead := down_for_good(history):
        yield f"{listed(sorted(dead, key=natural))} ended and {'were' if len(dead) > 1 else 'was'} not started again"
    shares: dict[str, float] = facts["answered_share"]
    if hardly := hardly_observed({name: share for name, share in shares.items() if name not in silent}):
        yield hardly
    lost = [fault for fault in history.faults if fault.lost]
    if lost:
        yield f"{counted(len(lost), 'fault')} ended before it was undone: {'; '.join(map(_loss, lost[:5]))}"
    if facts["refuted"]:
        yield f"the history refutes its faults: {'; '.join(facts['refuted'][:5])}"
    unverified = [fault for fault in history.faults if fault.verified is False and fault.skipped is None]
    if unverified:
        names = [f"{fault.f} {fault.id}" for fault in unverified[:5]]
        yield f"{counted(len(unverified), 'fault')} could not be verified: {listed(names)}"
    if not effective:
        short = facts["pauses_too_short"]
        outlasted = f"no pause outlasted the suspicion time of {duration(bounds.suspicion_ns)}"
        yield outlasted if short else "no fault took effect" if injected else "no fault was injected"
    elif len(history.leaderships) and not touching and all(touched(fault) - {*bounds.servers} for fault in effective):
        yield "no fault affected a leader"
    if bounds.without_effect:
        yield f"asked for, but without effect: {listed(bounds.without_effect)}"
    if facts["canary_late_share"] is not None and facts["canary_late_share"] > 0.5:
        yield f"the machine was late throughout (median lateness of the canary {duration(facts['canary_p50_ns'])})"


def _loss(fault: Fault) -> str:
    """A fault that something else ended, with the first sign of it."""
    seen = "not seen again" if fault.last_seen is None else f"last seen at {instant(fault.last_seen)}"
    return f"{fault.f} {fault.id} ({fault.lost[0]}; {seen})"


def _brief_pauses(history: History, bounds: Bounds) -> set[int]:
    """The begin lines of the pauses that were over within the suspicion time, so that no node had to notice."""
    return {
        fault.begin_index
        for fault, certain in zip(history.faults, history.certain_ns, strict=True)
        if fault.f in PAUSES and fault.in_effect and certain < bounds.suspicion_ns
    }


def _never_answered(history: History, bounds: Bounds) -> list[str]:
    """The nodes that were asked, or are known to be in the cluster, and never answered an observation."""
    seen = history.observations
    asked = {*bounds.members, *(history.nodes[code] for code in np.unique(seen.node).tolist())}
    answered = {history.nodes[code] for code in np.unique(seen.node[seen.ok]).tolist()}
    return sorted(asked - answered - {*bounds.servers}, key=natural)


def _touching_leaders(history: History, faults: list[Fault], servers: frozenset[str]) -> list[Fault]:
    """The faults that affected a leader: a node that led by its latest answer before the fault began.

    A fault on a server counts too, because every leader rests on the servers.
    """
    begins = np.array([fault.begin for fault in faults], np.int64)
    leading = leading_at(history.observations, begins, len(history.nodes))
    return [
        fault
        for fault, leaders in zip(faults, leading, strict=True)
        if affected(fault) & {*servers, *(history.nodes[code] for code in np.flatnonzero(leaders))}
    ]


def _faults(history: History, injected: list[Fault], effective: list[Fault], touching: list[Fault]) -> dict[str, Any]:
    skipped = [fault for fault in injected if fault.skipped is not None]
    tried = [fault for fault in injected if fault.skipped is None]
    return {
        "faults_begun": len(injected),
        "faults_in_effect": sum(fault.in_effect for fault in injected),
        "faults_verified": sum(fault.verified is True for fault in tried),
        "faults_not_verified": sum(fault.verified is False for fault in tried),
        "faults_seen_again": sum(fault.seen_again > 0 for fault in tried),
        "faults_lost": sum(bool(fault.lost) for fault in tried),
        "faults_unfinished": sum(fault.done is None for fault in tried),
        "faults_skipped": len(skipped),
        "skipped_because": dict(Counter(str(fault.skipped) for fault in skipped)),
        "faults_by_name": dict(Counter(fault.f for fault in injected if fault.in_effect)),
        "faults_by_shape": dict(
            Counter(fault.shape for fault in injected if fault.in_effect and fault.shape is not None)
        ),
        "faults_by_class": dict(Counter(fault.fault_class for fault in effective if fault.fault_class)),
        "faults_on_a_leader": len(touching),
        "repairs": len(history.faults) - len(injected),
    }


def _probes(history: History, effective: list[Fault]) -> dict[str, Any]:
    """Counts of observations and confirmations: answered, failed, of unknown fate, and made during faults."""
    periods = _periods(history, effective)
    found: dict[str, Any] = {}
    for f, name in (("observe", "observations"), ("confirm", "confirmations")):
        probes = history.operations(f)
        asked = len(probes)
        found[f"{name}_asked"] = asked
        found[f"{name}_ok"] = int((probes.outcome == OK).sum())
        found[f"{name}_during_faults"] = _during(probes, periods)
        found[f"{name}_failed_share"] = float((probes.outcome == FAIL).mean()) if asked else None
        found[f"{name}_unknown_share"] = float((probes.outcome == INFO).mean()) if asked else None
        found[f"{name}_failed_because"] = dict(failed_probes.failed(history, f))
    return found


def _periods(history: History, effective: list[Fault]) -> list[tuple[int, int]]:
    """The periods from each fault's begin to the begin of the next repair (ns), merged and in order."""
    repairs = np.array([fault.begin for fault in history.faults if is_repair(fault)], np.int64)
    merged: list[tuple[int, int]] = []
    for fault in effective:
        after = int(np.searchsorted(repairs, fault.begin))
        until = int(repairs[after]) if after < len(repairs) else history.end
        if merged and fault.begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], until))
        else:
            merged.append((fault.begin, until))
    return merged


def _during(probes: Operations, periods: list[tuple[int, int]]) -> int:
    """The number of probes that were invoked within one of the closed periods and completed with ok."""
    invoke = probes.invoke[probes.ok]
    bounds = np.array(periods, np.int64).reshape(-1, 2)
    until = np.searchsorted(invoke, bounds[:, 1], side="right")
    return int((until - np.searchsorted(invoke, bounds[:, 0])).sum())


def _canary(history: History, bounds: Bounds) -> dict[str, Any]:
    late = history.canary.late
    if not len(late):
        return {"canary_samples": 0, "canary_late_share": None}
    p50, p99 = np.percentile(late, (50, 99))
    return {
        "canary_samples": len(late),
        "canary_p50_ns": int(p50),
        "canary_p99_ns": int(p99),
        "canary_max_ns": int(late.max()),
        "canary_late_share": float((late > bounds.canary_late_ns).mean()),
    }
