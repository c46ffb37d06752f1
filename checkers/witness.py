"""What a simulation saw inside its nodes, as lines of a history: true reigns, confirmations, exceptions.

No observer could have written these lines. They come at the end of a simulated run, by the process of the node that
each is about, after a line ``witnessed`` that says that there are some. A history without that line was not seen from
inside. Their times are ns of the history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from splitbrain.checkers.history import History, NodeEvent
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.names import SIMULATION, WITNESSED


def witnessed(history: History) -> bool:
    """True if the history holds what a simulation saw inside the nodes."""
    return any(note.process == SIMULATION and note.f == WITNESSED for note in history.notes)


def seen_inside(history: History, f: str) -> Iterator[tuple[NodeEvent, Mapping[str, Any]]]:
    """The lines of one kind, with their facts."""
    for event in history.node_events:
        if event.f == f and isinstance(event.value, Mapping):
            yield event, event.value


def judged(name: str, findings: tuple[Finding, ...], held: str) -> Verdict:
    """The verdict of these findings; without any it held, in the words ``held``."""
    if not findings:
        return Verdict(property=name, observed=Observed.HELD, words=held)
    first, *others = sorted(findings, key=lambda finding: finding.start)
    more = f", and {len(others)} more" if others else ""
    return Verdict(
        property=name,
        observed=Observed.VIOLATED,
        words=f"{first.words}{more}",
        evidence=first.evidence,
        findings=(first, *others),
    )


def not_judged(name: str, words: str) -> Verdict:
    """The verdict that the history says nothing about the property, for the reason in ``words``."""
    return Verdict(property=name, observed=Observed.NOT_JUDGED, words=words)
