"""The command ``splitbrain compare``. Exit status: 0 every figure was measured, 3 a run failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@click.option("--containers", is_flag=True, help="Also count messages of elections on containers.")
@click.option("--quick", is_flag=True, help="Use fewer seeds and at most 25 nodes.")
@click.option(
    "--store", type=click.Path(path_type=Path), default=Path("store"), help="Directory for the comparison and its runs."
)
def compare(containers: bool, quick: bool, store: Path) -> None:
    """Compare Bully, ring and Raft elections: message counts, election times, and safety under partitions.

    Writes compare/index.html, its plots and its tables (CSV) into the store, and the runs with isolated leaders that
    show which systems ever had two.
    """
    from splitbrain.campaigns.compare.measure import FORMULAS, RECIPES, SIZES, costs, split_votes
    from splitbrain.campaigns.compare.promises import two_leaders, two_leaders_on_containers
    from splitbrain.campaigns.compare.table import recipe_rows, rows
    from splitbrain.core.store import make_store
    from splitbrain.progress import display
    from splitbrain.reports.compare import write

    make_store(store)
    console = display()
    with console.status("counting messages"):
        sizes, seeds = ([n for n in SIZES if n <= 25], 5) if quick else (SIZES, 20)
        counted = costs(sizes, seeds)
    with console.status("measuring split votes"):
        votes = split_votes(seeds=20 if quick else 100)
    with console.status("isolating leaders"):
        leaders = two_leaders(FORMULAS, store)
    on_containers, recipes = _on_containers(console) if containers else (None, None)
    record: dict[str, Any] = {
        "rows": rows(counted, leaders),
        "formulas": {name: formula.words for name, formula in FORMULAS.items()},
        "curves": {name: [[n, formula.of(n)] for n in sizes] for name, formula in FORMULAS.items()},
    }
    if recipes is not None:
        with console.status("isolating leaders on containers"):
            record["recipes"] = recipe_rows(recipes, two_leaders_on_containers(RECIPES, store))
    page = write(record, counted, votes, on_containers, store / "compare", recipes)
    click.echo(str(page))


def _on_containers(console: Console) -> tuple[Any, Any]:
    from splitbrain.campaigns.compare.containers import counted_on_containers, recipes_on_containers

    def say(words: str) -> None:
        console.print(words, highlight=False)

    return counted_on_containers(say), recipes_on_containers(say)
