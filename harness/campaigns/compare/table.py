"""The table of the comparison: a row a system, made of what was measured and of what runs showed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from splitbrain.campaigns.compare.measure import FORMULAS, RECIPES, exact, line_of, order_of
from splitbrain.campaigns.compare.promises import Cut
from splitbrain.nodes.systems import SYSTEMS


def rows(counted: pd.DataFrame, cuts: Mapping[str, Cut]) -> list[dict[str, object]]:
    """``counted`` has a row an election (``measure.costs``); ``cuts`` what came of leaders cut off."""
    return [_row(name, counted[counted["system"] == name], cuts[name]) for name in FORMULAS]


def _row(name: str, mine: pd.DataFrame, cut: Cut) -> dict[str, object]:
    medians = mine.groupby("nodes")["messages"].median()
    promised, seen = cut.result.promised, cut.result.seen
    return {
        "system": name,
        "help": SYSTEMS[name].help,
        "formula": FORMULAS[name].words,
        "exact": exact(mine, FORMULAS[name]),
        "order": order_of(mine),
        "order_cheapest": order_of(mine, "min"),
        "messages": dict(zip(medians.index.to_list(), medians.to_list(), strict=True)),
        "failover_ms": np.percentile(mine[mine["nodes"] == 5]["agreed_ms"], (50, 95, 100)).tolist(),
        "two_at_once": seen.get("exclusivity"),
        "overlap_ms": cut.overlap_ms,
        "two_in_a_term": seen.get("term-safety") if promised.get("term-safety") != "undefined" else None,
        "run": cut.result.run,
    }


def recipe_rows(counted: pd.DataFrame, cuts: Mapping[str, Cut]) -> list[dict[str, object]]:
    """The same of ZooKeeper's recipes: ``counted`` is ``containers.recipes_on_containers``."""
    return [_recipe_row(name, counted[counted["system"] == name], cuts[name]) for name in RECIPES]


def _recipe_row(name: str, mine: pd.DataFrame, cut: Cut) -> dict[str, object]:
    slope, at_none = line_of(mine)
    return {
        "system": name,
        "help": SYSTEMS[name].help,
        "formula": RECIPES[name].words,
        "exact": exact(mine, RECIPES[name]),
        "slope": slope,
        "at_none": at_none,
        "counts": {row["nodes"]: (row["requests"], row["notifications"]) for row in mine.to_dict("records")},
        "two_at_once": cut.result.seen.get("exclusivity"),
        "overlap_ms": cut.overlap_ms,
        "two_in_a_term": cut.result.seen.get("term-safety"),
        "run": cut.result.run,
    }
