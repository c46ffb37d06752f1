"""Fencing: a resource that checks fencing tokens accepts no write of a holder that has been superseded there.

Each leadership comes with a greater token. The resource checks it atomically with the write: it accepts a write iff the
token is at least the greatest accepted so far and, if equal, of the same holder (Kleppmann, "How to do distributed
locking", 2016; Burrows, "The Chubby lock service", OSDI 2006, section 2.4, sequencers). The writes are judged by the
resource's order; no clock is needed. Five rules, named in ``facts["rules"]`` of a finding:

- F1: the tokens of accepted writes never decrease in the resource's order.
- F2: one token has one holder.
- F3: a write that is sent after a write with a greater token was acknowledged is refused.
- F4: an acknowledged write stays in the ledger, once and at its position; a refused write is never there.
- F5: the fence does not refuse every write for ever. It does if tokens restart below the greatest one accepted, as
  terms do after all nodes lost their state. Safety is then kept at the expense of liveness.

No violation: a stale holder's write that is accepted before a newer token reached the resource. The fence cannot detect
it, so a new leader must advance the fence before it reads. These writes are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import cluster_health
from splitbrain.checkers.eligibility import fault_free_periods
from splitbrain.checkers.fault import Malformed
from splitbrain.checkers.history import History
from splitbrain.checkers.ledger import Append, Reading, appends, readings
from splitbrain.checkers.starvation import Starvation
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import all_of, counted, cut_short, duration, instant, listed
from splitbrain.names import Guarantee

PROPERTY = "fencing"
GUARANTEE: Guarantee = "fencing"
NEEDS = ("append", "read-ledger")
MOST_FINDINGS = 200
UNKNOWN_HOLDER = "an unknown holder"


class AcceptedWrite(NamedTuple):
    """A write that the resource accepted, with its token; ``tried`` is None if no client attempted it."""

    entry: str
    token: int
    holder: str | None
    tried: Append | None

    @property
    def lines(self) -> tuple[int, ...]:
        """The history lines (from 0) to cite as evidence."""
        return () if self.tried is None else self.tried.lines

    def description(self) -> str:
        """The write as text for a finding."""
        return f"{self.entry} of {self.holder or UNKNOWN_HOLDER} with token {self.token}"


def check(history: History, bounds: Bounds | None = None) -> Verdict:
    """Check a shared ledger against the five rules; ``bounds`` matter for F5 only."""
    try:
        tried, read = appends(history), readings(history)
    except Malformed as wrong:
        return Verdict(property=PROPERTY, observed=Observed.UNDECIDED, words=wrong.with_line)
    order = _order(tried, read)
    refusals = _shut_out(history, bounds or Bounds(), tried)
    findings = (
        *_gone_back(history, tried, order, read),
        *_shared_tokens(history, order, read),
        *_lost(tried, read),
        *_never_accepted(tried, read),
        *refusals.findings,
    )
    return _verdict(tried, read, findings, {**_facts(tried), "refusals_undecided": refusals.undecided})


def _order(tried: Sequence[Append], read: Sequence[Reading]) -> list[AcceptedWrite]:
    """The accepted writes with tokens, in the resource's order.

    The order is that of the longest ledger read, followed by writes acknowledged at later positions.
    """
    of_name = {append.entry: append for append in tried}
    longest = max((reading.entries for reading in read), key=len, default=())
    beyond = sorted(
        (append.position, append.invoke_line, append)
        for append in tried
        if append.accepted and append.position is not None and append.position >= len(longest)
    )
    stands = [(each.entry, each.token, each.holder) for each in longest]
    stands += [(append.entry, append.token, append.holder) for _, _, append in beyond]
    found = []
    for name, token, holder in stands:
        append = of_name.get(name)
        if token is not None:
            found.append(AcceptedWrite(name, token, holder or (append.holder if append is not None else None), append))
    return found


def _gone_back(
    history: History, tried: Sequence[Append], order: Sequence[AcceptedWrite], read: Sequence[Reading]
) -> Iterator[Finding]:
    """F1 and F3: one finding for each write accepted after one with a greater token."""
    late = _sent_too_late(tried)
    newest: AcceptedWrite | None = None
    for write in order:
        if newest is None or write.token >= newest.token:
            newest = write
        elif write.entry in late:
            yield _stale_write(history, write, late.pop(write.entry), ("F1", "F3"), read)
        else:
            yield _stale_write(history, write, newest, ("F1",), read)
    for append in tried:  # writes whose position is unknown
        if append.entry in late and append.token is not None:
            write = AcceptedWrite(append.entry, append.token, append.holder, append)
            yield _stale_write(history, write, late[append.entry], ("F3",), read)


def _sent_too_late(tried: Sequence[Append]) -> dict[str, AcceptedWrite]:
    """By entry, for each accepted write sent after one with a greater token was acknowledged: the latter."""
    accepted = [
        (append.complete_line, AcceptedWrite(append.entry, append.token, append.holder, append))
        for append in tried
        if append.accepted and append.token is not None and append.complete_line is not None
    ]
    accepted.sort(key=lambda each: each[0])
    found: dict[str, AcceptedWrite] = {}
    greatest: AcceptedWrite | None = None
    at = 0
    for append in tried:
        while at < len(accepted) and accepted[at][0] < append.invoke_line:
            if greatest is None or accepted[at][1].token > greatest.token:
                greatest = accepted[at][1]
            at += 1
        stale = greatest is not None and append.token is not None and append.token < greatest.token
        if append.accepted and stale and greatest is not None:
            found[append.entry] = greatest
    return found


def _stale_write(
    history: History, stale: AcceptedWrite, newer: AcceptedWrite, rules: tuple[str, ...], read: Sequence[Reading]
) -> Finding:
    when = "though it was sent after that was acknowledged" if "F3" in rules else "by the resource's order"
    start, end = _span(history, newer, stale)
    return Finding(
        guarantee=GUARANTEE,
        words=f"the resource accepted {stale.description()} after {newer.description()}, {when}",
        evidence=_evidence((*newer.lines, *stale.lines), read if rules == ("F1",) else ()),
        start=start,
        end=end,
        nodes=tuple(dict.fromkeys(holder for holder in (newer.holder, stale.holder) if holder is not None)),
        facts={"rules": list(rules), "tokens": [newer.token, stale.token]},
    )


def _shared_tokens(history: History, order: Sequence[AcceptedWrite], read: Sequence[Reading]) -> Iterator[Finding]:
    """F2: one finding for each token under which writes of several holders were accepted."""
    holders: dict[int, dict[str, AcceptedWrite]] = {}
    for write in order:
        if write.holder is not None:
            holders.setdefault(write.token, {}).setdefault(write.holder, write)
    for token, firsts in holders.items():
        if len(firsts) > 1:
            first, second = list(firsts.values())[:2]
            start, end = _span(history, first, second)
            yield Finding(
                guarantee=GUARANTEE,
                words=f"the resource accepted writes of {listed(firsts)} with the same token {token}",
                evidence=_evidence((*first.lines, *second.lines), read),
                start=start,
                end=end,
                nodes=tuple(firsts),
                facts={"rules": ["F2"], "tokens": [token]},
            )


def _span(history: History, *writes: AcceptedWrite) -> tuple[int, int]:
    """From the first invocation to the last completion of the attempted writes (ns), else the entire history."""
    tried = [write.tried for write in writes if write.tried is not None]
    if not tried:
        return 0, history.end
    ends = [append.complete if append.complete is not None else history.end for append in tried]
    return min(append.invoke for append in tried), max(ends)


def _evidence(lines: Sequence[int], read: Sequence[Reading]) -> tuple[int, ...]:
    """The lines and the line of the longest ledger read, if any, sorted."""
    longest = max(read, key=lambda reading: len(reading.entries), default=None)
    return tuple(sorted({*lines, *(() if longest is None else (longest.complete_line,))}))


def _lost(tried: Sequence[Append], read: Sequence[Reading]) -> Iterator[Finding]:
    """F4: one finding for each acknowledged write that a later reading does not show once and at its position."""
    missed: set[str] = set()
    for reading in read:
        places: dict[str, list[int]] = {}
        for at, entry in enumerate(reading.entries):
            places.setdefault(entry.entry, []).append(at)
        for append in tried:
            if not append.accepted or append.complete_line is None or append.complete_line > reading.invoke_line:
                continue
            stands = places.get(append.entry, [])
            right = len(stands) == 1 and append.position in (None, stands[0])
            if not right and append.entry not in missed:
                missed.add(append.entry)
                yield _not_as_acknowledged(append, stands, reading)


def _not_as_acknowledged(append: Append, stands: Sequence[int], reading: Reading) -> Finding:
    place = "" if append.position is None else f" at position {append.position}"
    found = f"stands at {listed(map(str, stands))}" if stands else "is missing"
    return Finding(
        guarantee=GUARANTEE,
        words=f"{append.entry} of {append.holder or UNKNOWN_HOLDER} was acknowledged{place}, but {found} in the ledger "
        f"read at {instant(reading.complete)}",
        evidence=tuple(sorted({*append.lines, reading.complete_line})),
        start=append.invoke,
        end=reading.complete,
        nodes=() if append.holder is None else (append.holder,),
        facts={"rules": ["F4"]},
    )


def _never_accepted(tried: Sequence[Append], read: Sequence[Reading]) -> Iterator[Finding]:
    """F4: one finding for each entry of a ledger that was refused or never attempted."""
    of_name = {append.entry: append for append in tried}
    reported: set[str] = set()
    for reading in read:
        for entry in reading.entries:
            append = of_name.get(entry.entry)
            refused = append is not None and append.refused
            invented = append is None or append.invoke_line > reading.complete_line
            if (refused or invented) and entry.entry not in reported:
                reported.add(entry.entry)
                why = "was refused" if refused else "no client had written"
                yield Finding(
                    guarantee=GUARANTEE,
                    words=f"the ledger read at {instant(reading.complete)} contains {entry.entry}, which {why}",
                    evidence=tuple(sorted({*(() if append is None else append.lines), reading.complete_line})),
                    start=reading.invoke if append is None else min(append.invoke, reading.invoke),
                    end=reading.complete,
                    facts={"rules": ["F4"]},
                )


class Refusals(NamedTuple):
    """F5: the proven findings, and the number of runs of refusals that starvation left undecided."""

    findings: tuple[Finding, ...]
    undecided: int


def _shut_out(history: History, bounds: Bounds, tried: Sequence[Append]) -> Refusals:
    """F5: one finding for each run of refusals longer than a stall may last, without a fault and without starvation."""
    starved = Starvation.of(history, bounds)
    bound = 2 * bounds.stall_ns + bounds.slack_ns + starved.tolerated
    ended = sorted((append for append in tried if append.complete is not None), key=lambda append: append.lines)
    findings: list[Finding] = []
    undecided = 0
    for period in fault_free_periods(cluster_health(history, bounds)):
        for writes in _refused_runs(ended, period.start, period.end, bound):
            free = starved.free(writes[0].invoke, writes[-1].complete or 0)
            proven = [run for start, end in free for run in _refused_runs(writes, start, end, bound)]
            findings += [_refused_for_too_long(run) for run in proven]
            undecided += not proven
    return Refusals(tuple(findings), undecided)


def _refused_runs(ended: Sequence[Append], start: int, end: int, bound: int) -> Iterator[list[Append]]:
    """The runs of refused writes within [start, end] (ns) that last longer than ``bound``."""
    within = [a for a in ended if a.invoke >= start and (a.complete or 0) <= end]
    for refused, run in groupby(within, key=lambda append: append.refused):
        writes = list(run)
        if refused and (writes[-1].complete or 0) - writes[0].invoke > bound:
            yield writes


def _refused_for_too_long(writes: Sequence[Append]) -> Finding:
    holders = dict.fromkeys(write.holder for write in writes if write.holder is not None)
    start, end = writes[0].invoke, writes[-1].complete or 0
    were = "was" if len(writes) == 1 else "were"
    return Finding(
        guarantee=GUARANTEE,
        words=f"{all_of(len(writes), 'write')} of {listed(holders)} {were} refused for {duration(end - start)} "
        f"while no fault was active, until {instant(end)}",
        evidence=tuple(sorted({*writes[0].lines, *writes[-1].lines})),
        start=start,
        end=end,
        nodes=tuple(holders),
        facts={"rules": ["F5"]},
    )


def _facts(tried: Sequence[Append]) -> dict[str, Any]:
    """Counts of the attempted writes by outcome.

    A write is stale if its token is below one that was attempted before.
    """
    became: Counter[str] = Counter()
    held: int | None = None
    for append in tried:
        outcome = "accepted" if append.accepted else "refused" if append.refused else "unknown"
        became[outcome] += 1
        if append.token is None:
            became["tokenless"] += 1
        elif held is not None and append.token < held:
            became["stale"] += 1
            became[f"stale_{outcome}"] += 1
        else:
            held = append.token
    return {
        "appends_attempted": len(tried),
        "appends_accepted": became["accepted"],
        "appends_refused": became["refused"],
        "appends_unknown": became["unknown"],
        "appends_without_token": became["tokenless"],
        "tokens": len({append.token for append in tried if append.token is not None}),
        "stale_attempted": became["stale"],
        "stale_accepted": became["stale_accepted"],
        "stale_refused": became["stale_refused"],
        "stale_unknown": became["stale_unknown"],
    }


def _verdict(
    tried: Sequence[Append], read: Sequence[Reading], findings: Sequence[Finding], facts: Mapping[str, Any]
) -> Verdict:
    stale = _stale_words(facts)
    if findings:
        cut = cut_short(len(findings), MOST_FINDINGS)
        words = f"{findings[0].words}; {counted(len(findings), 'finding')} in total{cut}; {stale}"
        observed = Observed.VIOLATED
    elif not tried:
        observed, words = Observed.UNDECIDED, "no write to the ledger was attempted, so fencing was not tested"
    elif not any(append.token is not None for append in tried):
        observed, words = Observed.UNDECIDED, "no write had a token, so fencing was not tested"
    elif not read:
        observed, words = Observed.UNDECIDED, f"the ledger was never read, so its contents are unknown; {stale}"
    elif facts["refusals_undecided"]:
        observed = Observed.UNDECIDED
        words = f"every write was refused for long while the machine was starved, so the fence is in doubt; {stale}"
    else:
        observed = Observed.HELD
        writes = f"{counted(facts['appends_attempted'], 'write')} under {counted(facts['tokens'], 'token')}"
        words = f"{facts['appends_accepted']:,} of {writes} accepted, in token order; {stale}"
    return Verdict(
        property=PROPERTY,
        observed=observed,
        words=words,
        evidence=findings[0].evidence if findings else (),
        findings=tuple(findings[:MOST_FINDINGS]),
        facts=facts,
    )


def _stale_words(facts: Mapping[str, Any]) -> str:
    """The fate of the stale writes as text."""
    if not facts["stale_attempted"]:
        return "no stale write was attempted"
    return (
        f"{counted(facts['stale_attempted'], 'stale write')} attempted, {facts['stale_accepted']:,} accepted and "
        f"{facts['stale_refused']:,} refused"
    )
