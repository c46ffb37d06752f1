"""Spans of incidents: when nodes were down or disturbed without a fault that asked for it, for the timeline."""

from __future__ import annotations

from dataclasses import dataclass, replace

from splitbrain.checkers.fault_periods import FaultPeriod
from splitbrain.checkers.history import History
from splitbrain.checkers.incidents import incident_periods, what_happened


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentSpan:
    """Node number ``node`` was possibly down, paused or rationed on [start, end] (ns), for the reason in ``words``."""

    node: int
    start: int
    end: int
    kind: str
    words: str


def incident_spans(history: History) -> tuple[IncidentSpan, ...]:
    """The spans of a history by node and start, those of one reason that touch made one."""
    spans: list[IncidentSpan] = []
    for span in sorted((_span(history, period) for period in incident_periods(history)), key=_order):
        last = spans[-1] if spans else None
        if last is not None and (last.node, last.words) == (span.node, span.words) and span.start <= last.end:
            spans[-1] = replace(last, end=max(last.end, span.end))
        else:
            spans.append(span)
    return tuple(spans)


def _order(span: IncidentSpan) -> tuple[int, int]:
    return span.node, span.start


def _span(history: History, period: FaultPeriod) -> IncidentSpan:
    (node,), incident = period.nodes, period.fault
    return IncidentSpan(
        node=history.code[node],
        start=period.possible[0],
        end=min(period.possible[1], history.end),
        kind="down" if period.cuts else "paused" if incident.f == "paused" else "other",
        words=what_happened(node, incident.f, incident.effect) or incident.f,
    )
