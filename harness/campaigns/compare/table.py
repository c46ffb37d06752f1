"""The table of the comparison: one row per system, from the measurements and the runs with isolated leaders."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from splitbrain.campaigns.compare.measure import FORMULAS, RECIPES, exact, line_of, order_of
from splitbrain.campaigns.compare.promises import IsolationResult
from splitbrain.nodes.systems import SYSTEMS


def rows(counted: pd.DataFrame, isolated: Mapping[str, IsolationResult]) -> list[dict[str, object]]:
    """Rows of the simulated systems; ``counted`` has one row per election (``measure.costs``)."""
    return [_row(name, counted[counted["system"] == name], isolated[name]) for name in FORMULAS]


def _row(name: str, mine: pd.DataFrame, isolated: IsolationResult) -> dict[str, object]:
    medians = mine.groupby("nodes")["messages"].median()
    promised, observed = isolated.result.promised, isolated.result.observed
    return {
        "system": name,
        "help": SYSTEMS[name].help,
        "formula": FORMULAS[name].words,
        "exact": exact(mine, FORMULAS[name]),
        "order": order_of(mine),
        "order_cheapest": order_of(mine, "min"),
        "messages": dict(zip(medians.index.to_list(), medians.to_list(), strict=True)),
        "failover_ms": np.percentile(mine[mine["nodes"] == 5]["agreed_ms"], (50, 95, 100)).tolist(),
        "two_at_once": observed.get("exclusivity"),
        "overlap_ms": isolated.overlap_ms,
        "two_in_a_term": observed.get("term-safety") if promised.get("term-safety") != "undefined" else None,
        "run": isolated.result.run,
    }


def recipe_rows(counted: pd.DataFrame, isolated: Mapping[str, IsolationResult]) -> list[dict[str, object]]:
    """Rows of ZooKeeper's recipes; ``counted`` is the result of ``containers.recipes_on_containers``."""
    return [_recipe_row(name, counted[counted["system"] == name], isolated[name]) for name in RECIPES]


def _recipe_row(name: str, mine: pd.DataFrame, isolated: IsolationResult) -> dict[str, object]:
    slope, at_none = line_of(mine)
    return {
        "system": name,
        "help": SYSTEMS[name].help,
        "formula": RECIPES[name].words,
        "exact": exact(mine, RECIPES[name]),
        "slope": slope,
        "at_none": at_none,
        "counts": {row["nodes"]: (row["requests"], row["notifications"]) for row in mine.to_dict("records")},
        "two_at_once": isolated.result.observed.get("exclusivity"),
        "overlap_ms": isolated.overlap_ms,
        "two_in_a_term": isolated.result.observed.get("term-safety"),
        "run": isolated.result.run,
    }
