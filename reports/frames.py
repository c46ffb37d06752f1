"""All that the pictures of one run are drawn from, and what the verdicts contribute to it.

Two promises. Nothing here judges: what is called proven or a stall comes from the verdicts, and the rest is
description. And a frame knows nothing of paper or pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from splitbrain.checkers.history import History
from splitbrain.reports import fault_windows as hurting
from splitbrain.reports import measured, words
from splitbrain.reports.fault_windows import Crossing, State, Window
from splitbrain.reports.measured import Answers, Confirms, Lateness, Series, Terms
from splitbrain.reports.reigns import Reigns, reigns


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A finding of a verdict, placed on the time axis."""

    start: int
    end: int
    nodes: tuple[str, ...]
    words: str
    evidence: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What one fault did to leadership, as the stall checker measured it; None where it could not tell."""

    gap_s: float | None
    recovery_s: float | None
    agreement_s: float | None
    leader_touched: bool | None
    leader_changed: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """A time that recoveries are held against, and what it means."""

    words: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovery:
    """Recovery times of the faults of one shape, in the order of the faults; None where none was seen."""

    shape: str
    seconds: tuple[float | None, ...]
    faults: tuple[str, ...]

    @property
    def seen(self) -> tuple[float, ...]:
        return tuple(value for value in self.seconds if value is not None)


def marks(verdicts: Mapping[str, Any], name: str) -> tuple[Mark, ...]:
    """The findings of one property by start; those that carry no stretch of time are left out."""
    findings = _rows(words.mapping(words.mapping(verdicts.get("properties")).get(name)).get("findings"))
    placed = [
        Mark(
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


def effects(verdicts: Mapping[str, Any], hurt: Sequence[Window]) -> dict[str, Effect]:
    """What each fault (by its id, as text) did, from the measurements of the stall checker."""
    facts = _stall_facts(verdicts)
    measured_of = {str(row.get("id")): row for row in _rows(facts.get("faults"))}
    # Agreement is measured after what healed, which is the line at which the fault's window ends.
    agreed = {row.get("done"): row.get("agreement_ns") for row in _rows(facts.get("heals"))}
    return {
        name: _effect(measured_of[name], agreed.get(window.end) if window.undone else None)
        for window in hurt
        if (name := str(window.fault.id)) in measured_of
    }


def _effect(row: Mapping[str, Any], agreement_ns: object) -> Effect:
    touched, changed = row.get("leader_touched"), row.get("leader_changed")
    return Effect(
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


def recovery(hurt: Sequence[Window], did: Mapping[str, Effect]) -> tuple[Recovery, ...]:
    """Recovery times by shape, of the faults that took effect and were measured."""
    by_shape: dict[str, list[tuple[float | None, str]]] = {}
    for window in hurt:
        effect = did.get(str(window.fault.id))
        if effect is not None and window.fault.in_effect:
            by_shape.setdefault(window.shape, []).append((effect.recovery_s, str(window.fault.id)))
    return tuple(
        Recovery(shape=shape, seconds=tuple(s for s, _ in rows), faults=tuple(fault for _, fault in rows))
        for shape, rows in sorted(by_shape.items())
    )


def bounds(verdicts: Mapping[str, Any], experiment: Mapping[str, Any]) -> tuple[Bound, ...]:
    """The recovery that the system promises, and the time beyond which a stall is judged."""
    promised = _in_seconds(words.mapping(experiment.get("bounds")).get("stall_ms"), 1e3)
    judged = _in_seconds(_stall_facts(verdicts).get("bound_ns"))
    found = [] if promised is None else [Bound(words="promised", seconds=promised)]
    return (*found, *([] if judged is None else [Bound(words="judged", seconds=judged)]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Frames:
    """All frames of one run. ``servers`` are those of ``nodes`` that are no nodes: they are hurt and never asked."""

    nodes: tuple[str, ...]
    servers: tuple[str, ...]
    end: int
    reigns: Reigns
    hurt: tuple[Window, ...]
    crossed: tuple[Crossing, ...]
    states: tuple[State, ...]
    overlaps: tuple[Mark, ...]
    stalls: tuple[Mark, ...]
    terms: Terms
    series: tuple[Series, ...]
    lateness: Lateness
    confirms: Confirms
    answers: Answers
    effects: Mapping[str, Effect]
    recovery: tuple[Recovery, ...]
    bounds: tuple[Bound, ...]


def servers(history: History) -> tuple[str, ...]:
    """The machines that nobody ever asked to lead, or named as leader: they stand in faults, and may have opinions."""
    if not len(history.observations):
        return ()
    met = {*history.observations.leader.tolist(), *history.observations.node.tolist()}
    met.update(history.operations("confirm").node.tolist())
    told = {event.node for event in history.node_events}
    return tuple(name for code, name in enumerate(history.nodes) if code not in met and name not in told)


def gather(history: History, verdicts: Mapping[str, Any], experiment: Mapping[str, Any]) -> Frames:
    """Every frame of a run."""
    hurt = hurting.windows(history)
    done = effects(verdicts, hurt)
    asked = [f for f in ("observe", "confirm") if len(history.operations(f))]
    return Frames(
        nodes=history.nodes,
        servers=servers(history),
        end=history.end,
        reigns=reigns(history, hurt),
        hurt=hurt,
        crossed=hurting.crossings(history),
        states=hurting.states(hurt, history.nodes),
        overlaps=marks(verdicts, "exclusivity"),
        stalls=marks(verdicts, "stall"),
        terms=measured.terms(history),
        series=tuple(measured.series(history, f) for f in asked),
        lateness=measured.lateness(history),
        confirms=measured.confirms(history),
        answers=measured.answers(history),
        effects=done,
        recovery=recovery(hurt, done),
        bounds=bounds(verdicts, experiment),
    )
