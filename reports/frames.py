"""Frames: the data that the drawings of one run are made from, taken from its history and its verdicts.

Nothing here judges: overlaps and stalls are findings of the verdicts. A frame holds times and values, never positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from splitbrain.checkers.history import History
from splitbrain.reports import fault_windows, measured, words
from splitbrain.reports.fault_windows import FaultWindow, LinkRecovery, NodeFaultSpan
from splitbrain.reports.incident_spans import IncidentSpan, incident_spans
from splitbrain.reports.measured import Answers, ConfirmationTimes, Lateness, Series, Terms
from splitbrain.reports.reigns import DrawnReigns, reigns


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedFinding:
    """A finding of a verdict, placed on the time axis."""

    start: int
    end: int
    nodes: tuple[str, ...]
    words: str
    evidence: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultImpact:
    """Effect of one fault on leadership, as measured by the stall checker; None where it could not be determined."""

    gap_s: float | None
    recovery_s: float | None
    agreement_s: float | None
    leader_touched: bool | None
    leader_changed: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecoveryBound:
    """A limit on recovery times, and its meaning."""

    words: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RecoveryTimes:
    """Recovery times of the faults of one shape, in the order of the faults; None where none was observed."""

    shape: str
    seconds: tuple[float | None, ...]
    faults: tuple[str, ...]

    @property
    def seen(self) -> tuple[float, ...]:
        return tuple(value for value in self.seconds if value is not None)


def placed_findings(verdicts: Mapping[str, Any], name: str) -> tuple[PlacedFinding, ...]:
    """The findings of one property by start, without those that have no interval."""
    findings = _rows(words.mapping(words.mapping(verdicts.get("properties")).get(name)).get("findings"))
    placed = [
        PlacedFinding(
            start=int(finding["start"]),
            end=int(finding["end"]),
            nodes=tuple(str(node) for node in words.sequence(finding.get("nodes"))),
            words=str(finding.get("words", "")),
            evidence=tuple(words.sequence(finding.get("evidence"))),
        )
        for finding in findings
        if isinstance(finding.get("start"), int) and isinstance(finding.get("end"), int)
    ]
    return tuple(sorted(placed, key=lambda mark: (mark.start, mark.end)))


def impacts(verdicts: Mapping[str, Any], faults: Sequence[FaultWindow]) -> dict[str, FaultImpact]:
    """The impact of each fault by its id (as text), as measured by the stall checker."""
    facts = _stall_facts(verdicts)
    measured_of = {str(row.get("id")): row for row in _rows(facts.get("faults"))}
    # Agreement is measured from the end of a heal, which is where the window of the fault ends.
    agreed = {row.get("done"): row.get("agreement_ns") for row in _rows(facts.get("heals"))}
    return {
        name: _impact(measured_of[name], agreed.get(window.end) if window.undone else None)
        for window in faults
        if (name := str(window.fault.id)) in measured_of
    }


def _impact(row: Mapping[str, Any], agreement_ns: object) -> FaultImpact:
    touched, changed = row.get("leader_touched"), row.get("leader_changed")
    return FaultImpact(
        gap_s=_in_seconds(row.get("gap_ns")),
        recovery_s=_in_seconds(row.get("recovery_ns")),
        agreement_s=_in_seconds(agreement_ns),
        leader_touched=touched if isinstance(touched, bool) else None,
        leader_changed=changed if isinstance(changed, bool) else None,
    )


def _stall_facts(verdicts: Mapping[str, Any]) -> Mapping[str, Any]:
    return words.mapping(words.mapping(words.mapping(verdicts.get("properties")).get("stall")).get("facts"))


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [row for row in words.sequence(value) if isinstance(row, Mapping)]


def _in_seconds(value: object, in_a_second: float = 1e9) -> float | None:
    return value / in_a_second if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def recovery(faults: Sequence[FaultWindow], impacts_of: Mapping[str, FaultImpact]) -> tuple[RecoveryTimes, ...]:
    """Recovery times by shape, for the faults that took effect and were measured."""
    by_shape: dict[str, list[tuple[float | None, str]]] = {}
    for window in faults:
        impact = impacts_of.get(str(window.fault.id))
        if impact is not None and window.fault.in_effect:
            by_shape.setdefault(window.shape, []).append((impact.recovery_s, str(window.fault.id)))
    return tuple(
        RecoveryTimes(shape=shape, seconds=tuple(s for s, _ in rows), faults=tuple(fault for _, fault in rows))
        for shape, rows in sorted(by_shape.items())
    )


def bounds(verdicts: Mapping[str, Any], experiment: Mapping[str, Any]) -> tuple[RecoveryBound, ...]:
    """The recovery time that the system promises, and the bound that a stall was judged by."""
    promised = _in_seconds(words.mapping(experiment.get("bounds")).get("stall_ms"), 1e3)
    judged = _in_seconds(_stall_facts(verdicts).get("bound_ns"))
    found = [] if promised is None else [RecoveryBound(words="promised", seconds=promised)]
    return (*found, *([] if judged is None else [RecoveryBound(words="judged", seconds=judged)]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Frames:
    """All frames of one run. ``servers`` are those of ``nodes`` that never stand for election."""

    nodes: tuple[str, ...]
    servers: tuple[str, ...]
    end: int
    reigns: DrawnReigns
    faults: tuple[FaultWindow, ...]
    link_recoveries: tuple[LinkRecovery, ...]
    node_faults: tuple[NodeFaultSpan, ...]
    incidents: tuple[IncidentSpan, ...]
    overlaps: tuple[PlacedFinding, ...]
    stalls: tuple[PlacedFinding, ...]
    terms: Terms
    series: tuple[Series, ...]
    lateness: Lateness
    confirms: ConfirmationTimes
    answers: Answers
    impacts: Mapping[str, FaultImpact]
    recovery: tuple[RecoveryTimes, ...]
    bounds: tuple[RecoveryBound, ...]


def servers(history: History) -> tuple[str, ...]:
    """The machines that only faults mention: never observed, never named as leader, and without node events."""
    if not len(history.observations):
        return ()
    met = {*history.observations.leader.tolist(), *history.observations.node.tolist()}
    met.update(history.operations("confirm").node.tolist())
    reporting = {event.node for event in history.node_events}
    return tuple(name for code, name in enumerate(history.nodes) if code not in met and name not in reporting)


def gather(history: History, verdicts: Mapping[str, Any], experiment: Mapping[str, Any]) -> Frames:
    """Compute all frames of a run."""
    faults = fault_windows.windows(history)
    measured_impacts = impacts(verdicts, faults)
    asked = [f for f in ("observe", "confirm") if len(history.operations(f))]
    return Frames(
        nodes=history.nodes,
        servers=servers(history),
        end=history.end,
        reigns=reigns(history, faults),
        faults=faults,
        link_recoveries=fault_windows.link_recoveries(history),
        incidents=incident_spans(history),
        node_faults=fault_windows.node_faults(faults, history.nodes),
        overlaps=placed_findings(verdicts, "exclusivity"),
        stalls=placed_findings(verdicts, "stall"),
        terms=measured.terms(history),
        series=tuple(measured.series(history, f) for f in asked),
        lateness=measured.lateness(history),
        confirms=measured.confirms(history),
        answers=measured.answers(history),
        impacts=measured_impacts,
        recovery=recovery(faults, measured_impacts),
        bounds=bounds(verdicts, experiment),
    )
