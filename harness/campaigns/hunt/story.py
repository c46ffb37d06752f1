"""Explain the violation of a run in one line: the nodes, the times, the cause and the faults in force.

The explanation comes from the trace where the trace has one, and otherwise from the words of the checker. Times are
seconds of the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from splitbrain.campaigns.hunt.case import WHITE_BOX, CaseRun, FailureSignature
from splitbrain.campaigns.hunt.coverage import windows
from splitbrain.campaigns.hunt.trace import Died, ProcessStarted, TraceEvent, Voted, Won, Yielded
from splitbrain.checkers.fault import Fault
from splitbrain.checkers.verdict import Finding
from splitbrain.invariants.events import Violation
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS

FAULTS_NAMED = 3


def story(run: CaseRun, signature: FailureSignature) -> str:
    """One line about the first violation of ``signature`` in a run. Raises ValueError if there is none."""
    if (violation := _violation(run, signature)) is not None:
        return _invariant(run, violation)
    finding = _finding(run, signature)
    match signature.guarantee:
        case "term-safety" if signature.property == "term-monotonicity":
            return f"{finding.words}{_restarted(run, finding)}{_faults(run, finding)}"
        case "term-safety" if signature.property == "vote-safety":
            twice = voted_twice(run.trace.events, finding.nodes[0], int(finding.facts["term"]))
            return twice if twice is not None else f"{finding.words}{_restarted(run, finding)}"
        case "term-safety":
            return _term(run, finding)
        case "exclusivity":
            return _overlap(run, finding)
        case "availability" | "convergence":
            return f"{_stalled(run, finding)}{_faults(run, finding)}"
        case "stability":
            return f"{_deposed(run, finding)}{_faults(run, finding)}"
        case _:
            return finding.words


def _finding(run: CaseRun, signature: FailureSignature) -> Finding:
    of_it = [
        finding
        for judged in run.judgement.properties
        if judged.name == signature.property
        for finding in judged.found.findings
        if signature.guarantee in (WHITE_BOX, finding.guarantee or "")
    ]
    if not of_it:
        raise ValueError(f"{signature} was not broken in this run")
    return min(of_it, key=lambda finding: (finding.start, finding.end))


# Votes and terms


def _violation(run: CaseRun, signature: FailureSignature) -> Violation | None:
    return next((each for each in run.violations if each.invariant == signature.property), None)


def _invariant(run: CaseRun, violation: Violation) -> str:
    """The words of a violated invariant; for two votes in one term, their cause."""
    twice = voted_twice(run.trace.events, violation.node) if violation.invariant == "one-vote-a-term" else None
    return f"{violation.words}, at {_s(violation.at)}" if twice is None else twice


def voted_twice(events: Sequence[TraceEvent], node: str | None = None, term: int | None = None) -> str | None:
    """The first two votes of one node in one term and their cause, in words; None if there are none.

    Only those of ``node`` and in ``term`` count, where given.
    """
    cast: dict[tuple[str, int], Voted] = {}
    for event in events:
        if isinstance(event, Voted) and node in (None, event.node) and term in (None, event.term):
            first = cast.setdefault((event.node, event.term), event)
            if first.candidate != event.candidate:
                given = f"for {_candidate(first)} at {_s(first.at)} and for {_candidate(event)} at {_s(event.at)}"
                return f"{event.node} voted twice in term {event.term}, {given}{_why_twice(first, event, events)}"
    return None


def _why_twice(first: Voted, second: Voted, events: Sequence[TraceEvent]) -> str:
    boots = [
        event.at
        for event in events
        if isinstance(event, ProcessStarted) and event.node == first.node and first.at <= event.at <= second.at
    ]
    return f": it lost its vote in the restart at {_s(boots[-1])}" if boots else ""


def _term(run: CaseRun, finding: Finding) -> str:
    """Two leaders of one term and how they were elected; if the trace has none, the words of the checker."""
    events = run.trace.events
    wins = [event for event in events if isinstance(event, Won)]
    for first, second in combinations(wins, 2):
        if first.term is not None and first.term == second.term and first.node != second.node:
            both = f"{first.node} and {second.node} both led in term {first.term}"
            since = f"from {_s(first.at)} and from {_s(second.at)}"
            twice = voted_twice(events, term=first.term)
            return f"{twice}; therefore {both}" if twice is not None else f"{both}, {since}"
    return f"{finding.words}{_faults(run, finding)}"


def _restarted(run: CaseRun, finding: Finding) -> str:
    """The restart of the node during the violation, in words; empty if there was none."""
    since, until = finding.start + START_WITHIN_NS, finding.end + START_WITHIN_NS
    boots = [
        event.at
        for event in run.trace.events
        if isinstance(event, ProcessStarted) and event.node in finding.nodes and since <= event.at <= until
    ]
    return f": it lost this state in the restart at {_s(boots[-1])}" if boots else ""


def _candidate(vote: Voted) -> str:
    return "itself" if vote.candidate == vote.node else vote.candidate


# Leaderships


def _overlap(run: CaseRun, finding: Finding) -> str:
    """A stale leader that claimed leadership after the next one had won."""
    start = finding.start + START_WITHIN_NS
    wins = [w for n in finding.nodes if (w := _last_win(run.trace.events, n, finding.end + START_WITHIN_NS))]
    if len(wins) != 2:
        return finding.words
    old, new = sorted(wins, key=lambda win: win.at)
    return (
        f"{old.node} still claimed at {_s(start)} to lead{_in(old.term)}, "
        f"though {new.node} had led{_in(new.term)} since {_s(new.at)}{_faults(run, finding)}"
    )


def _stalled(run: CaseRun, finding: Finding) -> str:
    since, until = finding.start + START_WITHIN_NS, finding.end + START_WITHIN_NS
    events = [event for event in run.trace.events if since <= event.at <= until]
    candidacies = sum(1 for event in events if isinstance(event, Voted) and event.candidate == event.node)
    won = [event for event in events if isinstance(event, Won)]
    last = f", the last by {won[-1].node}{_in(won[-1].term)}" if won else ""
    stood = _count(candidacies, "candidacy", "candidacies")
    elections = f"{stood}, {len(won) or 'none'} won{last}" if candidacies or won else "no candidacy"
    return f"no working leader from {_h(finding.start)} to {_h(finding.end)}: {elections}"


def _deposed(run: CaseRun, finding: Finding) -> str:
    """A healthy leader that lost its leadership, and its successor."""
    if not finding.nodes:
        return finding.words
    node, events = finding.nodes[0], run.trace.events
    until = finding.end + START_WITHIN_NS
    reign, _ = finding.facts["reigns"]
    win = next(
        (e for e in events if isinstance(e, Won) and e.node == node and reign in (e.reign, f"term {e.term}")), None
    )
    lost = next((e for e in events if _ends(e, node) and win is not None and e.at > win.at), None)
    if win is None or lost is None:
        return finding.words
    after = next((e for e in events if isinstance(e, Won) and lost.at <= e.at <= until + 10**10), None)
    next_ = f"; next leader: {after.node}{_in(after.term)}, from {_s(after.at)}" if after else "; no leader followed"
    into = f" for term {lost.term}" if isinstance(lost, Yielded) and lost.term is not None else ""
    end = "died" if isinstance(lost, Died) else f"stepped down{into}"
    return f"{node}, leader{_in(win.term)} and not affected by any fault, {end} at {_s(lost.at)}{next_}"


def _ends(event: TraceEvent, node: str) -> bool:
    return isinstance(event, Yielded | Died) and event.node == node


def _last_win(events: Iterable[TraceEvent], node: str, until: int) -> Won | None:
    return next((e for e in reversed(list(events)) if isinstance(e, Won) and e.node == node and e.at <= until), None)


# Faults


def _faults(run: CaseRun, finding: Finding) -> str:
    """The faults in force during the violation, or else the last one before it, in words."""
    earlier = [each for each in windows(run.history.faults, finding.end + 1) if each.began <= finding.end]
    during = list(dict.fromkeys(_words(each.fault) for each in earlier if each.ended > finding.start))
    if during:
        more = f" and {len(during) - FAULTS_NAMED} more" if len(during) > FAULTS_NAMED else ""
        return f", while {', and '.join(during[:FAULTS_NAMED])}{more}"
    last = max(earlier, key=lambda each: each.ended, default=None)
    return f", after a fault that ended at {_h(last.ended)}: {_words(last.fault)}" if last is not None else ""


def _words(fault: Fault) -> str:
    words = fault.asked.get("words")
    return str(words) if words else f"{fault.f} of {_and(fault.nodes)}"


def _in(term: int | None) -> str:
    return "" if term is None else f" in term {term}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _and(items: Iterable[str]) -> str:
    *most, last = [*items] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _s(true_time: int) -> str:
    return _h(true_time - START_WITHIN_NS)


def _h(history_time: int) -> str:
    return f"{history_time / 1e9:.2f} s"
