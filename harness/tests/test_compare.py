from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from splitbrain.campaigns.compare.measure import (
    FORMULAS,
    RECIPES,
    cost_of,
    costs,
    exact,
    line_of,
    order_of,
    split_votes,
)
from splitbrain.campaigns.compare.promises import IsolationResult, two_leaders
from splitbrain.campaigns.compare.table import recipe_rows, rows
from splitbrain.campaigns.matrix.entries import Entry
from splitbrain.campaigns.matrix.results import Result
from splitbrain.checkers.verdict import Observed
from splitbrain.cli import cli
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.reports.compare import write

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("system", FORMULAS)
def test_an_election_costs_what_the_paper_says(system: str) -> None:
    counted = [cost_of(SYSTEMS[system], nodes, 1) for nodes in (3, 5, 9, 15)]
    assert [row["messages"] for row in counted] == [FORMULAS[system].of(int(str(row["nodes"]))) for row in counted]


def test_acknowledgements_are_counted_separately() -> None:
    row = cost_of(SYSTEMS["ring"], 5, 1)
    assert int(str(row["acks"])) > 0
    assert "ack " in str(row["kinds"])


def test_the_order_is_fitted_to_the_counts() -> None:
    squares = pd.DataFrame({"nodes": [9, 25, 101], "messages": [81, 625, 10201]})
    assert order_of(squares) == pytest.approx(2.0)
    lines = squares.assign(messages=squares["nodes"] * 7)
    assert order_of(lines) == pytest.approx(1.0)


def test_one_extra_message_is_not_exact() -> None:
    counted = costs(sizes=(3, 5), seeds=1)
    mine = counted[counted["system"] == "bully"]
    assert exact(mine, FORMULAS["bully"]) == 1.0
    assert exact(mine.assign(messages=mine["messages"] + 1), FORMULAS["bully"]) == 0.0


def test_equal_timeouts_elect_no_leader_and_a_wide_range_splits_few_votes() -> None:
    votes = split_votes(spreads_ms=(0, 2, 150), seeds=8)
    assert not votes[votes["spread_ms"] == 0]["elected"].any()
    mean = votes.groupby("spread_ms")["rounds"].mean()
    assert mean[2] > mean[150] >= 1.0


def test_bully_has_two_leaders_during_a_partition_and_raft_never_two_in_a_term(tmp_path: Path) -> None:
    results = two_leaders(("bully", "raft"), tmp_path)
    assert results["bully"].result.observed["exclusivity"] == "violated"
    assert results["bully"].overlap_ms > 1_000
    assert results["raft"].result.observed["term-safety"] == "held"
    assert results["raft"].overlap_ms < 300  # no longer than it takes a leader to see that it has no majority
    assert (tmp_path / str(results["bully"].result.run) / "report.html").is_file()


def test_the_page_shows_every_system_and_embeds_its_plots(tmp_path: Path) -> None:
    counted = costs(sizes=(3, 5, 9, 15), seeds=2)
    votes = split_votes(spreads_ms=(0, 50), seeds=3)
    entry = Entry(
        system="bully", fault_class="partition", runtime="sim", nemesis=("minority-leader",), time_limit_s=40.0
    )
    shown = Result(
        entry=entry,
        status="as expected",
        promised={"term-safety": "undefined", "exclusivity": "known-weakness"},
        observed={"exclusivity": Observed.VIOLATED},
        run="a/b",
    )
    table = rows(counted, dict.fromkeys(FORMULAS, IsolationResult(result=shown, overlap_ms=5432.1)))
    curves = {name: [[n, formula.of(n)] for n in (3, 15)] for name, formula in FORMULAS.items()}
    real = pd.DataFrame([{"system": "bully", "nodes": 3, "messages": 5, "acks": 0, "kinds": "ok 1"}])
    page = write({"rows": table, "curves": curves}, counted, votes, real, tmp_path / "compare")
    text = page.read_text()
    assert all(f"{name}</td>" in text for name in FORMULAS)
    assert "two leaders at once for 5432 ms; it has no terms" in text
    assert 'href="../a/b/report.html"' in text
    assert "On containers" in text
    assert {path.name for path in page.parent.iterdir()} == {
        *(f"{name}.png" for name in ("messages", "failover", "votes")),
        *(f"{name}.csv" for name in ("messages", "votes", "containers")),
        "index.html",
    }


def changes(**notifications: int) -> pd.DataFrame:
    """Changes of leader among 3 and 9 contenders; 0 notifications per node stands for one in total."""
    counts = [(system, nodes, each * (nodes - 1) or 1) for system, each in notifications.items() for nodes in (3, 9)]
    return pd.DataFrame(
        [
            {
                "system": name.replace("_", "-"),
                "nodes": n,
                "requests": 2 * t,
                "notifications": t,
                "messages": 3 * t,
            }
            for name, n, t in counts
        ]
    )


def test_the_recipe_notifies_one_node_and_the_herd_effect_all_nodes(tmp_path: Path) -> None:
    counted = changes(zookeeper=0, zookeeper_herd=1)
    lines = {name: line_of(counted[counted["system"] == name]) for name in RECIPES}
    assert lines["zookeeper"] == pytest.approx((0.0, 3.0))
    assert lines["zookeeper-herd"] == pytest.approx((3.0, -3.0))
    assert all(exact(counted[counted["system"] == name], formula) == 1.0 for name, formula in RECIPES.items())
    assert exact(counted[counted["system"] == "zookeeper-herd"], RECIPES["zookeeper"]) == 0.0

    entry = Entry(
        system="zookeeper",
        fault_class="leader-isolated",
        runtime="docker",
        nemesis=("isolated-leader",),
        time_limit_s=25.0,
    )
    kept = IsolationResult(
        result=Result(
            entry=entry,
            status="as expected",
            observed={"term-safety": Observed.HELD, "exclusivity": Observed.NOT_SHOWN},
        ),
        overlap_ms=0.0,
    )
    broken = IsolationResult(
        result=Result(entry=entry, status="as expected", observed={"exclusivity": Observed.VIOLATED}, run="a/b"),
        overlap_ms=432.1,
    )
    table = recipe_rows(counted, {"zookeeper": kept, "zookeeper-herd": broken})
    few, votes = costs(sizes=(3, 5, 9, 15), seeds=1), split_votes(spreads_ms=(50,), seeds=1)
    curves = {name: [[n, formula.of(n)] for n in (3, 15)] for name, formula in FORMULAS.items()}
    page = write({"rows": [], "curves": curves, "recipes": table}, few, votes, None, tmp_path, counted)
    text = page.read_text()
    assert "16 requests, 8 notifications" in text and "3.00 n -3.00" in text
    assert "safe in this run" in text and "unsafe: two leaders at once for 432 ms" in text
    assert (tmp_path / "recipes.csv").is_file() and (tmp_path / "recipes.png").is_file()


def test_the_help_lists_the_options() -> None:
    said = CliRunner().invoke(cli, ["compare", "--help"]).output
    assert "--containers" in said
    assert "--quick" in said
