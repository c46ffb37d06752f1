"""Incidents: disturbances of machines that no fault of the run asked for, as a watcher recorded them.

A process that ends by itself is down, and a node that is paused, restarted or rationed from outside is disturbed,
with or without a fault in force. A history says so in lines of the process ``watcher``. Incidents excuse: each takes
its node out of every majority that should have had a leader.

- ``ended``: the node's software was *certainly* down from this line until the act that started it again began, and
  possibly from ``at`` (ns of the history) until it answered again.
- ``started``: the software was started again, ``by`` the nemesis, a restart policy, or from outside.
- ``replaced``: a process that listened on ``ports`` of the node ended inside its container, which lived on; the node
  was possibly down from ``at`` until it answered again.
- ``paused`` and ``resumed``, from outside: the node was possibly disturbed from one to the other. A ``signal`` stopped
  its process, or the engine its container.
- ``throttled``: the kernel withheld processor time from the node between ``at`` and this line.
- ``logged``: the node's log holds ``count`` lines that look like a crash, the first at ``at``; ``quotes`` are some of
  them, each with the ns after ``at`` and its words. These lines come at the end, and disturb nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from splitbrain.checkers.fault import Fault
from splitbrain.checkers.fault_periods import KILLS, PAUSES, RESTARTS, FaultPeriod
from splitbrain.checkers.operations import Ints
from splitbrain.checkers.words import counted, duration, instant
from splitbrain.names import ENDED, LOGGED, NEMESIS, OUTSIDE, PAUSED, REPLACED, RESUMED, STARTED, THROTTLED, WATCHER

if TYPE_CHECKING:
    from splitbrain.checkers.history import History

STOPS: Final = KILLS | PAUSES | {ENDED, PAUSED, REPLACED}
KINDS: Final = frozenset({ENDED, STARTED, REPLACED, PAUSED, RESUMED, THROTTLED, LOGGED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """One line of the watcher.

    ``time`` is the time of the line (ns), ``at`` when it happened, no later than that. ``by`` names the cause;
    None for the software itself.
    """

    index: int
    time: int
    at: int
    f: str
    node: str
    by: str | None
    facts: Mapping[str, Any]

    @property
    def ended(self) -> bool:
        """True for an end that the nemesis did not cause."""
        return self.f == ENDED and self.by != NEMESIS


def incidents(history: History) -> tuple[Incident, ...]:
    """The incidents of a history, in the order of their lines."""
    return tuple(
        Incident(
            index=note.index,
            time=note.time,
            at=_instant_of(facts, note.time),
            f=note.f,
            node=note.node,
            by=facts.get("by"),
            facts=facts,
        )
        for note in history.notes
        if note.process == WATCHER and note.f in KINDS and note.node is not None
        for facts in [note.value if isinstance(note.value, Mapping) else {}]
    )


def _instant_of(facts: Mapping[str, Any], time: int) -> int:
    at = facts.get("at")
    return min(max(0, at), time) if type(at) is int else time


def disturbances(history: History) -> list[FaultPeriod]:
    """The periods of all faults and incidents of a history."""
    return [*history.fault_periods, *incident_periods(history)]


def stops(history: History) -> list[FaultPeriod]:
    """The periods in which nodes were paused or down, by a fault or unasked."""
    return [period for period in disturbances(history) if period.fault.f in STOPS]


def running_ns(stopped: Iterable[FaultPeriod], nodes: Iterable[str], start: int, end: int) -> int:
    """How much (ns) of [start, end] none of the nodes was possibly ``stopped``."""
    watched = frozenset(nodes)
    periods = [each.possible for each in stopped if not each.nodes or not watched.isdisjoint(each.nodes)]
    running, reached = 0, start
    for since, until in [*sorted(periods), (end, end)]:
        running += max(0, min(since, end) - reached)
        reached = max(reached, until)
    return running


def incident_periods(history: History) -> list[FaultPeriod]:
    """The periods in which an incident affected its node; only those of software that had ended are ever certain."""
    periods = []
    known = incidents(history)
    away = {each.node for each in known if each.ended or each.f == REPLACED}
    returns = {node: _Returns.of(history, node) for node in away}
    over: dict[str, Incident] = {}  # for each node the next line by which the incident before it was over
    for incident in reversed(known):
        if incident.ended:
            periods.append(_down(incident, over.get(incident.node), returns[incident.node], history.end))
        elif incident.f == PAUSED:
            resumed = over.get(incident.node)
            periods.append(_period(incident, (incident.at, history.end + 1 if resumed is None else resumed.time)))
        elif incident.f == REPLACED:
            answered = returns[incident.node].answered(incident.time, never=history.end + 1)
            periods.append(_period(incident, (incident.at, answered)))
        elif incident.f == THROTTLED:
            periods.append(_period(incident, (incident.at, incident.time)))
        if incident.f in (ENDED, STARTED, RESUMED):
            over[incident.node] = incident
    return periods[::-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Returns:
    """The acts that may have started one node again, by their begins, and its answers: when invoked, when complete."""

    acts: list[tuple[int, int]]
    invoked: Ints
    complete: Ints
    observed: bool

    @classmethod
    def of(cls, history: History, node: str) -> _Returns:
        acts = [
            (act.begin, act.begin if act.done is None else act.done)
            for act in history.faults
            if act.f in RESTARTS and act.skipped is None and node in act.nodes
        ]
        seen = history.observations
        asked = seen.node == history.code[node]
        answers = asked & seen.ok
        return cls(
            acts=sorted(acts),
            invoked=seen.invoke[answers],
            complete=seen.complete[answers],
            observed=bool(asked.any()),
        )

    def answered(self, since: int, never: int) -> int:
        """When the node had answered a question asked at ``since`` (ns) or later, if it is ever observed."""
        first = int(np.searchsorted(self.invoked, since))
        if not self.observed:
            return since
        return int(self.complete[first]) if first < len(self.complete) else never


def _down(ended: Incident, again: Incident | None, returns: _Returns, end: int) -> FaultPeriod:
    """The period for which a node was down after an end that no fault asked for, until it was started ``again``."""
    starts = [] if again is None or again.f != STARTED else [(again.at, again.time)]
    first = bisect_left(returns.acts, (ended.time, 0))
    starts += returns.acts[first : first + 1]
    if not starts:
        return _period(ended, (ended.at, end + 1), (ended.time, end))
    began, started = min(starts)
    answered = returns.answered(started, never=end + 1)
    return _period(ended, (ended.at, answered), (ended.time, max(ended.time, began)))


def _period(incident: Incident, possible: tuple[int, int], certain: tuple[int, int] | None = None) -> FaultPeriod:
    fault = Fault(
        id=f"line {incident.index}",
        f=incident.f,
        begin=incident.at,
        begin_index=incident.index,
        done=incident.time,
        done_index=incident.index,
        nodes=(incident.node,),
        effect=incident.facts,
    )
    nodes, cuts = (incident.node,), certain is not None
    return FaultPeriod(fault=fault, nodes=nodes, links=(), possible=possible, certain=certain, cuts=cuts)


def down_for_good(history: History) -> tuple[str, ...]:
    """The nodes that ended unasked and were not started again."""
    return tuple(
        period.nodes[0] for period in incident_periods(history) if period.certain and period.certain[1] >= history.end
    )


def described(history: History) -> tuple[str, ...]:
    """What happened unasked, one sentence for each node and kind, for a reader of the verdict."""
    groups: dict[tuple[str, str, str | None], list[Incident]] = {}
    for incident in incidents(history):
        if incident.by != NEMESIS and incident.f != RESUMED:
            groups.setdefault((incident.node, incident.f, incident.by), []).append(incident)
    dead = down_for_good(history)
    return tuple(_sentence(group, for_good=group[0].node in dead) for group in groups.values())


def _sentence(group: list[Incident], for_good: bool) -> str:
    first, last = group[0], group[-1]
    if first.f == LOGGED:
        return _logged(first)
    if first.f == THROTTLED:
        withheld = sum(float(each.facts.get("throttled_ms", 0)) for each in group)
        spell = f"from {instant(first.at)} to {instant(last.time)}"
        return (
            f"{first.node} was rationed from outside {spell}: it waited {duration(int(withheld * 1e6))} for a processor"
        )
    words = f"{what_happened(first.node, first.f, first.facts)} at {instant(first.at)}"
    if len(group) > 1:
        words += f", and {len(group) - 1:,} more until {instant(last.at)}"
    return words + (" and was not started again" if first.f == ENDED and for_good else "")


def _logged(logged: Incident) -> str:
    count = int(logged.facts.get("count", 1))
    quotes = [f"{instant(logged.at + int(after))}: {words}" for after, words in logged.facts.get("quotes", ())]
    like = f"{counted(count, 'line')} that look{'s' if count == 1 else ''} like a crash"
    return (
        f"the log of {logged.node} has {like}, at {'; at '.join(quotes)}" if quotes else f"{logged.node} logged {like}"
    )


def what_happened(node: str, f: str, facts: Mapping[str, Any]) -> str | None:
    """An incident in words; None for one that the nemesis caused."""
    by = facts.get("by")
    match f:
        case "logged":
            return f"the log of {node} has lines that look like a crash"
        case _ if by == NEMESIS:
            return None
        case "ended" if by == OUTSIDE:
            return f"{node} was ended from outside ({how_it_ended(facts)})"
        case "ended":
            return f"{node} ended by itself ({how_it_ended(facts)})"
        case "replaced":
            return f"the process of {node} that clients ask ended inside its container"
        case "paused" if facts.get("signal"):
            return f"the process of {node} that clients ask was stopped by a signal from outside"
        case "started":
            return f"{node} was started again {'from outside' if by == OUTSIDE else f'by its {by}'}"
        case "throttled":
            return f"{node} is rationed from outside"
        case "paused" | "resumed":
            return f"{node} was {f} from outside"
        case _:
            return f"{node} {f}"


def how_it_ended(facts: Mapping[str, Any]) -> str:
    """How software ended, by the facts of its line: of an exception, for want of memory, by a signal, or by itself."""
    if facts.get("error"):
        return f"it raised {facts['error']}"
    if facts.get("oom"):
        return "killed for want of memory"
    if facts.get("signal"):
        return f"killed by {facts['signal']}"
    return f"exit status {facts.get('status')}"
