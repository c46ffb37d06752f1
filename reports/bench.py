"""Plot of the CPU time of a simulated second against the number of nodes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

BARE = "the bare loop"
STYLES = {
    BARE: ("#6b7580", ":", ""),
    "hosts and links alone": ("#0072b2", "--", "o"),
    "recorded": ("#d55e00", "-", "s"),
    "recorded and judged": ("#009e73", "-", "^"),
}


def cost(frame: pd.DataFrame) -> Figure:
    """CPU time of a simulated second in ms over the number of nodes: one line per part of the work, on log axes.

    ``frame`` has one row per part and size, with the columns ``nodes``, ``part``, ``simulated_s``, ``cpu_s`` and
    ``bare_loop_cpu_s`` (the reference loop's, for the same simulated time). The parts are those of ``STYLES``.
    """
    figure = Figure(figsize=(7.0, 4.4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for part, table in lines(frame).items():
        colour, dashes, marker = STYLES[part]
        axes.plot(table.index, table, label=part, color=colour, linestyle=dashes, marker=marker, markersize=4)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sorted(frame["nodes"].unique())))
    axes.xaxis.set_minor_locator(NullLocator())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("nodes")
    axes.set_ylabel("CPU time of a simulated second, ms")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def lines(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """CPU time of a simulated second in ms by number of nodes, for each part; for the bare loop the minimum."""
    ms = frame.assign(
        part_ms=1000 * frame["cpu_s"] / frame["simulated_s"],
        bare_ms=1000 * frame["bare_loop_cpu_s"] / frame["simulated_s"],
    )
    parts = {str(part): rows.set_index("nodes")["part_ms"].sort_index() for part, rows in ms.groupby("part")}
    found = {BARE: ms.groupby("nodes")["bare_ms"].min(), **parts}
    return {part: found[part] for part in STYLES if part in found}


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write the figure to a file."""
    cost(frame).savefig(path)
