"""Time to detection of planted bugs: a cumulative detection curve per bug, over the simulated time searched.

A curve starts at zero and rises by the share of one search at each detection. Searches without a detection are censored
at the budget, so that the curve stays below one (Kaplan & Meier 1958, with one common censoring time).
"""

from __future__ import annotations

from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = {"swarm": "#0072b2", "aimed": "#d55e00"}
DASHES = {"swarm": "-", "aimed": "--"}
_COLUMNS = 5
_FIRST_S = 0.1  # start of the log axis: no election ends sooner


def survival(frame: pd.DataFrame) -> Figure:
    """Share of searches that detected the bug over simulated seconds, one panel per system.

    ``frame`` has one row per search, with the columns ``system``, ``way``, ``caught`` and ``simulated_s``.
    """
    systems = sorted(frame["system"].unique())
    rows = max(1, ceil(len(systems) / _COLUMNS))
    figure = Figure(figsize=(2.6 * _COLUMNS, 1.7 * rows + 0.8), dpi=110, layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    for panel, system in zip(panels.flat, systems, strict=False):
        _draw(panel, system, frame[frame["system"] == system])
    for panel in panels.flat[len(systems) :]:
        panel.set_visible(False)
    figure.supxlabel("simulated seconds searched")
    figure.supylabel("share of searches with a detection")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), frameon=False)
    return figure


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write the figure to a file."""
    survival(frame).savefig(path)


def steps(found: pd.DataFrame) -> tuple[list[float], list[float]]:
    """The corners of one curve, from zero to the longest search: times in seconds, and the share detected by then."""
    caught = np.sort(found.loc[found["caught"], "simulated_s"].to_numpy(dtype=float))
    shares = np.arange(1, len(caught) + 1) / max(1, len(found))
    end = float(found["simulated_s"].max())
    return [_FIRST_S, *caught.tolist(), end], [0.0, *shares.tolist(), float(shares[-1]) if len(shares) else 0.0]


def _draw(panel: Axes, system: str, rows: pd.DataFrame) -> None:
    for way, found in rows.groupby("way"):
        seconds, shares = steps(found)
        label = str(way)
        panel.step(seconds, shares, where="post", label=label, color=COLOURS.get(label), linestyle=DASHES.get(label))
    panel.set_xscale("log")
    panel.set_ylim(-0.04, 1.04)
    panel.set_title(system.removeprefix("broken/"), fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=7)
