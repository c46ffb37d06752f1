"""What happened, in one line: who did what they should not have, when, and what had been done to them.

A story is told from what really happened (the trace) as far as the promise that was broken is explained by it, and
from the checker's own words otherwise. Times are seconds of the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from splitbrain.campaigns.hunt.case import WHITE_BOX, CaseRun, FailureSignature
from splitbrain.campaigns.hunt.coverage import windows
from splitbrain.campaigns.hunt.trace import Booted, Died, TraceEvent, Voted, Won, Yielded
from splitbrain.checkers.fault import Fault
from splitbrain.checkers.verdict import Finding
from splitbrain.invariants.events import Violation
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS

FAULTS_TOLD = 3


def story(seen: CaseRun, signature: FailureSignature) -> str:
    """One line about the first violation of ``signature`` in a run. Raises ValueError if there is none."""
    if signature.guarantee == WHITE_BOX:
        return _breach(seen, signature)
    finding = _finding(seen, signature)
    match signature.guarantee:
        case "term-safety" if signature.property == "term-monotonicity":
            return f"{finding.words}{_restarted(seen, finding)}{_meanwhile(seen, finding)}"
        case "term-safety" if signature.property == "vote-safety":
            twice = voted_twice(seen.trace.facts, finding.nodes[0], int(finding.facts["term"]))
            return twice if twice is not None else f"{finding.words}{_restarted(seen, finding)}"
        case "term-safety":
            return _term(seen, finding)
        case "exclusivity":
            return _overlap(seen, finding)
        case "availability" | "convergence":
            return f"{_stalled(seen, finding)}{_meanwhile(seen, finding)}"
        case "stability":
            return f"{_deposed(seen, finding)}{_meanwhile(seen, finding)}"
        case _:
            return finding.words


def _finding(seen: CaseRun, signature: FailureSignature) -> Finding:
    of_it = [
        finding
        for judged in seen.judgement.properties
        if judged.name == signature.property
        for finding in judged.found.findings
        if finding.guarantee == signature.guarantee
    ]
    if not of_it:
        raise ValueError(f"{signature} was not broken in this run")
    return min(of_it, key=lambda finding: (finding.start, finding.end))


# Votes and terms


def _breach(seen: CaseRun, signature: FailureSignature) -> str:
    """A fact that did not hold, as it was found; of two votes in one term, how that came to be."""
    violation: Violation | None = next((each for each in seen.violations if each.invariant == signature.property), None)
    if violation is None:
        raise ValueError(f"{signature} was not broken in this run")
    if signature.property == "one-vote-a-term" and (told := voted_twice(seen.trace.facts, violation.node)) is not None:
        return told
    return f"{violation.words}, at {_s(violation.at)}"


def voted_twice(facts: Sequence[TraceEvent], node: str | None = None, term: int | None = None) -> str | None:
    """Who (``node``, if given) voted twice in a term (``term``, if given), and why; None if nobody did."""
    cast: dict[tuple[str, int], Voted] = {}
    for fact in facts:
        if isinstance(fact, Voted) and node in (None, fact.node) and term in (None, fact.term):
            first = cast.setdefault((fact.node, fact.term), fact)
            if first.candidate != fact.candidate:
                given = f"for {_whom(first)} at {_s(first.at)} and for {_whom(fact)} at {_s(fact.at)}"
                return f"{fact.node} voted twice in term {fact.term}, {given}{_why_twice(first, fact, facts)}"
    return None


def _why_twice(first: Voted, second: Voted, facts: Sequence[TraceEvent]) -> str:
    boots = [
        fact.at
        for fact in facts
        if isinstance(fact, Booted) and fact.node == first.node and first.at <= fact.at <= second.at
    ]
    return f": it forgot its vote when restarted at {_s(boots[-1])}" if boots else ""


def _term(seen: CaseRun, finding: Finding) -> str:
    """Two leaders in one term, and how they came to be elected; else what was found, as it was found."""
    facts = seen.trace.facts
    wins = [fact for fact in facts if isinstance(fact, Won)]
    for first, second in combinations(wins, 2):
        if first.term is not None and first.term == second.term and first.node != second.node:
            both = f"{first.node} and {second.node} both led in term {first.term}"
            since = f"from {_s(first.at)} and from {_s(second.at)}"
            twice = voted_twice(facts, term=first.term)
            return f"{twice}; so {both}" if twice is not None else f"{both}, {since}"
    return f"{finding.words}{_meanwhile(seen, finding)}"


def _restarted(seen: CaseRun, finding: Finding) -> str:
    """That the node began anew during what was found, if it did."""
    since, until = finding.start + START_WITHIN_NS, finding.end + START_WITHIN_NS
    boots = [
        f for f in seen.trace.facts if isinstance(f, Booted) and f.node in finding.nodes and since <= f.at <= until
    ]
    return f": it forgot it when restarted at {_s(boots[-1].at)}" if boots else ""


def _whom(vote: Voted) -> str:
    return "itself" if vote.candidate == vote.node else vote.candidate


# Leaderships


def _overlap(seen: CaseRun, finding: Finding) -> str:
    """Who went on leading when somebody else already did."""
    start = finding.start + START_WITHIN_NS
    wins = [w for n in finding.nodes if (w := _last_win(seen.trace.facts, n, finding.end + START_WITHIN_NS))]
    if len(wins) != 2:
        return finding.words
    old, new = sorted(wins, key=lambda win: win.at)
    return (
        f"{old.node} still said at {_s(start)} that it led{_in(old.term)}, "
        f"though {new.node} had led{_in(new.term)} since {_s(new.at)}{_meanwhile(seen, finding)}"
    )


def _stalled(seen: CaseRun, finding: Finding) -> str:
    since, until = finding.start + START_WITHIN_NS, finding.end + START_WITHIN_NS
    facts = [fact for fact in seen.trace.facts if since <= fact.at <= until]
    stood = sum(1 for fact in facts if isinstance(fact, Voted) and fact.candidate == fact.node)
    won = [fact for fact in facts if isinstance(fact, Won)]
    last = f", last {won[-1].node}{_in(won[-1].term)}" if won else ""
    tries = f"{_times(stood, 'node stood', 'nodes stood')} for election meanwhile and {len(won) or 'none'} won{last}"
    return f"no leader worked from {_h(finding.start)} to {_h(finding.end)}: {tries}"


def _deposed(seen: CaseRun, finding: Finding) -> str:
    """A leader that lost its leadership, and to whom."""
    if not finding.nodes:
        return finding.words
    node, facts = finding.nodes[0], seen.trace.facts
    until = finding.end + START_WITHIN_NS
    win = _last_win(facts, node, finding.start + START_WITHIN_NS)
    lost = next((f for f in facts if _ends(f, node) and win is not None and f.at > win.at), None)
    if win is None or lost is None:
        return finding.words
    after = next((f for f in facts if isinstance(f, Won) and f.at >= lost.at and f.at <= until + 10**10), None)
    next_ = f"; {after.node} led next{_in(after.term)}, from {_s(after.at)}" if after else "; nobody led after it"
    into = f" for term {lost.term}" if isinstance(lost, Yielded) and lost.term is not None else ""
    return f"{node}, leader{_in(win.term)} and touched by no fault, gave up{into} at {_s(lost.at)}{next_}"


def _ends(fact: TraceEvent, node: str) -> bool:
    return isinstance(fact, Yielded | Died) and fact.node == node


def _last_win(facts: Iterable[TraceEvent], node: str, until: int) -> Won | None:
    return next((f for f in reversed(list(facts)) if isinstance(f, Won) and f.node == node and f.at <= until), None)


# Faults


def _meanwhile(seen: CaseRun, finding: Finding) -> str:
    """The faults in force during what was found, or else the last one before it; in words."""
    struck = [each for each in windows(seen.history.faults, finding.end + 1) if each.began <= finding.end]
    during = list(dict.fromkeys(_words(each.fault) for each in struck if each.ended > finding.start))
    if during:
        more = f" and {len(during) - FAULTS_TOLD} more" if len(during) > FAULTS_TOLD else ""
        return f", while {', and '.join(during[:FAULTS_TOLD])}{more}"
    last = max(struck, key=lambda each: each.ended, default=None)
    return f", after this, which ended at {_h(last.ended)}: {_words(last.fault)}" if last is not None else ""


def _words(fault: Fault) -> str:
    words = fault.asked.get("words")
    return str(words) if words else f"{fault.f} of {_and(fault.nodes)}"


def _in(term: int | None) -> str:
    return "" if term is None else f" in term {term}"


def _times(number: int, one: str, many: str) -> str:
    return f"{number or 'no'} {one if number in (0, 1) else many}"


def _and(items: Iterable[str]) -> str:
    *most, last = [*items] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _s(true_time: int) -> str:
    return _h(true_time - START_WITHIN_NS)


def _h(history_time: int) -> str:
    return f"{history_time / 1e9:.2f} s"
