"""Matplotlib figures of a run, drawn from frames. Nothing is computed here except positions.

pyplot is never imported, because it keeps every figure alive in a global registry. Colours are the palette of Okabe and
Ito, which is safe for colour-blind readers. Vermillion marks violations only, and no information is in colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation, Transform

from splitbrain.reports.fault_windows import FaultWindow, NodeFaultSpan
from splitbrain.reports.faults import spread
from splitbrain.reports.frames import PlacedFinding, RecoveryBound, RecoveryTimes
from splitbrain.reports.incident_spans import IncidentSpan
from splitbrain.reports.measured import Lateness, Series, Terms
from splitbrain.reports.reigns import DrawnReign, DrawnReigns

TERM_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#0072b2", "#f0e442")
KEYLESS = "#a9b3be"
VERMILLION = "#d55e00"
INK = "#24292f"
_SOFT = "#6b7580"
_SHADE = "#46505f"
_WIDTH = 11.0
_LINE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#24292f")
_DASHES = ("-", "--", ":", "-.")
_HATCH = {"down": None, "paused": "....", "cut": "////", "other": "xxxx"}
_MOST_NAMES = 40  # labelled bars: more labels would overlap


def colour_of(reign: DrawnReign, order: int) -> int | None:
    """The number of the term colour of a reign; None for claims without a key."""
    if reign.key is None:
        return None
    return (order if reign.term is None else reign.term) % len(TERM_COLOURS)


def timeline(
    *,
    nodes: Sequence[str],
    end: int,
    reigns: DrawnReigns,
    faults: Sequence[FaultWindow],
    node_faults: Sequence[NodeFaultSpan | IncidentSpan],
    overlaps: Sequence[PlacedFinding],
    stalls: Sequence[PlacedFinding],
    quiet: Sequence[tuple[int, int]],
) -> Figure:
    """Timeline: rows for faults, overlaps and gaps in leadership, then one lane per node with reigns and faults."""
    rows = ["faults", "two leaders", "no leadership", *map(_plain, nodes)]
    figure = Figure(figsize=(_WIDTH, 1.5 + 0.36 * len(rows)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for number in range(3, len(rows)):
        axes.axhspan(number - 0.42, number + 0.42, color="#eef1f4", lw=0, zorder=0)
    _draw_faults(axes, faults, end)
    _draw_marks(axes, 1, overlaps, end, color=VERMILLION, edgecolor=INK)
    for start, stop in quiet:
        axes.barh(2, (stop - start) / 1e9, left=start / 1e9, height=0.4, color="#b6bec7", zorder=3)
    _draw_marks(axes, 2, stalls, end, color=INK, edgecolor=INK)
    for mark in overlaps:
        axes.axvspan(mark.start / 1e9, mark.end / 1e9, color=VERMILLION, alpha=0.15, lw=0, zorder=1)
    _draw_reigns(axes, reigns, end)
    _draw_node_faults(axes, node_faults)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, max(end, 1) / 1e9)
    axes.set_xlabel("seconds since the start of the history")
    _bare(axes)
    axes.tick_params(axis="y", length=0)
    _legend_below(figure, _timeline_legend(overlaps, stalls, quiet, node_faults, reigns))
    return figure


def _draw_faults(axes: Axes, faults: Sequence[FaultWindow], end: int) -> None:
    for window in faults:
        left, width = window.begin / 1e9, (window.end - window.begin) / 1e9
        if not window.fault.skipped:
            axes.axvspan(left, left + width, color=_SHADE, alpha=0.10, lw=0, zorder=1)
        axes.barh(
            0,
            max(width, end / 2e12),
            left=left,
            height=0.72,
            facecolor="white" if window.kind != "down" else "#8b949e",
            edgecolor=_SOFT,
            hatch=_HATCH[window.kind],
            lw=0.6,
            zorder=2,
        )
        # At this size some 180 letters fit across.
        letters = int(width / max(end, 1) * 1e9 * 180)
        if len(faults) <= _MOST_NAMES and letters >= 4:
            label = window.shape if len(window.shape) <= letters else window.shape[: letters - 1] + "…"
            axes.text(
                left + width / 2,
                0,
                _plain(label),
                ha="center",
                va="center",
                fontsize=7,
                zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.9},
            )


def _draw_marks(axes: Axes, row: int, found: Sequence[PlacedFinding], end: int, *, color: str, edgecolor: str) -> None:
    for mark in found:
        width = max(mark.end - mark.start, end // 400) / 1e9
        axes.barh(row, width, left=mark.start / 1e9, height=0.72, color=color, edgecolor=edgecolor, lw=0.6, zorder=4)


def _draw_reigns(axes: Axes, reigns: DrawnReigns, end: int) -> None:
    possible: list[list[tuple[float, float]]] = []
    sure: list[list[tuple[float, float]]] = []
    possible_colours: list[str] = []
    sure_colours: list[str] = []
    named = 0
    for order, reign in enumerate(reigns.rows):
        number = colour_of(reign, order)
        colour = KEYLESS if number is None else TERM_COLOURS[number]
        lane = reign.node + 3
        possible.append(_box(reign.earliest, reign.latest, lane, 0.3))
        possible_colours.append(colour)
        low, high = sorted((reign.first, reign.last))
        if reign.key is None or reign.first <= reign.last:
            sure.append(_box(low, high, lane, 0.3))
            sure_colours.append(colour)
        if named < _MOST_NAMES and reign.term is not None and high - low > end / 45:
            named += 1
            dark = number == 4
            axes.text(
                (low + high) / 2e9,
                lane - 0.06,
                f"term {reign.term}" if high - low > end / 18 else str(reign.term),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
                zorder=6,
            )
    axes.add_collection(PolyCollection(possible, facecolors=possible_colours, alpha=0.4, lw=0, zorder=3))
    axes.add_collection(PolyCollection(sure, facecolors=sure_colours, edgecolors=INK, linewidths=0.4, zorder=5))


def _box(start: int, end: int, lane: int, half: float) -> list[tuple[float, float]]:
    left, right, top, bottom = start / 1e9, end / 1e9, lane - half - 0.06, lane + half - 0.12
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _draw_node_faults(axes: Axes, node_faults: Sequence[NodeFaultSpan | IncidentSpan]) -> None:
    for fault in node_faults:
        axes.barh(
            fault.node + 3 + 0.31,
            (fault.end - fault.start) / 1e9,
            left=fault.start / 1e9,
            height=0.2,
            facecolor=INK if fault.kind == "down" else "white",
            edgecolor=INK if fault.kind == "down" else _SOFT,
            hatch=_HATCH[fault.kind],
            lw=0.5,
            zorder=4,
        )


def _timeline_legend(
    overlaps: Sequence[PlacedFinding],
    stalls: Sequence[PlacedFinding],
    quiet: Sequence[tuple[int, int]],
    node_faults: Sequence[NodeFaultSpan | IncidentSpan],
    reigns: DrawnReigns,
) -> list[Patch]:
    patches = []
    if any(reign.key is not None for reign in reigns.rows):
        patches.append(Patch(facecolor=TERM_COLOURS[0], edgecolor=INK, label="certainly leads (colour: term)"))
        patches.append(Patch(facecolor=TERM_COLOURS[0], alpha=0.4, label="possibly leads"))
    if any(reign.key is None for reign in reigns.rows):
        patches.append(Patch(facecolor=KEYLESS, edgecolor=INK, label="claims leadership without term or key"))
    words = {"cut": "links cut", "paused": "paused", "down": "down", "other": "clock or traffic fault"}
    present = {fault.kind for fault in node_faults}
    for kind in (kind for kind in words if kind in present):
        face = INK if kind == "down" else "white"
        patches.append(Patch(facecolor=face, edgecolor=_SOFT, hatch=_HATCH[kind], label=words[kind]))
    if overlaps:
        patches.append(Patch(facecolor=VERMILLION, edgecolor=INK, label="two leaders, proven"))
    if stalls:
        patches.append(Patch(facecolor=INK, label="stall"))
    if quiet:
        patches.append(Patch(facecolor="#b6bec7", label="no confirmation"))
    return patches


def terms(*, nodes: Sequence[str], end: int, steps: Terms, faults: Sequence[FaultWindow]) -> Figure:
    """Observed term of each node over time."""
    figure = Figure(figsize=(_WIDTH, 3.6), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    _shade(axes, faults)
    for number, name in enumerate(nodes):
        points = steps.steps[number]
        if not points:
            continue
        at = [time / 1e9 for time, _ in points] + [end / 1e9]
        term = [value for _, value in points] + [points[-1][1]]
        # Equal lines would hide one another, so each is shifted slightly.
        aside = (number - (len(nodes) - 1) / 2) * min(0.5, 4 / len(nodes))
        axes.step(
            at,
            term,
            where="post",
            label=_plain(name),
            lw=1.4,
            color=_LINE_COLOURS[number % len(_LINE_COLOURS)],
            linestyle=_DASHES[number // len(_LINE_COLOURS) % len(_DASHES)],
            transform=_aside(figure, axes, aside),
        )
    observed = [term for points in steps.steps for _, term in points]
    axes.set_ylim(min(observed, default=0) - 0.5, max(observed, default=0) + 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.set_xlim(0, max(end, 1) / 1e9)
    axes.set_ylabel("term")
    axes.set_xlabel("seconds since the start of the history")
    _bare(axes)
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        figure.legend(loc="outside upper center", ncols=min(15, len(handles)), frameon=False, fontsize=8)
    else:
        _say(axes, "no term was observed")
    return figure


def _aside(figure: Figure, axes: Axes, points: float) -> Transform:
    return axes.transData + ScaledTranslation(0, points / 72, figure.dpi_scale_trans)


def recovery(*, rows: Sequence[RecoveryTimes], bounds: Sequence[RecoveryBound]) -> Figure:
    """Recovery times by shape of the fault: one dot per fault, median as a bar, bounds as dashed lines."""
    figure = Figure(figsize=(_WIDTH, 1.5 + 0.42 * max(1, len(rows))), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    worst = max([0, *(value for row in rows for value in row.seen), *(bound.seconds for bound in bounds)]) or 1
    for number, row in enumerate(rows):
        offsets = spread(len(row.seen), 0.22)
        axes.plot(row.seen, [number + offset for offset in offsets], "o", color="#0072b2", alpha=0.75, ms=5)
        if row.seen:
            axes.vlines(float(np.median(row.seen)), number - 0.34, number + 0.34, color=INK, lw=2)
        never = len(row.seconds) - len(row.seen)
        if never:
            axes.plot(
                [worst * 1.06] * never, [number + o for o in spread(never, 0.22)], "o", mfc="none", mec=VERMILLION
            )
    for bound in bounds:
        axes.axvline(bound.seconds, color=VERMILLION, ls="--", lw=1.2)
        label = f"{bound.words} {bound.seconds:.3g} s "
        axes.text(bound.seconds, -0.62, label, ha="right", va="bottom", fontsize=8, color=INK)
    axes.set_yticks(range(len(rows)), [f"{_plain(row.shape)} ({len(row.seen)} of {len(row.seconds)})" for row in rows])
    axes.set_ylim(max(1, len(rows)) - 0.4, -0.75)
    axes.set_xlim(0, worst * 1.1)
    axes.set_xlabel("seconds from the start of the fault to confirmed leadership (ring: none observed)")
    _bare(axes)
    if not rows:
        _say(axes, "no recovery was measured")
    return figure


def rates(*, rows: Sequence[Series], late: Lateness, end: int, faults: Sequence[FaultWindow]) -> Figure:
    """Response rate of each operation, and the lateness of the controller."""
    figure = Figure(figsize=(_WIDTH, 1.9 * (len(rows) + 1)), dpi=110, layout="constrained")
    panels = _panels(figure, len(rows) + 1)
    for axes, row in zip(panels, rows, strict=False):
        _shade(axes, faults)
        axes.plot(row.centres_s, row.ok_per_s, color="#0072b2", lw=1.3, label="ok")
        axes.plot(row.centres_s, row.failed_per_s, color=VERMILLION, lw=1.1, ls="--", label="failed or unknown")
        axes.set_ylabel(f"{row.f}\nper second")
        axes.set_ylim(bottom=0)
        _legend_above(axes)
    _draw_lateness(panels[-1], late, faults)
    _share_time(panels, end)
    return figure


def _draw_lateness(axes: Axes, late: Lateness, faults: Sequence[FaultWindow]) -> None:
    _shade(axes, faults)
    centres = (np.arange(len(late.worst_ms)) + 0.5) * late.width / 1e9
    axes.plot(centres, late.worst_ms, color="#0072b2", lw=1.3, label="worst")
    axes.plot(centres, late.median_ms, color=INK, lw=1.0, ls=":", label="median")
    axes.set_ylabel("controller\nlate, ms")
    axes.set_ylim(bottom=0)
    if np.isnan(late.worst_ms).all():
        _say(axes, "the lateness of the controller was not measured")
    else:
        _legend_above(axes)


def latency(*, rows: Sequence[Series], end: int, faults: Sequence[FaultWindow]) -> Figure:
    """Median and 99th-percentile latency of each operation."""
    figure = Figure(figsize=(_WIDTH, 2.2 * max(1, len(rows))), dpi=110, layout="constrained")
    panels = _panels(figure, max(1, len(rows)))
    for axes, row in zip(panels, rows, strict=False):
        _shade(axes, faults)
        axes.fill_between(row.centres_s, row.p50_ms, row.p99_ms, color="#0072b2", alpha=0.18, lw=0)
        axes.plot(row.centres_s, row.p99_ms, color="#0072b2", lw=1.0, ls="--", label="99th percentile")
        axes.plot(row.centres_s, row.p50_ms, color="#0072b2", lw=1.4, label="median")
        axes.set_ylabel(f"{row.f}, ms")
        if np.isnan(row.p50_ms).all():
            _say(axes, f"no {row.f} succeeded")
            continue
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        _legend_above(axes)
    _share_time(panels, end)
    return figure


def _panels(figure: Figure, count: int) -> list[Axes]:
    return [figure.add_subplot(count, 1, number + 1) for number in range(count)]


def _share_time(panels: Sequence[Axes], end: int) -> None:
    for axes in panels:
        axes.set_xlim(0, max(end, 1) / 1e9)
        _bare(axes)
        axes.tick_params(labelbottom=axes is panels[-1])
    panels[-1].set_xlabel("seconds since the start of the history")


def _shade(axes: Axes, faults: Sequence[FaultWindow]) -> None:
    for window in faults:
        if not window.fault.skipped:
            axes.axvspan(window.begin / 1e9, window.end / 1e9, color=_SHADE, alpha=0.10, lw=0, zorder=0)


def _legend_below(figure: Figure, patches: Iterable[Patch]) -> None:
    shown = list(patches)
    if shown:
        figure.legend(handles=shown, loc="outside lower center", ncols=min(5, len(shown)), frameon=False, fontsize=8)


def _legend_above(axes: Axes) -> None:
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, borderpad=0.1, frameon=False, fontsize=7, ncols=2
    )


def _plain(text: str, most: int = 24) -> str:
    """A name, cut to `most` characters; dollar signs are escaped, because matplotlib reads them as mathematics."""
    shown = text if len(text) <= most else text[: most - 1] + "…"
    return shown.replace("$", r"\$")


def _bare(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)


def _say(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=_SOFT, fontsize=10)
