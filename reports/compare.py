"""Comparison of election algorithms as a page, plots and tables: message counts, failover times, split votes.

All points are measurements passed in by the caller. Lines are the formulas of the papers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from splitbrain.reports import atomic, page

Json = Mapping[str, Any]
COLOURS = ("#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#0072b2", "#e69f00")
MARKERS = ("s", "^", "v", "o", "D", "P")
TITLES = {
    "messages": "Messages of one election by number of nodes: measured (median, minimum, maximum) and by formula "
    "(lines); open marks are elections on containers",
    "failover": "Failover time, five nodes: share of elections completed within a time since the leader's crash (all "
    "survivors follow a new leader)",
    "votes": "Split votes and election time of plain Raft with five nodes, by the range of the random "
    "election timeouts",
    "recipes": "ZooKeeper recipes on containers: requests and notifications of one change of leader by number of "
    "contenders (marks), with the least-squares line",
}


def write(
    record: Json,
    counted: pd.DataFrame,
    votes: pd.DataFrame,
    on_containers: pd.DataFrame | None,
    folder: Path,
    recipes: pd.DataFrame | None = None,
) -> Path:
    """Write index.html, messages.png, failover.png, votes.png and the CSV files; returns the path of the page.

    ``record`` has ``rows`` (one per system), ``formulas`` and ``curves``; the frames have one row per election. With
    ``recipes``, the counts of ZooKeeper's recipes, ``record`` has ``recipes`` too (one per system), and recipes.png is
    written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "messages": messages(counted, record["curves"], on_containers),
        "failover": failover(counted[counted["nodes"] == 5]),
        "votes": split_votes(votes),
        **({} if recipes is None else {"recipes": recipe_lines(recipes, record["recipes"])}),
    }
    pictures = []
    for name, figure in figures.items():
        png = _png(figure)
        atomic.write(folder / f"{name}.png", png)
        pictures.append(page.picture(f"{name}.png", TITLES[name], png))
    some = {"messages": counted, "votes": votes, "containers": on_containers, "recipes": recipes}
    frames = {name: frame for name, frame in some.items() if frame is not None}
    for name, frame in frames.items():
        atomic.write(folder / f"{name}.csv", frame.to_csv(index=False).encode())
    made = page.environment()
    html = made.get_template("compare.html").render(
        rows=record["rows"],
        sizes=sorted({int(n) for n in counted["nodes"]}),
        votes=vote_rows(votes),
        containers=[] if on_containers is None else on_containers.to_dict("records"),
        recipes=record.get("recipes", []),
        recipe_sizes=[] if recipes is None else sorted({int(n) for n in recipes["nodes"]}),
        pictures=pictures,
        files=[f"{name}.csv" for name in frames],
        page_css=page.asset(made, "page.css"),
    )
    return atomic.write(folder / "index.html", html.encode())


def messages(counted: pd.DataFrame, curves: Json, on_containers: pd.DataFrame | None) -> Figure:
    """Message counts by number of nodes on log axes, one colour and marker per system."""
    figure = Figure(figsize=(9.0, 5.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    for at, system in enumerate(curves):
        by_size = counted[counted["system"] == system].groupby("nodes")["messages"]
        sizes, middle = by_size.median().index.to_numpy(float), by_size.median().to_numpy(float)
        spread = np.abs(np.vstack([by_size.min().to_numpy(float), by_size.max().to_numpy(float)]) - middle)
        colour, marker = COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)]
        axes.errorbar(sizes, middle, yerr=spread, fmt=marker, color=colour, ms=5, capsize=3, lw=1, label=system)
        x, y = np.array(curves[system], dtype=float).T
        axes.plot(x, y, color=colour, lw=1)
        if on_containers is not None:
            real = on_containers[on_containers["system"] == system]
            axes.plot(real["nodes"], real["messages"], marker, mfc="none", mec=colour, ms=11, ls="")
    axes.set(xscale="log", yscale="log", xlabel="nodes", ylabel="messages, without acknowledgements")
    axes.set_xticks(sorted(counted["nodes"].unique()))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(True, which="major", color="#dfe4ea", lw=0.7)
    axes.legend(frameon=False, loc="upper left")
    return figure


def recipe_lines(recipes: pd.DataFrame, rows: Sequence[Json]) -> Figure:
    """Requests plus notifications by number of contenders, with the line fitted to each recipe."""
    figure = Figure(figsize=(9.0, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    for at, row in enumerate(rows):
        mine = recipes[recipes["system"] == row["system"]]
        x = mine["nodes"].to_numpy(float)
        axes.plot(
            x, mine["messages"], MARKERS[at % len(MARKERS)], color=COLOURS[at % len(COLOURS)], label=row["system"]
        )
        axes.plot(x, row["slope"] * x + row["at_none"], color=COLOURS[at % len(COLOURS)], lw=1)
    axes.set(xlabel="contenders", ylabel="requests and notifications", ylim=(0, None))
    axes.set_xticks(sorted(recipes["nodes"].unique()))
    axes.grid(True, color="#dfe4ea", lw=0.7)
    axes.legend(frameon=False, loc="upper left")
    return figure


def failover(five: pd.DataFrame) -> Figure:
    """Share of elections completed within a time, one line per system."""
    figure = Figure(figsize=(9.0, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    for at, (system, rows) in enumerate(five.groupby("system", sort=False)):
        times = np.sort(rows["agreed_ms"].to_numpy(float))
        share = np.arange(1, len(times) + 1) / len(times)
        axes.step([0.0, *times], [0.0, *share], where="post", color=COLOURS[at % len(COLOURS)], label=str(system))
        axes.plot(times, share, MARKERS[at % len(MARKERS)], color=COLOURS[at % len(COLOURS)], ms=3)
    axes.set(xlabel="ms since the leader's crash", ylabel="share of elections", ylim=(0, 1.03), xlim=(0, None))
    axes.grid(True, color="#dfe4ea", lw=0.7)
    axes.legend(frameon=False, loc="center left")
    return figure


def vote_rows(votes: pd.DataFrame) -> list[dict[str, float]]:
    """One row per timeout range: shares of elections completed and with more than one candidacy, and their times."""
    rows = []
    for spread, each in votes.groupby("spread_ms"):
        done = each[each["elected"]]
        some = len(done) > 0
        rows.append(
            {
                "spread_ms": float(str(spread)),
                "elections": len(each),
                "elected": float(each["elected"].mean()),
                "split": float((done["rounds"] > 1).mean()) if some else float("nan"),
                "rounds": float(done["rounds"].mean()) if some else float("nan"),
                "median_ms": float(done["agreed_ms"].median()) if some else float("nan"),
                "worst_ms": float(done["agreed_ms"].max()) if some else float("nan"),
            }
        )
    return rows


def split_votes(votes: pd.DataFrame) -> Figure:
    """Share of elections with split votes (top) and election times (bottom); ranges without a result are annotated."""
    rows = pd.DataFrame(vote_rows(votes))
    figure = Figure(figsize=(9.0, 5.4), dpi=110, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    places = np.arange(len(rows))
    above.bar(places, rows["split"].fillna(0), color="#0072b2", width=0.6)
    above.set(ylabel="share with split votes", ylim=(0, 1.1))
    below.plot(places, rows["median_ms"], "o-", color="#0072b2", label="median")
    below.plot(places, rows["worst_ms"], "v--", color="#d55e00", label="worst")
    for place, elected in zip(places, rows["elected"].to_numpy(float), strict=True):
        if elected < 1:
            words = "never elected" if elected == 0 else f"{elected:.0%} elected"
            above.annotate(words, (float(place), 0.05), ha="center", fontsize=8, color="#d55e00", rotation=90)
    below.set(ylabel="ms to elect", yscale="log", xlabel="width of the timeout range above 150 ms, ms")
    below.set_xticks(places, [f"{spread:g}" for spread in rows["spread_ms"]])
    below.legend(frameon=False)
    for axes in (above, below):
        axes.grid(True, axis="y", color="#dfe4ea", lw=0.7)
    return figure


def _png(figure: Figure) -> bytes:
    into = BytesIO()
    figure.savefig(into, format="png", metadata={"Software": None})
    return into.getvalue()
