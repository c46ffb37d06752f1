"""Soak test results as a table and a plot: resources of the harness left on the machine after each run."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from splitbrain.reports import atomic

PANELS = (
    ("containers", "containers"),
    ("networks", "networks"),
    ("volumes", "volumes"),
    ("host_rules", "iptables rules of these runs"),
    ("processes", "processes on the machine"),
    ("open_files", "open files"),
    ("threads", "threads"),
    ("memory_mb", "memory, MB"),
    ("unverified", "faults not verified"),
)
COLOURS = {"valid": "#0072b2", "unknown": "#e69f00", "invalid": "#d55e00", "failed": "#24292f"}


def write(frame: pd.DataFrame, store: Path) -> Path:
    """Write soak.csv and soak.png into the store; returns the path of the plot. ``frame`` has one row per run."""
    atomic.write(store / "soak.csv", frame.to_csv(index=False).encode())
    into = BytesIO()
    figure(frame).savefig(into, format="png", metadata={"Software": None})
    return atomic.write(store / "soak.png", into.getvalue())


def figure(frame: pd.DataFrame) -> Figure:
    """One panel per resource, over minutes; each run is a dot in the colour of its verdict."""
    made = Figure(figsize=(11.0, 8.0), dpi=110, layout="constrained")
    panels = made.subplots(3, 3, sharex=True).flat
    minutes = frame["at_s"] / 60
    for axes, (name, title) in zip(panels, PANELS, strict=True):
        axes.plot(minutes, frame[name], color="#a9b3be", lw=1, zorder=1)
        for verdict, colour in COLOURS.items():
            here = frame["verdict"] == verdict
            axes.plot(minutes[here], frame[name][here], "o", color=colour, ms=4, label=verdict)
        axes.set_title(title, fontsize=10)
        axes.set_ylim(0, max(1.0, 1.15 * float(frame[name].max())))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.grid(True, color="#dfe4ea", lw=0.6)
    made.supxlabel("minutes")
    handles, labels = made.axes[0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside upper right", ncols=len(labels), frameon=False)
    return made
