"""The rows of the table of faults, and the chart of recovery times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from splitbrain.checkers.fault import Fault
from splitbrain.checkers.words import counted
from splitbrain.reports import words
from splitbrain.reports.fault_windows import FaultWindow, LinkRecovery, of_window
from splitbrain.reports.frames import FaultImpact, Frames, RecoveryTimes

MAX_FAULT_ROWS = 400

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class FaultRow:
    id: str
    name: str
    targets: str
    begun: str
    effect: str
    verified: str
    undone: str
    gap: str
    leader: str
    recovery: str
    agreement: str
    first_data: str
    start: int  # µs, for the timeline
    end: int


def fault_label(window: FaultWindow) -> str:
    name = window.shape if not window.fault.skipped else f"skipped: {window.shape}"
    return f"{name} ({', '.join(window.fault.nodes)})" if 0 < len(window.fault.nodes) <= 3 else name


def fault_words(window: FaultWindow) -> str:
    """Name, targets and times of a fault, one to a line."""
    fault = window.fault
    text = f"{fault.f} #{fault.id}" if window.shape == fault.f else f"{fault.f} #{fault.id}, {window.shape}"
    text += f": {targets(window)}" if targets(window) else ""
    if fault.skipped:
        return f"{text}\nskipped: {fault.skipped}"
    text += f"\nbegan at {window.begin / 1e9:.3f} s"
    if window.effect is not None:
        text += f", in effect {(window.effect - window.begin) / 1e6:.1f} ms later"
    text += f", undone at {window.end / 1e9:.3f} s" if window.undone else ", never undone"
    text += "\neffect NOT verified" if fault.verified is False else ""
    return text + (f"\nLOST: {fault.lost[0]}" if fault.lost else "")


def targets(window: FaultWindow) -> str:
    """The nodes and links that a fault names."""
    nodes, links = window.fault.nodes, window.fault.links
    parts = [", ".join(nodes)] if nodes else []
    if links:
        pairs = ", ".join(f"{a}→{b}" for a, b in links)
        parts.append(pairs if len(links) <= 4 else f"{len(links)} links")
    return "; ".join(parts)


def fault_rows(frames: Frames) -> list[FaultRow]:
    return [_fault_row(window, frames) for window in frames.faults[:MAX_FAULT_ROWS]]


def _fault_row(window: FaultWindow, frames: Frames) -> FaultRow:
    fault, impact = window.fault, frames.impacts.get(str(window.fault.id))
    return FaultRow(
        id=str(fault.id),
        name=fault.f if window.shape == fault.f else f"{fault.f}: {window.shape}",
        targets=targets(window),
        begun=f"{window.begin / 1e9:.2f}",
        effect="–" if window.effect is None or fault.skipped else f"{(window.effect - window.begin) / 1e6:.1f}",
        verified=_verified(fault),
        undone=f"{window.end / 1e9:.2f}" if window.undone else "–" if fault.skipped else "never",
        gap=words.seconds(impact.gap_s if impact else None),
        leader=_leader(impact),
        recovery=words.seconds(impact.recovery_s if impact else None),
        agreement=words.seconds(impact.agreement_s if impact else None),
        first_data=_first_data(of_window(window, frames.link_recoveries)),
        start=window.begin // 1000,
        end=window.end // 1000,
    )


def _verified(fault: Fault) -> str:
    """How the effect of a fault was verified: when it began, and until it was undone or lost."""
    if fault.skipped:
        return f"skipped: {fault.skipped}"
    verified = {True: "yes", False: "NO", None: "not stated"}[fault.verified]
    until = "" if fault.last_seen is None else f" until {fault.last_seen / 1e9:.2f} s"
    if fault.lost:
        return f"{verified}{until}, then LOST: {fault.lost[0]}"
    return f"{verified}, {counted(fault.seen_again, 'time')} again{until}" if fault.seen_again else verified


def _first_data(recoveries: Sequence[LinkRecovery]) -> str:
    """The time of the slowest link that carried data again, and how many links did."""
    times = [each.after for each in recoveries if each.after is not None]
    if not recoveries:
        return "–"
    return f"{words.seconds(max(times) / 1e9) if times else '–'} ({len(times)} of {len(recoveries)})"


def _leader(impact: FaultImpact | None) -> str:
    if impact is None or impact.leader_touched is None or impact.leader_changed is None:
        return "–"
    return f"{'affected' if impact.leader_touched else 'unaffected'}, {'changed' if impact.leader_changed else 'kept'}"


def faults_note(frames: Frames, schedule: Json) -> str:
    """The numbers of planned, injected, skipped and unverified faults, as a sentence."""
    planned, begun = len(words.sequence(schedule.get("steps"))), len(frames.faults)
    skipped = sum(1 for window in frames.faults if window.fault.skipped)
    unverified = sum(1 for window in frames.faults if window.fault.verified is False)
    parts = [_injected(begun - skipped, begun, planned)]
    parts += [f"{skipped} skipped"] if skipped else []
    parts += [f"{unverified} not verified to have taken effect"] if unverified else []
    lost = sum(1 for window in frames.faults if window.fault.lost)
    parts += [f"{lost} lost before being undone"] if lost else []
    parts += [f"the first {MAX_FAULT_ROWS} are listed"] if begun > MAX_FAULT_ROWS else []
    return "; ".join(parts) + "."


def _injected(injected: int, begun: int, planned: int) -> str:
    """Injected against planned faults. One planned step, such as a flapping link, may inject many faults."""
    if not planned:
        return f"{counted(injected, 'fault')} injected" if begun else "No fault was injected"
    if begun > planned:
        return f"{counted(injected, 'fault')} injected in {counted(planned, 'planned step')}"
    return f"{injected} of {counted(planned, 'planned fault')} injected"


_CHART_LEFT, _CHART_RIGHT = 250.0, 965.0
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 1e4, 1e5, 1e9)


@dataclass(frozen=True, kw_only=True)
class Dot:
    x: float
    y: float
    words: str


@dataclass(frozen=True, kw_only=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, kw_only=True)
class ChartRow:
    y: int
    name: str
    summary: str
    median_x: float | None
    dots: tuple[Dot, ...]
    never: tuple[Dot, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Recovery times as positions in a drawing 980 pixels wide; `never` counts the faults without a recovery."""

    height: int
    ticks: tuple[Tick, ...]
    bounds: tuple[Tick, ...]
    rows: tuple[ChartRow, ...]
    never: int
    words: str


def recovery_chart(frames: Frames) -> Chart | None:
    """The chart of recovery times; None when no fault was measured."""
    rows = frames.recovery
    if not rows:
        return None
    bounds = [bound.seconds for bound in frames.bounds]
    longest = max([*(value for row in rows for value in row.seen), *bounds, 0.0]) or 1.0
    step = next(step for step in _STEPS if longest / step <= 10)
    scale = (_CHART_RIGHT - 30 - _CHART_LEFT) / longest

    def x(value: float) -> float:
        return round(_CHART_LEFT + value * scale, 1)

    return Chart(
        height=64 + 34 * len(rows),
        ticks=tuple(Tick(x=x(k * step), label=f"{k * step:g}") for k in range(int(longest / step) + 1)),
        bounds=tuple(Tick(x=x(bound.seconds), label=f"{bound.words} {bound.seconds:.3g} s") for bound in frames.bounds),
        rows=tuple(_chart_row(row, 38 + 34 * number, x) for number, row in enumerate(rows)),
        never=sum(len(row.seconds) - len(row.seen) for row in rows),
        words="; ".join(_recovery_words(row) for row in rows),
    )


def _chart_row(row: RecoveryTimes, y: int, x: Callable[[float], float]) -> ChartRow:
    both = list(zip(row.seconds, row.faults, strict=True))
    measured = [(x(value), f"fault {fault}: {value:.3f} s") for value, fault in both if value is not None]
    unseen = [(_CHART_RIGHT, f"fault {fault}: no recovery observed") for value, fault in both if value is None]
    return ChartRow(
        y=y,
        name=row.shape,
        summary=f"{len(row.seen)} of {len(row.seconds)}",
        median_x=x(float(np.median(row.seen))) if row.seen else None,
        dots=_dots(measured, y),
        never=_dots(unseen, y),
    )


def _dots(places: Sequence[tuple[float, str]], y: int) -> tuple[Dot, ...]:
    asides = spread(len(places), 8)
    return tuple(Dot(x=x, y=round(y + aside, 1), words=text) for (x, text), aside in zip(places, asides, strict=True))


def spread(count: int, reach: float) -> list[float]:
    """Offsets within ±reach that keep the dots of one row apart: steps of the golden ratio, hence reproducible."""
    return [reach * (number * 0.618034 % 1 * 2 - 1) for number in range(count)] if count > 1 else [0.0] * count


def _recovery_words(row: RecoveryTimes) -> str:
    if not row.seen:
        return f"{row.shape}: no recovery observed"
    return f"{row.shape}: median {float(np.median(row.seen)):.2f} s, longest {max(row.seen):.2f} s"
