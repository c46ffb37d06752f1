"""What was done to the cluster and what it did: the rows of the table of faults, and the chart of recoveries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from splitbrain.checkers.words import counted
from splitbrain.reports import words
from splitbrain.reports.fault_windows import Crossing, Window, of_window
from splitbrain.reports.frames import Effect, Frames, Recovery

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
    crossed: str
    start: int  # µs, for the timeline
    end: int


def fault_label(window: Window) -> str:
    name = window.shape if not window.fault.skipped else f"skipped: {window.shape}"
    return f"{name} ({', '.join(window.fault.nodes)})" if 0 < len(window.fault.nodes) <= 3 else name


def fault_words(window: Window) -> str:
    """A fault in one sentence with its times."""
    fault = window.fault
    told = f"{fault.f} #{fault.id}" if window.shape == fault.f else f"{fault.f} #{fault.id}, {window.shape}"
    told += f": {targets(window)}" if targets(window) else ""
    if fault.skipped:
        return f"{told}\nskipped: {fault.skipped}"
    told += f"\nbegun {window.begin / 1e9:.3f} s"
    if window.effect is not None:
        told += f", in effect {(window.effect - window.begin) / 1e6:.1f} ms later"
    told += f", undone {window.end / 1e9:.3f} s" if window.undone else ", never undone"
    return told + ("\nits effect could NOT be verified" if fault.verified is False else "")


def targets(window: Window) -> str:
    """The nodes and links that a fault names."""
    nodes, links = window.fault.nodes, window.fault.links
    told = [", ".join(nodes)] if nodes else []
    if links:
        pairs = ", ".join(f"{a}→{b}" for a, b in links)
        told.append(pairs if len(links) <= 4 else f"{len(links)} links")
    return "; ".join(told)


def fault_rows(frames: Frames) -> list[FaultRow]:
    return [_fault_row(window, frames) for window in frames.hurt[:MAX_FAULT_ROWS]]


def _fault_row(window: Window, frames: Frames) -> FaultRow:
    fault, effect = window.fault, frames.effects.get(str(window.fault.id))
    verified = {True: "yes", False: "NO", None: "not stated"}[fault.verified]
    return FaultRow(
        id=str(fault.id),
        name=fault.f if window.shape == fault.f else f"{fault.f}: {window.shape}",
        targets=targets(window),
        begun=f"{window.begin / 1e9:.2f}",
        effect="–" if window.effect is None or fault.skipped else f"{(window.effect - window.begin) / 1e6:.1f}",
        verified=f"skipped: {fault.skipped}" if fault.skipped else verified,
        undone=f"{window.end / 1e9:.2f}" if window.undone else "–" if fault.skipped else "never",
        gap=words.seconds(effect.gap_s if effect else None),
        leader=_leader(effect),
        recovery=words.seconds(effect.recovery_s if effect else None),
        agreement=words.seconds(effect.agreement_s if effect else None),
        crossed=_crossed(of_window(window, frames.crossed)),
        start=window.begin // 1000,
        end=window.end // 1000,
    )


def _crossed(crossed: Sequence[Crossing]) -> str:
    """The slowest link over which software was heard again, and over how many it was."""
    heard = [each.after for each in crossed if each.after is not None]
    if not crossed:
        return "–"
    return f"{words.seconds(max(heard) / 1e9) if heard else '–'} ({len(heard)} of {len(crossed)})"


def _leader(effect: Effect | None) -> str:
    if effect is None or effect.leader_touched is None or effect.leader_changed is None:
        return "–"
    return f"{'touched' if effect.leader_touched else 'untouched'}, {'changed' if effect.leader_changed else 'kept'}"


def faults_note(frames: Frames, schedule: Json) -> str:
    """A sentence with the numbers of faults injected, planned, skipped and not verified."""
    planned, begun = len(words.sequence(schedule.get("steps"))), len(frames.hurt)
    if not begun:
        return "No fault was injected." + (f" {counted(planned, 'fault')} planned." if planned else "")
    skipped = sum(1 for window in frames.hurt if window.fault.skipped)
    failed = sum(1 for window in frames.hurt if window.fault.verified is False)
    injected = begun - skipped
    planned_words = f"{injected} of {counted(planned, 'planned fault')} injected"
    parts = [planned_words if injected <= planned else f"{counted(injected, 'fault')} injected"]
    parts += [f"{skipped} skipped"] if skipped else []
    parts += [f"{failed} not verified to have taken effect"] if failed else []
    parts += [f"the first {MAX_FAULT_ROWS} are listed"] if begun > MAX_FAULT_ROWS else []
    return "; ".join(parts) + "."


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
    """The recovery times as positions in a drawing 980 wide; `never` counts the faults without a recovery."""

    height: int
    ticks: tuple[Tick, ...]
    bounds: tuple[Tick, ...]
    rows: tuple[ChartRow, ...]
    never: int
    words: str


def recovery_chart(frames: Frames) -> Chart | None:
    """The chart of recoveries; None when no fault was measured."""
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


def _chart_row(row: Recovery, y: int, x: Callable[[float], float]) -> ChartRow:
    both = list(zip(row.seconds, row.faults, strict=True))
    measured = [(x(value), f"fault {fault}: {value:.3f} s") for value, fault in both if value is not None]
    unseen = [(_CHART_RIGHT, f"fault {fault}: none seen") for value, fault in both if value is None]
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
    return tuple(Dot(x=x, y=round(y + aside, 1), words=told) for (x, told), aside in zip(places, asides, strict=True))


def spread(count: int, reach: float) -> list[float]:
    """Offsets within +-reach that keep the dots of one row apart, always the same: steps of the golden ratio."""
    return [reach * (number * 0.618034 % 1 * 2 - 1) for number in range(count)] if count > 1 else [0.0] * count


def _recovery_words(row: Recovery) -> str:
    if not row.seen:
        return f"{row.shape}: no recovery seen"
    return f"{row.shape}: median {float(np.median(row.seen)):.2f} s, longest {max(row.seen):.2f} s"
